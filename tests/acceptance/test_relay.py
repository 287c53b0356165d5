"""nginx logs through `tokenshim relay`: every line arrives, and no token in any of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import auth
import judge
import pytest
import wire
from certificates import Authority, Pair
from edge import NAME, Edges
from origin import Origin
from processes import free_port, wait_until
from relay import Nginx, Relay, ask, canary, published, requests, spellings
from test_auth_nginx import ask as ask_tls


@pytest.fixture
def token(tmp_path: Path) -> Iterator[str]:
    """The canary; in the end it is in no file but those that are there to show it."""
    token = canary()
    yield token
    for file in tmp_path.rglob("*"):
        if file.is_file() and not file.name.startswith(("control", "matrix.conf")):
            assert judge.findings(file.read_bytes(), {token}) == [], file.name


def logging(folder: Path, upstream: int, error: Path, access: Path, port: int) -> str:
    """The published block, and beside its error log one that shows what nginx would have written."""
    control = f"error_log {folder}/control.log warn;\n    error_log "
    return published(
        {
            "listen 127.0.0.1:8080;": f"listen 127.0.0.1:{port};",
            "http://127.0.0.1:8008;": f"http://127.0.0.1:{upstream};",
            "/run/tokenshim-relay/error.sock": str(error),
            "/run/tokenshim-relay/access.sock": str(access),
            "error_log ": control,
        }
    )


def test_both_logs_with_the_upstream_away(tmp_path: Path, token: str, afterwards: ExitStack) -> None:
    """nginx writes the raw request into each of its messages, and none of it reaches a file."""
    error, access = Relay(tmp_path, "error"), Relay(tmp_path, "access")
    afterwards.callback(error.child.stop)
    afterwards.callback(access.child.stop)
    port = free_port()
    nginx = Nginx(tmp_path, port, logging(tmp_path, free_port(), error.place, access.place, port))
    afterwards.callback(nginx.stop)
    sent = spellings(token)
    for number, (target, fields) in enumerate(sent, 1):
        assert ask(port, target, fields) == 502
        for relay in (error, access):
            wait_until("its line", lambda relay=relay, number=number: len(relay.lines()) == number)
    control = (tmp_path / "control.log").read_text()
    assert control.count(token) >= 8, "without a relay it is there"
    assert control.count("\n") == len(sent)
    for ours, theirs in zip(error.lines(), control.split("\n"), strict=False):
        assert "connect() failed (111: Connection refused) while connecting to upstream" in ours
        assert ours[:60] == theirs[:60], "as the file would have it"
    masked = "".join(access.lines())
    assert masked.count("<redacted>") >= len(sent)
    assert masked.count('" 502 ') == len(sent)
    nginx.stop()
    error.stop()
    access.stop()
    assert "lost=0" in error.told() and "lost=0" in access.told()


def test_the_relay_is_away_for_a_while(tmp_path: Path, token: str, afterwards: ExitStack) -> None:
    """Lines are lost, and nothing else: nginx answers, no token gets anywhere, and later lines arrive."""
    error, access = Relay(tmp_path, "error"), Relay(tmp_path, "access")
    afterwards.callback(lambda: error.child.stop())
    afterwards.callback(access.child.stop)
    port = free_port()
    nginx = Nginx(tmp_path, port, logging(tmp_path, free_port(), error.place, access.place, port))
    afterwards.callback(nginx.stop)
    target = f"/p?access_token={token}"
    assert ask(port, target, {}) == 502
    wait_until("a line", lambda: len(error.lines()) == 1)
    error.child.process.kill()
    error.child.process.wait()
    assert [ask(port, target, {}) for _ in range(3)] == [502, 502, 502]
    error.start()
    wait_until("it is found again", lambda: ask(port, target, {}) == 502 and len(error.lines()) > 1)
    nginx.stop()


def test_a_named_pipe(tmp_path: Path, token: str, afterwards: ExitStack) -> None:
    """For whoever writes files only; it outlives nginx."""
    access = Relay(tmp_path, "access", "fifo")
    afterwards.callback(access.child.stop)
    for round_ in (1, 2):
        port = free_port()
        block = f"server {{ listen 127.0.0.1:{port}; access_log {access.place}; return 204; }}"
        nginx = Nginx(tmp_path, port, block)
        afterwards.callback(nginx.stop)
        sent = spellings(token)
        for target, fields in sent:
            assert ask(port, target, fields) == 204
        wait_until("all lines", lambda: len(access.lines()) == round_ * len(sent))
        nginx.stop()
    assert all('" 204 0 ' in line for line in access.lines())


def test_rotation_loses_no_line(tmp_path: Path, token: str, afterwards: ExitStack) -> None:
    """SIGUSR1 while nginx writes; through a pipe, where the kernel drops nothing."""
    access = Relay(tmp_path, "access", "fifo")
    afterwards.callback(access.child.stop)
    port = free_port()
    block = f"server {{ listen 127.0.0.1:{port}; access_log {access.place}; return 204; }}"
    nginx = Nginx(tmp_path, port, block)
    afterwards.callback(nginx.stop)
    rotated: list[Path] = []
    with requests(port, spellings(token)) as sent:

        def wait_for_lines() -> None:
            mark = sent[0]
            wait_until("more requests", lambda: sent[0] > mark + 50)
            wait_until("lines in the file", lambda: access.log.stat().st_size > 0)

        for number in range(10):
            wait_for_lines()
            rotated.append(access.log.rename(tmp_path / f"access.log.{number}"))
            access.reopen()
            wait_until("the new file", access.log.exists)
        wait_for_lines()
    rotated.append(access.log)

    def lines() -> int:
        return sum(file.read_bytes().count(b"\n") for file in rotated)

    wait_until("all lines", lambda: lines() == sent[0])
    assert sent[0] > 500 and all(file.stat().st_size for file in rotated)


def test_the_shim_is_killed_while_nginx_asks(
    edges: Edges, origin: Origin, pair: Pair, authority: Authority, tmp_path: Path, afterwards: ExitStack
) -> None:
    """The page's `auth_request` with its error log at `warn`: messages, and no token in them."""
    folder = tmp_path / "nginx"
    folder.mkdir()
    error = Relay(tmp_path, "error")
    afterwards.callback(error.child.stop)
    edge, shim = auth.start(edges, origin, "auth")
    port = free_port()
    changes = {
        "server 127.0.0.1:8008;": f"server 127.0.0.1:{origin.port};",
        "/run/tokenshim/auth.sock": str(shim),
        "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
        "matrix.example.org;": f"{NAME};",
        "/etc/letsencrypt/live/matrix.example.org/fullchain.pem": str(pair.chain),
        "/etc/letsencrypt/live/matrix.example.org/privkey.pem": str(pair.key),
        "/var/log/nginx/matrix_access.log": str(folder / "access.log"),
        "/run/tokenshim-relay/matrix_error.sock": str(error.place),
    }
    nginx = Nginx(folder, port, auth.changed(auth.block("nginx", "nginx"), changes))
    afterwards.callback(nginx.stop)
    secrets = [edges.secret() for _ in range(3)]
    assert ask_tls(nginx, authority, "GET", wire.with_token("/p", secrets[0])).status == 200
    # Held by nobody: the socket's file stays, and refuses.
    edge.child.process.kill()
    edge.child.process.wait()
    assert ask_tls(nginx, authority, "GET", wire.with_token("/p", secrets[1])).status == 503
    shim.unlink()
    assert ask_tls(nginx, authority, "GET", wire.with_token("/p", secrets[2])).status == 503
    wait_until("what nginx says of it", lambda: len(error.lines()) >= 4)
    assert any("[crit]" in line and "No such file" in line for line in error.lines())
    nginx.stop()
    error.stop()
    # It was killed, which the fixture would take for a fault of its own.
    edges.started.remove(edge)
    for file in (error.log, folder / "access.log", folder / "main-error.log", *edge.outputs()):
        assert judge.findings(file.read_bytes(), edges.secrets) == [], file.name
