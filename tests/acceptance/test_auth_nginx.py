"""nginx with `auth_request`, in the configuration of docs/external-auth.md as it is printed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPResponse
from pathlib import Path

import auth
import h2wire
import judge
import pytest
import rows
import wire
from certificates import Authority, Pair
from edge import NAME, Edge, Edges
from nginx import command
from origin import Origin, Seen
from processes import Child, free_port

POLICIES = sorted({row.policy for row in rows.all_rows()})
WHOAMI = "/_matrix/client/v3/account/whoami"
# Into a file here, so that what the page says of one is tried; `test_relay` has the relay.
RELAY = "syslog:server=unix:/run/tokenshim-relay/matrix_error.sock,nohostname,tag=nginx warn"

# What nginx does to a request before it asks.
ONE = "it takes one Authorization field"
TARGET = "it takes a path, or a URL, which it reads itself"
ITS_OWN = {
    "two Authorization fields": ONE,
    "two equal Authorization fields": ONE,
    "header wins: still not two headers": ONE,
    "absolute form overrules Host": "the configuration hands on the field",
    "absolute form without a path": TARGET,
    "absolute form with userinfo": TARGET,
    "asterisk": TARGET,
    "asterisk for another method": TARGET,
    "neither slash nor scheme": TARGET,
}

class Nginx:
    """The published block with ports and paths of the test, without TLS where a test wants none."""

    def __init__(self, folder: Path, origin: Origin, shim: Path, pair: Pair, level: str = "emerg") -> None:
        folder.mkdir()
        self.port = free_port()
        self.access_log = folder / "access.log"
        self.error_log = folder / "error.log"
        changes = {
            "server 127.0.0.1:8008;": f"server 127.0.0.1:{origin.port};",
            "/run/tokenshim/auth.sock": str(shim),
            "listen 443 ssl http2;": f"listen 127.0.0.1:{self.port} ssl http2;",
            "matrix.example.org;": f"{NAME};",
            "/etc/letsencrypt/live/matrix.example.org/fullchain.pem": str(pair.chain),
            "/etc/letsencrypt/live/matrix.example.org/privkey.pem": str(pair.key),
            "/var/log/nginx/matrix_access.log": str(self.access_log),
            RELAY: f"{self.error_log} {level}",
        }
        (folder / "matrix.conf").write_text(auth.changed(auth.block("nginx", "nginx"), changes))
        self.child = Child("nginx", command(folder), folder)
        self.child.wait_for_port(self.port, 10)


@pytest.fixture
def beside(
    edges: Edges, origin: Origin, pair: Pair, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Nginx, Edge]]:
    """nginx, and tokenshim beside it, with the keys of the parameter."""
    edges.secrets.add("SECRET")
    edge, path = auth.start(edges, origin, "auth", getattr(request, "param", ""))
    nginx = Nginx(tmp_path / "nginx", origin, path, pair)
    yield nginx, edge
    nginx.child.stop()
    logs = nginx.access_log.read_bytes() + nginx.error_log.read_bytes()
    assert judge.findings(logs, edges.secrets) == []


@pytest.mark.parametrize(
    "beside", [f"[relocate]\n{policy}\n" for policy in POLICIES], indirect=True, ids=lambda table: table[11:-1]
)
def test_rows(
    beside: tuple[Nginx, Edge], origin: Origin, authority: Authority, request: pytest.FixtureRequest
) -> None:
    """The upstream sees exact bytes; the client gets our answers."""
    nginx, _ = beside
    policy = request.node.callspec.params["beside"][11:-1]
    tls = h2wire.context(str(authority.file), ["http/1.1"])
    wrong = []
    for row in rows.all_rows():
        if row.policy == policy:
            outcome = rows.ask_http1(row, nginx.port, tls, origin)
            wrong += [f"{row.name}: {fault[:300]}" for fault in auth.faults(row, outcome, ITS_OWN)]
    assert not wrong, "\n".join(wrong)


def test_every_row_was_tried() -> None:
    """A name here that is no row any more would hide nothing, but mislead."""
    assert set(ITS_OWN) <= {row.name for row in rows.all_rows()}


def ask(nginx: Nginx, authority: Authority, method: str, target: str, **fields: str) -> wire.Answer:
    """One request over TLS, the certificate checked."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    head = {"Host": NAME, "Connection": "close", **named}
    text = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{key}: {value}\r\n" for key, value in head.items())
    tls = h2wire.context(str(authority.file), ["http/1.1"])
    with h2wire.dial(nginx.port, tls) as connection:
        connection.sendall(text.encode() + b"\r\n")
        response = HTTPResponse(connection, method=method)
        response.begin()
        names = {name.lower(): value for name, value in response.getheaders()}
        return wire.Answer(response.status, names, response.read())


