"""Envoy with `ext_authz`, by gRPC and by HTTP, in the configuration of docs/external-auth.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import auth
import judge
import pytest
import rows
import wire
from edge import Edge, Edges
from origin import Origin, Seen
from processes import Child, free_port, wait_until

POLICIES = sorted({row.policy for row in rows.all_rows()})
WHOAMI = "/_matrix/client/v3/account/whoami"

# What Envoy does to a request before it asks.
TARGET = "it takes a path or a URL with a path, and reads URLs itself"
REFERER = "a Referer with a fragment is no valid one, and is dropped"
ITS_OWN = {
    "absolute form without a path": TARGET,
    "absolute form with userinfo": TARGET,
    "asterisk": TARGET,
    "asterisk for another method": TARGET,
    "neither slash nor scheme": TARGET,
    "bridge, query: a raw hash cannot hide it": "it refuses a path with a raw hash",
    "Connection cannot take the client's header away": "it can take it away from Envoy",
    "Referer, behind a semicolon, with a fragment": REFERER,
    "Referer, token in the fragment": REFERER,
    "Referer without a token stays": REFERER,
    "a configured name in Referer": REFERER,
}


class Envoy:
    """One, with a bootstrap of its own."""

    def __init__(self, folder: Path, bootstrap: str, port: int) -> None:
        folder.mkdir()
        self.port = port
        self.access_log = folder / "access.log"
        file = folder / "envoy.yaml"
        file.write_text(bootstrap.replace("/var/log/envoy/matrix_access.log", str(self.access_log)))
        command: list[str | Path] = [auth.program("envoy"), "-c", file, "--concurrency", "1"]
        # Several on one machine would share a segment of memory by default.
        self.child = Child("envoy", [*command, "--disable-hot-restart", "--log-level", "warn"], folder)
        self.child.wait_for_port(port, 30)

    def lines(self) -> list[str]:
        """The access log, which Envoy writes when it stops."""
        return self.access_log.read_text("utf-8", "replace").split("\n")[:-1]


def bootstrap(origin: Origin, socket: Path, port: int) -> str:
    """The published one."""
    changes = {
        "address: 0.0.0.0, port_value: 8448": f"address: 127.0.0.1, port_value: {port}",
        "address: 127.0.0.1, port_value: 8008": f"address: 127.0.0.1, port_value: {origin.port}",
        "/run/tokenshim/authz.sock": str(socket),
    }
    return auth.changed(auth.block("Envoy, gRPC", "yaml"), changes)


@pytest.fixture
def beside(
    edges: Edges, origin: Origin, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Envoy, Edge]]:
    """Envoy, and tokenshim beside it, with the keys of the parameter."""
    edges.secrets.add("SECRET")
    edge, socket = auth.start(edges, origin, "ext_authz", getattr(request, "param", ""))
    port = free_port()
    envoy = Envoy(tmp_path / "envoy", bootstrap(origin, socket, port), port)
    yield envoy, edge
    envoy.child.stop()
    logs = envoy.access_log.read_bytes() + envoy.child.stderr.read_bytes() + envoy.child.stdout.read_bytes()
    assert judge.findings(logs, edges.secrets) == []


@pytest.mark.parametrize(
    "beside", [f"[relocate]\n{policy}\n" for policy in POLICIES], indirect=True, ids=lambda table: table[11:-1]
)
def test_rows(beside: tuple[Envoy, Edge], origin: Origin, request: pytest.FixtureRequest) -> None:
    """The upstream sees exact bytes; the client gets our answers."""
    envoy, edge = beside
    policy = request.node.callspec.params["beside"][11:-1]
    wrong = []
    for row in rows.all_rows():
        if row.policy == policy:
            outcome = auth.ask(row, envoy.port, origin)
            wrong += [f"{row.name}: {fault[:300]}" for fault in auth.faults(row, outcome, ITS_OWN)]
    assert not wrong, "\n".join(wrong)


def test_every_row_was_tried() -> None:
    """A name here that is no row any more would hide nothing, but mislead."""
    assert set(ITS_OWN) <= {row.name for row in rows.all_rows()}


def test_answers_are_exact(beside: tuple[Envoy, Edge], edges: Edges) -> None:
    envoy, edge = beside
    direct, through = (wire.request(port, "GET", WHOAMI) for port in (edge.port, envoy.port))
    assert (through.status, through.body) == (401, direct.body)
    ours = {name for name in direct.fields if name not in ("date", "connection")}
    assert {name: through.fields[name] for name in ours} == {name: direct.fields[name] for name in ours}
    head = wire.request(envoy.port, "HEAD", WHOAMI)
    assert (head.status, head.body) == (401, b"")
    long = edges.secret() + 12_000 * "a"
    edges.secrets.add(long)
    assert wire.request(envoy.port, "GET", wire.with_token("/p", long)).status == 200
    tail = wire.request(envoy.port, "GET", "/" + 9000 * "a" + f"?access_token={long}")
    assert tail.status == 414
    assert tail.json()["errcode"] == "M_TOO_LARGE"
    # Two were asked about, and one came by itself.
    wait_until("the lines of all", lambda: len(edge.lines(target=WHOAMI, status=401)) == 3)


def test_identity(
    edges: Edges, origin: Origin, tmp_path: Path, knowing: tuple[str, auth.Whoami], afterwards: ExitStack
) -> None:
    """Who it is, is for us to say, and without an answer nobody is let in or logged out."""
    token, whoami = knowing
    _, socket = auth.start(edges, origin, "ext_authz", "[relocate]\nprofile = \"generic\"\n" + whoami.toml)
    port = free_port()
    envoy = Envoy(tmp_path / "envoy", bootstrap(origin, socket, port), port)
    afterwards.callback(envoy.child.stop)
    forged = {"X-Matrix-User": "@eve:h", "X-Token-Label": "eve"}
    seen = Seen.of(wire.request(port, "GET", wire.with_token("/tool?a=%2F", token), fields=forged).body)
    assert seen.target == "/tool?a=%2F"
    assert seen.values("x-matrix-user") == ["@alice:h"]
    assert seen.values("x-matrix-device") == ["PHONE"]
    assert seen.values("x-token-label") == []
    unknown = wire.request(port, "GET", wire.with_token("/tool", edges.secret()))
    assert (unknown.status, unknown.json()["errcode"]) == (401, "M_UNKNOWN_TOKEN")
    assert wire.request(port, "GET", "/tool").json()["errcode"] == "M_MISSING_TOKEN"
    whoami.stop()
    away = wire.request(port, "GET", wire.with_token("/tool", edges.secret()))
    assert (away.status, away.fields["retry-after"]) == (503, "5")
    edges.started[-1].child.stop()
    gone = wire.request(port, "GET", wire.with_token("/tool", token))
    assert gone.status == 503
    envoy.child.stop()
    assert judge.findings(envoy.access_log.read_bytes(), edges.secrets) == []


# The page says that it is put in the place of these.
GRPC = """\
                      # Fields as they came: two of a name are not one with a comma.
                      encode_raw_headers: true
