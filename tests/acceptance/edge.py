"""tokenshim as the edge: TLS, HTTP/2 and PROXY headers, with a file for each test."""

from __future__ import annotations

import json
import secrets
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import judge
from certificates import Pair
from processes import BINARY, Child, SetupFailed, free_port, wait_until

NAME = "matrix.localhost"
CONFIGURATION = """\
upstream = "{upstream}"
{keys}
{listeners}
{certificates}
{tables}
[access_log]
format = "json"
file = "{access_log}"

[log]
level = "{level}"
format = "text"
"""


@dataclass(frozen=True)
class Listener:
    """One `[[listen]]`; what is `None` is left to the default."""

    tls: bool = False
    http2: bool | None = None
    proxy_protocol: bool = False
    port: int = field(default_factory=free_port)

    @property
    def toml(self) -> str:
        """The table of a configuration file."""
        lines = ["[[listen]]", f'address = "127.0.0.1:{self.port}"', f"tls = {str(self.tls).lower()}"]
        if self.http2 is not None:
            lines.append(f"http2 = {str(self.http2).lower()}")
        if self.proxy_protocol:
            lines.append("proxy_protocol = true")
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Plan:
    """What a test asks for; everything else is by default."""

    upstream: str
    listeners: Sequence[Listener]
    certificates: Sequence[Pair] = ()
    # Lines before the first table, and further tables.
    keys: str = ""
    tables: str = ""
    level: str = "trace"

    def toml(self, access_log: Path) -> str:
        """The whole file."""
        return CONFIGURATION.format(
            upstream=self.upstream,
            keys=self.keys,
            listeners="\n".join(listener.toml for listener in self.listeners),
            certificates="\n".join(pair.toml for pair in self.certificates),
            tables=self.tables,
            level=self.level,
            access_log=access_log,
        )


class Edge:
    """One running tokenshim."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        if not BINARY.exists():
            raise SetupFailed(f"{BINARY} is missing: cargo build --release, or name another in TOKENSHIM_BIN")
        self.plan = plan
        self.ports = [listener.port for listener in plan.listeners]
        self.port = self.ports[0]
        self.access_log = folder / f"edge-{self.port}.json"
        self.file = folder / f"edge-{self.port}.toml"
        self.file.write_text(plan.toml(self.access_log))
        command: list[str | Path] = [BINARY, "serve", "--config", self.file]
        self.child = Child(f"edge-{self.port}", command, folder)
        for port in self.ports:
            self.child.wait_for_port(port, 10)

    def reload(self) -> None:
        """SIGHUP, as `systemctl reload` sends it."""
        self.child.process.send_signal(signal.SIGHUP)

    def diagnostics(self) -> str:
        """stderr so far."""
        return self.child.stderr.read_text("utf-8", "replace")

    def wait_for_diagnostics(self, text: str, seconds: float = 10.0) -> None:
        """Until stderr says so."""
        wait_until(f"{text!r} on stderr", lambda: text in self.diagnostics(), seconds)

    def lines(self, **wanted: object) -> list[dict[str, Any]]:
        """The access log's lines that have these fields."""
        if not self.access_log.exists():
            return []
        whole = self.access_log.read_text("utf-8").split("\n")[:-1]
        found = [json.loads(line) for line in whole]
        return [line for line in found if all(line[name] == value for name, value in wanted.items())]

    def line(self, **wanted: object) -> dict[str, Any]:
        """The one line that has these fields, once it is there."""
        wait_until(f"an access log line with {wanted}", lambda: self.lines(**wanted) != [])
        (line,) = self.lines(**wanted)
        return line

    def outputs(self) -> list[Path]:
        """Everything it writes."""
        return [self.child.stdout, self.child.stderr, self.access_log]


@dataclass
class Edges:
    """Starts them, and looks at all they wrote when the test is over."""

    folder: Path
    secrets: set[str] = field(default_factory=set)
    started: list[Edge] = field(default_factory=list)

    def start(self, upstream: str, *listeners: Listener, **rest: Any) -> Edge:
        """One more, with the fields of a `Plan`."""
        edge = Edge(self.folder, Plan(upstream, listeners or (Listener(),), **rest))
        self.started.append(edge)
        return edge

    def secret(self) -> str:
        """A token that must never be seen in what they write."""
        token = f"syt_RkFLRQ_FAKEcanarySECRET{secrets.token_hex(8)}_1aB2cD"
        self.secrets.add(token)
        return token

    def stop(self) -> None:
        """An orderly end of all, and the verdict."""
        statuses = [edge.child.stop() for edge in self.started]
        for edge in self.started:
            for file in edge.outputs():
                content = file.read_bytes() if file.exists() else b""
                assert judge.findings(content, self.secrets) == [], file.name
                assert b"panicked" not in content, file.name
        assert statuses == [0] * len(statuses)