def test_answers_are_exact(beside: tuple[Nginx, Edge], authority: Authority, edges: Edges) -> None:
    nginx, edge = beside
    for target in (WHOAMI, "/p?access_token=SECRET1&access_token=SECRET2", "/p?access_token=SECRET%00"):
        direct, through = wire.request(edge.port, "GET", target), ask(nginx, authority, "GET", target)
        assert (through.status, through.body) == (401, direct.body)
        for name in set(direct.fields) - {"date", "connection"}:
            assert through.fields[name] == direct.fields[name], name
    head = ask(nginx, authority, "HEAD", WHOAMI)
    assert (head.status, head.body) == (401, b"")
    assert ask(nginx, authority, "OPTIONS", WHOAMI).status == 200


def test_long_tokens_and_targets(beside: tuple[Nginx, Edge], authority: Authority, edges: Edges) -> None:
    """As long as nginx takes them: 8 KiB for the request line, and as much for a field."""
    nginx, _ = beside
    token = edges.secret() + 7800 * "a"
    edges.secrets.add(token)
    seen = Seen.of(ask(nginx, authority, "GET", wire.with_token("/p", token)).body)
    assert (seen.target, seen.values("authorization")) == ("/p", [f"Bearer {token}"])
    bearer, referer = f"Bearer {token}", f"https://c/?access_token={token}&" + 100 * "b"
    answer = ask(nginx, authority, "GET", "/" + 8000 * "a", Authorization=bearer, Referer=referer)
    assert answer.status == 200


def test_identity(
    edges: Edges,
    origin: Origin,
    pair: Pair,
    authority: Authority,
    tmp_path: Path,
    knowing: tuple[str, auth.Whoami],
    afterwards: ExitStack,
) -> None:
    """Who it is, is for us to say, and without an answer nobody is let in or logged out."""
    token, whoami = knowing
    settings = "[relocate]\nprofile = \"generic\"\n" + whoami.toml + "bad_tokens = 2\n"
    _, path = auth.start(edges, origin, "auth", settings)
    nginx = Nginx(tmp_path / "nginx", origin, path, pair)
    afterwards.callback(nginx.child.stop)
    forged = {"X_Matrix_User": "@eve:h", "X_Shim_User": "@eve:h"}
    seen = Seen.of(ask(nginx, authority, "GET", wire.with_token("/tool?a=%2F", token), **forged).body)
    assert seen.target == "/tool?a=%2F"
    assert seen.values("x-matrix-user") == ["@alice:h"]
    assert seen.values("x-matrix-device") == ["PHONE"]
    told = [ask(nginx, authority, "GET", wire.with_token("/tool", edges.secret())) for _ in range(4)]
    assert [answer.status for answer in told] == [401, 401, 429, 429]
    assert told[0].json()["errcode"] == "M_UNKNOWN_TOKEN"
    assert told[3].json()["errcode"] == "M_LIMIT_EXCEEDED"
    assert int(told[3].fields["retry-after"]) > 0
    assert ask(nginx, authority, "GET", wire.with_token("/tool", token)).status == 200, "never slowed"
    whoami.stop()
    away = ask(nginx, authority, "GET", wire.with_token("/tool", edges.secret()))
    assert (away.status, away.fields["retry-after"]) == (503, "5")
    nginx.child.stop()


@pytest.mark.parametrize("is_there", [True, False], ids=["refuses", "socket gone"])
@pytest.mark.parametrize("level", ["emerg", "crit", "error"])
def test_shim_is_away(
    edges: Edges,
    origin: Origin,
    pair: Pair,
    authority: Authority,
    tmp_path: Path,
    level: str,
    is_there: bool,
    afterwards: ExitStack,
) -> None:
    """503 and not 401; and what the page says of the error log."""
    token = edges.secret()
    path = tmp_path / "auth.sock"
    with socket.socket(socket.AF_UNIX) as nobody:
        if is_there:
            # Bound, and not listened to: connections are refused.
            nobody.bind(str(path))
        nginx = Nginx(tmp_path / "nginx", origin, path, pair, level)
        afterwards.callback(nginx.child.stop)
        mark = len(origin.requests)
        answer = ask(nginx, authority, "GET", wire.with_token("/p", token))
        assert (answer.status, answer.json()["errcode"]) == (503, "M_UNKNOWN")
        assert answer.fields["retry-after"] == "5"
        assert origin.requests[mark:] == []
        nginx.child.stop()
    assert judge.findings(nginx.access_log.read_bytes(), {token}) == []
    log = nginx.error_log.read_bytes()
    leaks = {"emerg": 0, "crit": 0 if is_there else 1, "error": 2}[level]
    assert log.count(token.encode()) == leaks
    assert (judge.findings(log, {token}) != []) == (leaks > 0)