"""


def test_by_http(edges: Edges, origin: Origin, tmp_path: Path, afterwards: ExitStack) -> None:
    """A verdict and a header; the path stays as it was."""
    token = edges.secret()
    edge, socket = auth.start(edges, origin, "auth")
    port = free_port()
    text = bootstrap(origin, socket, port)
    before, _, rest = text.partition("                      grpc_service:\n")
    _, _, rest = rest.partition("                        timeout: 10s\n")
    inset = "".join(f"{22 * ' '}{line}\n" for line in auth.block("Envoy, HTTP", "yaml").splitlines())
    text = auth.changed(before + inset + rest, {GRPC: "", "{ http2_protocol_options: {} }": "{ http_protocol_options: {} }"})
    envoy = Envoy(tmp_path / "envoy", text, port)
    afterwards.callback(envoy.child.stop)
    seen = Seen.of(wire.request(port, "GET", wire.with_token("/p%2F//q", token)).body)
    assert seen.target == f"/p%2F//q?access_token={token}"
    assert seen.values("authorization") == [f"Bearer {token}"]
    direct, through = (wire.request(at, "GET", WHOAMI) for at in (edge.port, port))
    assert (through.status, through.body) == (401, direct.body)
    for name in ("www-authenticate", "access-control-allow-origin", "content-type"):
        assert through.fields[name] == direct.fields[name]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert wire.request(port, "POST", "/_matrix/client/v3/logout", body=b"a=b", fields=form).status == 200
    # The client's own word for what is asked about is nobody's.
    forged = {"X-Forwarded-Uri": "/_matrix/client/versions", "X-Original-URI": "/"}
    assert wire.request(port, "GET", WHOAMI, fields=forged).status == 401
    envoy.child.stop()
