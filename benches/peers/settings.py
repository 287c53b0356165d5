"""What one run of the benchmarks works with."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Environments, certificates and the output of programs; never committed.
STATE = ROOT / "target" / "peers"
TOKENSHIM = ROOT / "target" / "release" / "tokenshim"
TOOLS = ROOT / "target" / "release" / "examples"

# Made up for this; it opens nothing.
TOKEN = "syt_YmVuY2g_FAKEFAKEFAKEFAKEFAKE_000000"
SYNC = "/_matrix/client/v3/sync?filter=0&timeout=0&since=s72594_4483_1934"
BEARER = f"Authorization: Bearer {TOKEN}"


class CannotRun(Exception):
    """Why something cannot be measured here; for people."""


@dataclass(frozen=True)
class Settings:
    """What the flags say."""

    peers: tuple[str, ...]
    rounds: int
    seconds: int
    connections: int
    rate: int | None
    held: int
    # Lists of cores, as taskset takes them. The load and the upstream share theirs.
    proxy_cores: str
    load_cores: str

    def among(self, *names: str) -> tuple[str, ...]:
        """The chosen peers that a scenario has."""
        return tuple(name for name in names if name in self.peers)


def program(name: str) -> str:
    """Where a program is; Debian has the servers in a folder that users do not search."""
    # Envoy's wheel has a Python script in front of the program.
    wheels = [*(STATE / "venv").glob("lib/*/site-packages/envoy/_bin"), STATE / "venv" / "bin"]
    for path in (None, "/usr/sbin", "/usr/local/sbin", *wheels):
        if found := shutil.which(name, path=path):
            return found
    raise CannotRun(f"{name} is not installed")
