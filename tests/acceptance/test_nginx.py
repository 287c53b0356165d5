"""The published nginx example in front of the shim."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import judge
import wire
from conftest import Chain
from nginx import Nginx
from processes import free_port

WHOAMI = "/_matrix/client/v3/account/whoami"
FAKE = "syt_ZmFrZQ_FAKEcanarySECRETtoke_1aB2cD"


def test_nginx_accepts_the_example(nginx: Nginx) -> None:
    assert nginx.verdict.returncode == 0, nginx.verdict.stderr
    # `listen … http2` is the only spelling that old and new releases both take.
    warnings = [line for line in nginx.verdict.stderr.splitlines() if "[warn]" in line]
    assert [line for line in warnings if "deprecated" not in line] == []


def test_old_request_through_nginx(chain: Chain, nginx: Nginx, bob: str) -> None:
    seen, logged = chain.recorder.mark(), len(nginx.lines())
    fields = {"Referer": f"https://chat.example.org/?access_token={bob}", "X-Forwarded-For": "203.0.113.7"}
    answer = nginx.request("GET", wire.with_token(WHOAMI, bob), fields=fields)
    assert answer.json()["user_id"] == "@bob:localhost"
    (request,) = chain.recorder.since(seen)
    assert request.target == WHOAMI.encode()
    assert request.values(b"authorization") == [f"Bearer {bob}".encode()]
    assert request.values(b"x-forwarded-for") == [b"127.0.0.1"]
    assert request.values(b"x-forwarded-proto") == [b"https"]
    line = nginx.line_after(logged)
    assert f'"GET {WHOAMI} HTTP/1.1" 200' in line
    assert "token" not in line


def test_path_bytes_are_kept(chain: Chain, nginx: Nginx, bob: str) -> None:
    room = chain.room(bob)
    content = {"topic": "slashes"}
    # A state key with a slash, escaped as it must be, and a room id left half bare.
    path = f"/_matrix/client/v3/rooms/{room.replace(':', '%3a')}/state/org.example.test/a%2Fb%20c"
    seen = chain.recorder.mark()
    answer = nginx.request("PUT", wire.with_token(path, bob), json.dumps(content).encode())
    assert answer.status == 200, answer.body
    assert chain.recorder.since(seen)[0].target == path.encode()
    assert nginx.request("GET", wire.with_token(path, bob)).json() == content


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[Nginx]:
    """nginx with nobody behind it: what it logs when the shim is away."""
    server = Nginx(tmp_path, free_port())
    yield server
    server.stop()


def test_error_log_stays_clean_while_the_shim_is_away(lonely: Nginx) -> None:
    """At nginx's own level `error` the refused connection is logged with the token, twice."""
    assert lonely.request("GET", wire.with_token(WHOAMI, FAKE)).status == 502
    assert '" 502 ' in lonely.line_after(0)
    assert judge.findings(lonely.access_log.read_bytes() + lonely.error_log.read_bytes(), {FAKE}) == []


def test_token_behind_a_forgotten_question_mark_is_not_logged(lonely: Nginx) -> None:
    lonely.request("GET", f"{WHOAMI}&access_token={FAKE}")
    assert '"GET - HTTP/1.1" 502' in lonely.line_after(0)


def test_body_limit_lets_large_uploads_pass(nginx: Nginx) -> None:
    """The announced length decides: nginx refuses before it reads a body that is too long."""
    assert refused(nginx, 250 * 1024 * 1024)
    assert not refused(nginx, 150 * 1024 * 1024)


def refused(nginx: Nginx, length: int) -> bool:
    """Whether a body of that length is turned away at once."""
    head = f"POST /_matrix/media/v3/upload HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    with nginx.connection() as connection:
        connection.connect()
        connection.sock.settimeout(2)
        connection.sock.sendall(head.encode())
        try:
            return b" 413 " in connection.sock.recv(100)
        except TimeoutError:
            return False
