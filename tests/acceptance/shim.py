"""The program under test, with every output it has kept for the judge."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import wire
from processes import BINARY, Child, SetupFailed, free_port, wait_until

CONFIGURATION = """\
upstream = "http://127.0.0.1:{upstream}"
workers = 1
drain_timeout = "{drain}"

[[listen]]
address = "127.0.0.1:{port}"

[access_log]
format = "json"
file = "{access_log}"

[log]
level = "trace"
format = "text"
"""


class Shim:
    """One running `tokenshim serve`."""

    def __init__(self, folder: Path, port: int, arguments: Sequence[str], access_log: Path | None) -> None:
        if not BINARY.exists():
            raise SetupFailed(f"{BINARY} is missing: cargo build --release, or name another in TOKENSHIM_BIN")
        self.port = port
        self.access_log = access_log
        self.probes = 0
        self.child = Child(f"tokenshim-{port}", [BINARY, "serve", *arguments], folder)
        self.child.wait_for_port(port, 10)

    @classmethod
    def with_file(cls, folder: Path, upstream: int, drain: str = "30s") -> Shim:
        """As an operator runs it, but at the most talkative level there is."""
        port = free_port()
        access_log = folder / f"access-{port}.json"
        file = folder / f"tokenshim-{port}.toml"
        file.write_text(
            CONFIGURATION.format(upstream=upstream, port=port, access_log=access_log, drain=drain)
        )
        return cls(folder, port, ["--config", str(file)], access_log)

    @classmethod
    def with_flags(cls, folder: Path, upstream: int) -> Shim:
        """The shortest way to start it: two flags, everything else by default."""
        port = free_port()
        flags = ["--upstream", f"http://127.0.0.1:{upstream}", "--listen", f"127.0.0.1:{port}"]
        return cls(folder, port, flags, None)

    def outputs(self) -> list[Path]:
        """Everything it writes."""
        files = [self.child.stdout, self.child.stderr]
        return [*files, self.access_log] if self.access_log else files

    def lines(self) -> list[dict[str, Any]]:
        """The access log so far."""
        assert self.access_log is not None
        if not self.access_log.exists():
            return []
        text = self.access_log.read_text("utf-8")
        # A line being written has no end yet.
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def mark(self) -> int:
        """How many lines there are once every earlier request has its own.

        Lines leave in blocks. The one worker writes them in order, so when the line of
        a probe is there, all before it are.
        """
        self.probes += 1
        target = f"/_tokenshim/health?probe={self.probes}"
        assert wire.request(self.port, "GET", target).status == 200

        def seen() -> bool:
            return any(line["target"] == target for line in self.lines())

        wait_until("the probe's access log line", seen)
        return len(self.lines())

    def lines_after(self, mark: int, count: int) -> list[dict[str, Any]]:
        """At least `count` lines behind line `mark`; a line comes after its response has gone."""
        wait_until(f"{count} access log lines", lambda: len(self.lines()) >= mark + count)
        return self.lines()[mark:]
