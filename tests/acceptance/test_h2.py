"""HTTP/2 with nghttp2's programs, curl, and frames of our own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import h2wire
import pytest
from certificates import Authority, Pair
from edge import NAME, Edge, Edges, Listener
from nghttp import h2load, nghttp
from origin import BLOCK, Origin, Seen, blob_hash

MIB = 1024 * 1024
BIG = 100 * MIB
MEMORY_LIMIT_KIB = 64 * 1024


@pytest.fixture
def front(edges: Edges, origin: Origin, pair: Pair) -> Iterator[Edge]:
    """With TLS, with prior knowledge, and without HTTP/2; the log as an operator has it."""
    listeners = (Listener(tls=True), Listener(http2=True), Listener())
    yield edges.start(origin.url, *listeners, certificates=[pair], level="info")


def addresses(edge: Edge) -> dict[str, str]:
    """Where HTTP/2 is spoken."""
    return {"TLS": f"https://127.0.0.1:{edge.ports[0]}", "cleartext": f"http://127.0.0.1:{edge.ports[1]}"}


@pytest.mark.parametrize("way", ["TLS", "cleartext"])
def test_nghttp(front: Edge, origin: Origin, edges: Edges, way: str) -> None:
    """The token leaves `:path`, in the usual spellings."""
    base = addresses(front)[way]
    for query in (
        "?access_token={}",
        "?a=1&access_token={}&b=2",
        "?access%5Ftoken={}",
        "?x=1;access_token={}",
    ):
        token = edges.secret()
        mark = len(origin.requests)
        seen = Seen.of(nghttp(f"{base}/_matrix/client/v3/account/whoami{query.format(token)}").encode())
        assert seen.values("authorization") == [f"Bearer {token}"], query
        assert "token" not in seen.target
        assert seen.values("host") == [base.partition("//")[2]]
        (request,) = origin.requests[mark:]
        assert request.line.endswith(b" HTTP/1.1")
    # `-v` shows the fields; ours is the answer that is not the origin's.
    text = nghttp("-v", f"{base}/_matrix/client/v3/account/whoami")
    assert ":status: 401" in text and "M_MISSING_TOKEN" in text


@pytest.mark.parametrize("way", ["TLS", "cleartext"])
def test_hundred_streams(front: Edge, origin: Origin, edges: Edges, way: str) -> None:
    """Ten thousand requests without one that failed, and a line for each."""
    url = f"{addresses(front)[way]}/p?access_token={edges.secret()}"
    mark = len(origin.requests)
    load = h2load("-n", "10000", "-c", "1", "-m", "100", url)
    assert load.not_succeeded == 0, load.text
    assert load.codes == (10_000, 0, 0, 0), load.text
    assert len(origin.requests) - mark == 10_000
    assert {request.target for request in origin.requests[mark:]} == {b"/p"}
    front.child.stop()
    assert len(front.lines(status=200, ending="complete", protocol="HTTP/2.0")) == 10_000


@pytest.mark.parametrize("way", ["TLS", "cleartext"])
def test_large_bodies(front: Edge, authority: Authority, tmp_path: Path, way: str) -> None:
    """100 MB each way, byte for byte, in flat memory."""
    upload, download = tmp_path / "upload", tmp_path / "download"
    with upload.open("wb") as file:
        for _ in range(BIG // MIB):
            file.write(BLOCK)
    base = addresses(front)[way]
    command: list[str | Path] = [
        "curl",
        "-sS",
        "--cacert",
        authority.file,
        "-w",
        "%{stderr}%{http_version} %{http_code}",
    ]
    command += ["--http2" if way == "TLS" else "--http2-prior-knowledge"]
    done = subprocess.run([*command, "-T", upload, f"{base}/p"], capture_output=True, check=True)
    assert done.stderr == b"2 200"
    told = Seen.of(done.stdout).told
    assert (told["length"], told["digest"]) == (BIG, blob_hash(BIG))
    done = subprocess.run([*command, "-o", download, f"{base}/blob/{BIG}"], capture_output=True, check=True)
    assert done.stderr == b"2 200"
    with download.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == blob_hash(BIG)
    assert front.child.memory_peak_kib() < MEMORY_LIMIT_KIB


def test_upload_without_a_length(front: Edge) -> None:
    """What has no `content-length` arrives in chunks."""
    with h2wire.Connection(h2wire.dial(front.ports[1])) as connection:
        answer = connection.ask("POST", b"/p", body=[BLOCK[:70_000], BLOCK[70_000:]])
    seen = Seen.of(bytes(answer.body))
    assert (seen.told["length"], seen.told["digest"]) == (MIB, blob_hash(MIB))
    assert (seen.values("transfer-encoding"), seen.values("content-length")) == (["chunked"], [])


def test_trailers(front: Edge, tmp_path: Path) -> None:
    """Both ways, with nghttp and with frames of our own."""
    with h2wire.Connection(h2wire.dial(front.ports[1])) as connection:
        answer = connection.ask("GET", b"/trailers", [(b"te", b"trailers")])
        assert bytes(answer.body) == b"hello"
        assert (b"x-checksum", b"5d41402a") in answer.trailers
        answer = connection.ask("POST", b"/p", body=b"hello", trailers=[(b"x-checksum", b"abc")])
        assert Seen.of(bytes(answer.body)).told["trailers"] == [["x-checksum", "abc"]]
    data = tmp_path / "data"
    data.write_text("hello")
    for base in addresses(front).values():
        assert "x-checksum: 5d41402a" in nghttp("-v", "-H", "te: trailers", f"{base}/trailers")
        text = nghttp("-d", data, "--trailer", "x-checksum: abc", "--no-content-length", f"{base}/p")
        assert Seen.of(text.encode()).told["trailers"] == [["x-checksum", "abc"]]


def test_cookies_are_joined(front: Edge) -> None:
    """RFC 9113 section 8.2.3: clients split them, HTTP/1.1 has one field."""
    cookies = [(b"cookie", b"a=1"), (b"x-between", b"y"), (b"cookie", b"b=2"), (b"cookie", b"c=3")]
    with h2wire.Connection(h2wire.dial(front.ports[1])) as connection:
        seen = Seen.of(bytes(connection.ask("GET", b"/p", cookies).body))
    assert seen.values("cookie") == ["a=1; b=2; c=3"]
    assert seen.values("x-between") == ["y"]


def test_one_host(front: Edge, origin: Origin) -> None:
    """`:authority` becomes `Host`; another `host` beside it is refused."""
    mark = len(origin.requests)
    with h2wire.Connection(h2wire.dial(front.ports[1])) as connection:
        same = connection.ask("GET", b"/p", [(b"host", NAME.encode())])
        assert Seen.of(bytes(same.body)).values("host") == [NAME]
        for other in ([(b"host", b"evil.example")], [(b"host", NAME.encode())] * 2):
            answer = connection.ask("GET", b"/p", other)
            assert answer.status == 400 or answer.reset, other
        pseudo = [(b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/p")]
        answer = connection.wait(connection.begin_raw([*pseudo, (b"host", b"alone.example")]))
        assert Seen.of(bytes(answer.body)).values("host") == ["alone.example"]
    assert len(origin.requests) - mark == 2


def test_streams_do_not_wait_for_each_other(front: Edge) -> None:
    """A long poll holds nothing up."""
    with h2wire.Connection(h2wire.dial(front.ports[1])) as connection:
        slow = connection.begin("GET", b"/slow/1500")
        started = time.monotonic()
        assert all(connection.ask("GET", b"/p").status == 200 for _ in range(20))
        assert time.monotonic() - started < 1
        assert connection.wait(slow).status == 200


def test_a_reset_stream_ends_its_request_alone(front: Edge) -> None:
    """A client that goes to another room gives its `/sync` up, not its connection."""
    with h2wire.Connection(h2wire.dial(front.ports[1])) as connection:
        slow = connection.begin("GET", b"/slow/5000")
        assert connection.ask("GET", b"/p").status == 200
        connection.reset(slow)
        assert connection.ask("GET", b"/p").status == 200
        line = front.line(target="/slow/5000")
    assert (line["status"], line["ending"]) == (499, "client_gone")


def test_http1_is_spoken_on_every_port(front: Edge, authority: Authority) -> None:
    """HTTP/2 is offered, never forced; `Upgrade: h2c` is not taken up and not passed on."""
    bases = {"--http1.1": [*addresses(front).values()], "--http2": [f"http://127.0.0.1:{front.ports[1]}"]}
    bases["--http2"].append(f"http://127.0.0.1:{front.ports[2]}")
    for option, urls in bases.items():
        for base in urls:
            command: list[str | Path] = [
                "curl",
                "-sS",
                option,
                "--cacert",
                authority.file,
                "-w",
                "%{stderr}%{http_version}",
            ]
            done = subprocess.run([*command, f"{base}/p"], capture_output=True, check=True)
            assert done.stderr == b"1.1", (option, base)
            seen = Seen.of(done.stdout)
            assert seen.values("upgrade") == seen.values("http2-settings") == [], (option, base)


def test_a_port_without_http2(front: Edge, origin: Origin) -> None:
    """The preface is a malformed request there; nothing answers in frames."""
    mark = len(origin.requests)
    with h2wire.dial(front.ports[2]) as wire:
        wire.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        answer = wire.recv(4096)
    assert answer.startswith((b"HTTP/1.1 505 ", b"HTTP/1.1 400 ")), answer
    assert len(origin.requests) == mark


def test_what_was_agreed_on_is_spoken(front: Edge, origin: Origin, authority: Authority) -> None:
    """ALPN decides; nobody looks at the bytes to find out."""
    mark = len(origin.requests)
    request = f"GET /p HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()
    with h2wire.dial(front.ports[0], h2wire.context(str(authority.file), ["h2"])) as wire:
        wire.sendall(request)
        answer = b"".join(iter(lambda: wire.recv(4096), b""))
    # Perhaps frames (SETTINGS, GOAWAY); in no case an answer.
    assert b"HTTP/1.1" not in answer and b"M_" not in answer, answer
    with h2wire.dial(front.ports[0], h2wire.context(str(authority.file), ["http/1.1"])) as wire:
        wire.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        answer = wire.recv(4096)
    assert answer.startswith((b"HTTP/1.1 505 ", b"HTTP/1.1 400 ")), answer
    assert len(origin.requests) == mark


def test_no_upgrade_over_http2(front: Edge, origin: Origin) -> None:
    """Neither extended CONNECT nor a WebSocket handshake in disguise."""
    mark = len(origin.requests)
    with h2wire.Connection(h2wire.dial(front.ports[1])) as connection:
        assert connection.ask("GET", b"/p").status == 200
        # SETTINGS_ENABLE_CONNECT_PROTOCOL, RFC 8441 section 3.
        assert connection.settings.get(8, 0) == 0
        pseudo = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"https")]
        extended = [*pseudo, (b":path", b"/ws"), (b":authority", NAME.encode())]
        answer = connection.wait(connection.begin_raw(extended))
        assert answer.reset or answer.status == 405, answer
        plain = connection.wait(connection.begin_raw([(b":method", b"CONNECT"), (b":authority", b"h:443")]))
        assert plain.reset or plain.status == 405, plain
        websocket = [
            (b"connection", b"Upgrade"),
            (b"upgrade", b"websocket"),
            (b"sec-websocket-version", b"13"),
        ]
        assert connection.ask("GET", b"/ws", websocket).reset == h2wire.PROTOCOL_ERROR
        assert connection.ask("GET", b"/p").status == 200, "the connection goes on"
    assert len(origin.requests) - mark == 2


def test_own_answers_are_whole(front: Edge) -> None:
    """HEAD has no body, and an error of the upstream looks like over HTTP/1.1."""
    with h2wire.Connection(h2wire.dial(front.ports[1])) as connection:
        head = connection.ask("HEAD", b"/_matrix/client/v3/sync")
        assert (head.status, bytes(head.body), head.value(b"content-length")) == (401, b"", b"60")
        answer = connection.ask("GET", b"/_matrix/client/v3/sync")
        assert json.loads(bytes(answer.body))["errcode"] == "M_MISSING_TOKEN"
        assert answer.value(b"connection") is None, "a field of HTTP/1.1 alone"
