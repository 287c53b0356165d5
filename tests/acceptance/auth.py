"""tokenshim beside another proxy: its listeners for questions, and the published configurations."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h2wire
import judge
import rows
from edge import Edge, Edges
from origin import Origin
from processes import INSTALLED, REPOSITORY, SetupFailed

PAGE = REPOSITORY / "docs" / "external-auth.md"
PEERS = REPOSITORY / "target" / "peers"


@dataclass(frozen=True)
class Question:
    """A `[[listen]]` on a socket of its own."""

    path: Path
    role: str

    @property
    def toml(self) -> str:
        """The table of a configuration file."""
        return f'[[listen]]\naddress = "unix:{self.path}"\nrole = "{self.role}"\n'


def start(edges: Edges, origin: Origin, role: str, tables: str = "") -> tuple[Edge, Path]:
    """tokenshim with a listener of the role, and its socket."""
    socket = edges.folder / f"{role}-{len(edges.started)}.sock"
    question = Question(socket, role)
    return edges.start(origin.url, tables=question.toml + tables), socket


def block(heading: str, language: str) -> str:
    """The first block of a language below a heading of the page."""
    _, _, rest = PAGE.read_text("utf-8").partition(f"\n## {heading}\n")
    _, fence, rest = rest.partition(f"```{language}\n")
    if not fence:
        raise SetupFailed(f"{PAGE.name} no longer has a block of {language} below {heading!r}")
    return rest.partition("```")[0]


def changed(text: str, changes: dict[str, str]) -> str:
    """The text with only ports and paths changed; each of them must be there."""
    for printed, ours in changes.items():
        if printed not in text:
            raise SetupFailed(f"{PAGE.name} no longer has {printed!r}")
        text = text.replace(printed, ours)
    return text


def program(name: str) -> Path:
    """A proxy of the Python environment `proxies`, or of the one that the benchmarks made."""
    folders = [INSTALLED / "venv-proxies", PEERS / "venv"]
    # Envoy's wheel has a Python script in front of the program.
    wheel = "lib/*/site-packages/envoy/_bin"
    for place in (place for folder in folders for place in (*folder.glob(wheel), folder / "bin")):
        if found := shutil.which(name, path=str(place)):
            return Path(found)
    raise SetupFailed(f"{name} is missing: run tests/run, which installs it")


def ask(row: rows.Row, port: int, origin: Origin) -> rows.Outcome:
    """A row by plain HTTP/1.1, on a connection of its own."""
    mark = len(origin.requests)
    with h2wire.dial(port) as connection:
        connection.sendall(row.http1())
        response = HTTPResponse(connection, method=row.method)
        response.begin()
        return rows.outcome(response.status, response.read(), origin.requests[mark:])


def faults(row: rows.Row, outcome: rows.Outcome, its_own: Mapping[str, str]) -> list[str]:
    """What is not as the row says, where a proxy stands in front that treats some rows in its own way.

    In `its_own` way or ours, no token may be left in a URL.

    The body of a form stays with the proxy: nothing is taken out of it, and nothing is
    concluded from it; target and header are as they would be without it.
    """
    found = row.faults(outcome)
    if row.name in its_own:
        if not found:
            return [f"as the row says, and not in another way ({its_own[row.name]})"]
        is_clean = outcome.seen is None or not judge.names_token(outcome.seen.head)
        return [] if is_clean else [f"a token is left: {outcome.shown}"]
    if not found or not has_form(row):
        return found
    if outcome.seen is None or outcome.body.encode("latin-1") != (row.body or b""):
        return [f"the form did not pass as it is: {outcome.shown}"]
    return ["a token is left in the target"] if judge.names_token(outcome.seen.line) else []


def has_form(row: rows.Row) -> bool:
    """Whether the body may be a form."""
    form = b"application/x-www-form-urlencoded"
    return any(name == b"content-type" and value.lower().startswith(form) for name, value in row.fields())


class Whoami:
    """A homeserver that knows one token."""

    def __init__(self, token: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """The only endpoint that is asked."""
                known = self.headers["Authorization"] == f"Bearer {token}"
                told = {"user_id": "@alice:h", "device_id": "PHONE"}
                unknown = {"errcode": "M_UNKNOWN_TOKEN", "error": "Unrecognised token", "soft_logout": False}
                content = json.dumps(told if known else unknown).encode()
                self.send_response(200 if known else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Takes no more connections."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def toml(self) -> str:
        """The `[verify]` that asks it."""
        return f'[verify]\nmode = "whoami"\nhomeserver = "http://127.0.0.1:{self.port}"\n'
