"""WebSocket with the `websockets` library at both ends, through plain TCP and TLS."""

from __future__ import annotations

import hashlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field

import h2wire
import pytest
from certificates import Authority, Pair
from edge import NAME, Edge, Edges, Listener
from processes import free_port
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve

MIB = 1024 * 1024
LARGEST = 16 * MIB


@dataclass
class Echo:
    """Sends back what it gets; closes or falls silent when it is asked to."""

    port: int = field(default_factory=free_port)
    handshakes: list[tuple[str, list[str]]] = field(default_factory=list)
    # How each connection ended, as its handler saw it.
    ends: list[tuple[int | None, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = serve(self._talk, "127.0.0.1", self.port, max_size=LARGEST)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No more connections; those that are open end with the run."""
        self._server.socket.close()

    def _talk(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.handshakes.append((connection.request.path, connection.request.headers.get_all("Authorization")))
        try:
            for message in connection:
                if message == "close":
                    connection.close(4001, "as you wish")
                elif message == "break":
                    connection.socket.shutdown(socket.SHUT_RDWR)
                else:
                    connection.send(message)
        except ConnectionClosed:
            pass
        self.ends.append((connection.close_code, connection.close_reason or ""))


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    """The real server behind the edge."""
    server = Echo()
    yield server
    server.stop()


@dataclass
class Front:
    """An edge, and how a client reaches it."""

    edge: Edge
    url: str
    tls: ssl.SSLContext | None

    def open(self, target: str = "/ws") -> AbstractContextManager[ClientConnection]:
        """A WebSocket; no proxy of the environment in between."""
        port = self.edge.port
        wire = socket.create_connection(("127.0.0.1", port), timeout=10)
        if self.tls:
            wire = self.tls.wrap_socket(wire, server_hostname=NAME)
            read_tickets(wire)
        return connect(
            f"{self.url}{target}",
            sock=wire,
            max_size=LARGEST,
            proxy=None,
        )


def read_tickets(wire: ssl.SSLSocket) -> None:
    """Takes in the session tickets, which follow the handshake of TLS 1.3.

    The library reads in one thread and writes in another. OpenSSL forbids that for
    one session, and this Python does not prevent it: a ticket that comes in while
    the request is written can keep the request from ever being sent.
    """
    wire.setblocking(False)
    deadline = time.monotonic() + 10
    while wire.session is None or not wire.session.has_ticket:
        assert time.monotonic() < deadline, "no session ticket came"
        select.select([wire], [], [], 1)
        with suppress(ssl.SSLWantReadError):
            wire.recv(1)
    wire.settimeout(10)


@pytest.fixture(params=["ws", "wss"])
def front(
    request: pytest.FixtureRequest, edges: Edges, echo: Echo, pair: Pair, authority: Authority
) -> Front:
    """With and without TLS."""
    return start(edges, echo, pair, authority, request.param)


def start(edges: Edges, echo: Echo, pair: Pair, authority: Authority, scheme: str, tables: str = "") -> Front:
    """An edge for one of the two schemes."""
    is_tls = scheme == "wss"
    listener = Listener(tls=is_tls)
    edge = edges.start(f"http://127.0.0.1:{echo.port}", listener, certificates=[pair], tables=tables)
    # As browsers do: a WebSocket is asked for in HTTP/1.1 alone.
    tls = h2wire.context(str(authority.file), ["http/1.1"]) if is_tls else None
    # The library is given a stream that is encrypted already, so it is `ws` for it.
    return Front(edge, f"ws://{NAME}:{edge.port}", tls)


def test_messages(front: Front) -> None:
    """Text, bytes and large ones come back as they were."""
    large = hashlib.shake_256(b"large").digest(MIB)
    with front.open() as client:
        for message in ("text", "grüße 🙂", b"\x00\xff bytes", "", b"", large, large.hex(), large * 8):
            client.send(message)
            assert client.recv(timeout=10) == message
        # Several on their way at once.
        for number in range(200):
            client.send(str(number))
        assert [client.recv(timeout=10) for _ in range(200)] == [str(number) for number in range(200)]
        assert client.ping().wait(10)


def test_token_of_the_url_is_moved(front: Front, echo: Echo, edges: Edges) -> None:
    token = edges.secret()
    mark = len(echo.handshakes)
    with front.open(f"/ws?a=1&access_token={token}&b") as client:
        client.send("hello")
        assert client.recv(timeout=10) == "hello"
    assert echo.handshakes[mark:] == [("/ws?a=1&b", [f"Bearer {token}"])]
    line = front.edge.line(status=101)
    assert line["target"] == "/ws?a=1&access_token=<redacted>&b"
    assert (line["token_source"], line["ending"]) == ("query", "complete")


def test_required_token_is_asked_for(front: Front, echo: Echo) -> None:
    """An upgrade is no way around our own 401."""
    mark = len(echo.handshakes)
    with pytest.raises(InvalidStatus) as refused, front.open("/_matrix/client/v3/sync"):
        pass
    assert refused.value.response.status_code == 401
    assert b"M_MISSING_TOKEN" in (refused.value.response.body or b"")
    assert echo.handshakes[mark:] == []


def test_client_closes(front: Front, echo: Echo) -> None:
    with front.open() as client:
        client.close(4002, "enough")
    assert (client.close_code, client.close_reason) == (4002, "enough")
    front.edge.line(status=101)
    assert echo.ends[-1] == (4002, "enough")


def test_server_closes(front: Front) -> None:
    with front.open() as client:
        client.send("close")
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=10)
    assert (client.close_code, client.close_reason) == (4001, "as you wish")
    front.edge.line(status=101)


def test_server_breaks_off(front: Front) -> None:
    """No close frame: the client learns it at once."""
    with front.open() as client:
        client.send("break")
        with pytest.raises(ConnectionClosedError):
            client.recv(timeout=10)
    front.edge.line(status=101)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_idle_tunnel_ends(edges: Edges, echo: Echo, pair: Pair, authority: Authority, scheme: str) -> None:
    """`timeouts.tunnel`, counted from the last byte in either direction; the library pings every 20 s."""
    front = start(edges, echo, pair, authority, scheme, '[timeouts]\ntunnel = "2s"')
    with front.open() as client:
        started = time.monotonic()
        for _ in range(6):
            time.sleep(0.5)
            client.send("still here")
            assert client.recv(timeout=10) == "still here"
        quiet = time.monotonic()
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=10)
    assert quiet - started > 2.5, "it lived longer than the limit, for it was used"
    assert 1.8 < time.monotonic() - quiet < 8
    front.edge.line(status=101)


@pytest.mark.parametrize("front", ["wss"], indirect=True)
def test_http2_is_not_offered_an_upgrade(front: Front, echo: Echo, authority: Authority) -> None:
    """With ALPN `h2` there is no WebSocket: RFC 8441 is not spoken."""
    mark = len(echo.handshakes)
    wire = h2wire.dial(front.edge.port, h2wire.context(str(authority.file), ["h2"]))
    with h2wire.Connection(wire) as connection:
        block = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"https")]
        block += [(b":path", b"/ws"), (b":authority", NAME.encode()), (b"sec-websocket-version", b"13")]
        answer = connection.wait(connection.begin_raw(block))
        assert answer.reset or answer.status == 405
        assert connection.settings.get(8, 0) == 0
    assert echo.handshakes[mark:] == []


def test_half_close_passes(edges: Edges) -> None:
    """The client has said all; the upstream sees that, and may still speak."""
    heard = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        edge = edges.start(f"http://127.0.0.1:{port}")

        def upstream() -> None:
            wire, _ = listener.accept()
            with wire, wire.makefile("rb") as lines:
                while lines.readline() not in (b"\r\n", b""):
                    pass
                wire.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
                heard.extend(lines.read())
                wire.sendall(b"I heard %d bytes" % len(heard))

        thread = threading.Thread(target=upstream, daemon=True)
        thread.start()
        with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as wire:
            wire.sendall(b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
            answer = wire.recv(4096)
            assert answer.startswith(b"HTTP/1.1 101 "), answer
            wire.sendall(b"the last words")
            wire.shutdown(socket.SHUT_WR)
            rest = b"".join(iter(lambda: wire.recv(4096), b""))
        thread.join(10)
    assert (bytes(heard), rest) == (b"the last words", b"I heard 14 bytes")
    edge.line(status=101)
