"""The real homeserver behind TLS and HTTP/2: clients, a long poll, media."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h2wire
import pytest
import wire
from certificates import Authority, Pair
from conftest import Chain
from edge import NAME, Edge, Edges, Listener
from processes import python_of, wait_until
from synapse import PASSWORD

MIB = 1024 * 1024
API = "/_matrix/client/v3"
CLIENTS = Path(__file__).parent / "clients"


@pytest.fixture
def front(chain: Chain, edges: Edges, pair: Pair) -> Iterator[Edge]:
    """The edge in front of the recorder and Synapse; clients on loopback are strangers to it."""
    upstream = f"http://127.0.0.1:{chain.recorder.port}"
    yield edges.start(upstream, Listener(tls=True), certificates=[pair], keys="trusted_proxies = []")
    edges.secrets |= chain.tokens


class Curl:
    """curl with HTTP/2 over TLS, the certificate checked."""

    def __init__(self, edge: Edge, authority: Authority, option: str = "--http2") -> None:
        resolved = f"{NAME}:{edge.port}:127.0.0.1"
        self.base = f"https://{NAME}:{edge.port}"
        self.command = ["curl", "-sS", option, "--cacert", str(authority.file), "--resolve", resolved]

    def run(self, target: str, *options: str | Path) -> bytes:
        """What is on stdout; any error ends the test."""
        command = [*self.command, *map(str, options), f"{self.base}{target}"]
        return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout

    def json(self, target: str, *options: str | Path) -> Any:
        """The answer's content."""
        return json.loads(self.run(target, *options))


@pytest.mark.parametrize("option", ["--http2", "--http1.1"])
def test_curl_logs_in_and_syncs(chain: Chain, front: Edge, authority: Authority, option: str) -> None:
    """As in the old documentation, with the token in the query throughout."""
    name = f"edge{secrets.token_hex(4)}"
    user_id = chain.synapse.register(name)
    curl = Curl(front, authority, option)
    content = json.dumps({"type": "m.login.password", "user": name, "password": PASSWORD})
    token = chain.secret(
        curl.json(f"{API}/login", "-d", content, "-H", "Content-Type: application/json")["access_token"]
    )
    mark = chain.recorder.mark()
    assert curl.json(f"{API}/account/whoami?access_token={token}")["user_id"] == user_id
    (request,) = chain.recorder.since(mark)
    assert request.line == f"GET {API}/account/whoami HTTP/1.1".encode()
    assert request.values(b"authorization") == [f"Bearer {token}".encode()]
    assert request.values(b"x-forwarded-proto") == [b"https"]
    since = curl.json(f"{API}/sync?access_token={token}")["next_batch"]
    started = time.monotonic()
    curl.json(f"{API}/sync?since={since}&timeout=1000&access_token={token}")
    assert time.monotonic() - started > 0.9, "it waited for news"
    protocol = "HTTP/2.0" if option == "--http2" else "HTTP/1.1"
    assert front.line(target=f"{API}/account/whoami?access_token=<redacted>")["protocol"] == protocol


def test_our_401_is_like_synapses(chain: Chain, front: Edge, authority: Authority) -> None:
    ours = Curl(front, authority).json(f"{API}/account/whoami")
    assert ours == wire.request(chain.synapse.port, "GET", f"{API}/account/whoami").json()


def test_news_reach_a_waiting_sync(chain: Chain, front: Edge, authority: Authority) -> None:
    """The poll and the message that ends it, on one connection."""
    _, token = chain.account()
    room = chain.room(token)
    bearer = f"access_token={token}".encode()
    tls = h2wire.context(str(authority.file), ["h2"])
    with h2wire.Connection(h2wire.dial(front.port, tls)) as connection:
        answer = connection.ask("GET", f"{API}/sync?".encode() + bearer)
        since = json.loads(bytes(answer.body))["next_batch"]
        poll = connection.begin("GET", f"{API}/sync?since={since}&timeout=20000&".encode() + bearer)
        target = f"{API}/rooms/{wire.escaped(room)}/send/m.room.message/{secrets.token_hex(4)}?"
        started = time.monotonic()
        body = json.dumps({"msgtype": "m.text", "body": "grüße"}).encode()
        sent = connection.ask(
            "PUT", target.encode() + bearer, [(b"content-type", b"application/json")], body=body
        )
        assert sent.status == 200, sent.body
        news = connection.wait(poll)
        assert time.monotonic() - started < 10
    assert json.loads(bytes(sent.body))["event_id"].encode() in bytes(news.body)


def test_media(chain: Chain, front: Edge, authority: Authority, tmp_path: Path) -> None:
    """Up and down, byte for byte."""
    _, token = chain.account()
    file = tmp_path / "media"
    file.write_bytes(hashlib.shake_256(b"media").digest(20 * MIB))
    curl = Curl(front, authority)
    upload = ["-H", "Content-Type: application/octet-stream", "--data-binary", f"@{file}"]
    media = curl.json(f"/_matrix/media/v3/upload?access_token={token}", *upload)["content_uri"]
    path = f"/_matrix/client/v1/media/download/{media.removeprefix('mxc://')}"
    assert curl.run(f"{path}?access_token={token}") == file.read_bytes()


def test_nio(chain: Chain, front: Edge, authority: Authority) -> None:
    """matrix-nio 0.26 with its own HTTP/2, over TLS."""
    name = f"nio{secrets.token_hex(4)}"
    user_id = chain.synapse.register(name)
    text = f"grüße {secrets.token_hex(4)}"
    command = [python_of("nio-0.26"), CLIENTS / "nio_http.py", f"https://{NAME}:{front.port}"]
    environment = {**os.environ, "SSL_CERT_FILE": str(authority.file)}
    done = subprocess.run(
        [*map(str, command), name, PASSWORD, text],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    chain.secret(result["token"])
    assert (result["user"], text in result["synced"], text in result["read"]) == (user_id, True, True)
    wait_until("the client's lines", lambda: len(front.lines(token_source="query")) >= 5)
    assert {line["protocol"] for line in front.lines()} == {"HTTP/2.0"}
