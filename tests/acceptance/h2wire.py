"""HTTP/2 with exactly the bytes that a test wants, by the `h2` library.

Its checks of what goes out are off: what the other side does with a broken
request is what these tests are about.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings

PROTOCOL_ERROR = int(h2.errors.ErrorCodes.PROTOCOL_ERROR)

Fields = Sequence[tuple[bytes, bytes]]


# RFC 9113 section 4.1, and section 6.8.
HEADER = 9
GOAWAY = 7


@dataclass(frozen=True)
class Goaway:
    """What the server says when it leaves."""

    last_stream: int
    code: int


@dataclass
class Answer:
    """What came on one stream."""

    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    # The code of RST_STREAM, and whether the answer is whole.
    reset: int | None = None
    is_ended: bool = False

    @property
    def status(self) -> int:
        """0 where there was none."""
        return int(self.value(b":status") or 0)

    def value(self, name: bytes) -> bytes | None:
        """The first field of that name."""
        return next((value for key, value in self.fields if key == name), None)


def context(authority: str, protocols: list[str]) -> ssl.SSLContext:
    """A client's side of TLS that checks the certificate."""
    made = ssl.create_default_context(cafile=authority)
    made.set_alpn_protocols(protocols)
    return made


def dial(port: int, tls: ssl.SSLContext | None = None, name: str = "matrix.localhost") -> socket.socket:
    """A connection to loopback, with TLS if asked for."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=30)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return tls.wrap_socket(plain, server_hostname=name) if tls else plain


class Connection:
    """One client connection; requests one after the other, or several begun before they are awaited."""

    def __init__(self, wire: socket.socket) -> None:
        self.wire = wire
        self.goaway: Goaway | None = None
        self._pending = b""
        self.settings: dict[int, int] = {}
        self._answers: dict[int, Answer] = {}
        configuration = h2.config.H2Configuration(
            header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.state = h2.connection.H2Connection(configuration)
        self.state.initiate_connection()
        self._send()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def ask(
        self,
        method: str,
        path: bytes,
        fields: Fields = (),
        *,
        body: bytes | Iterable[bytes] = b"",
        trailers: Fields = (),
        authority: bytes = b"matrix.localhost",
    ) -> Answer:
        """One request, and the whole answer to it."""
        return self.wait(self.begin(method, path, fields, body=body, trailers=trailers, authority=authority))

    def begin(
        self,
        method: str,
        path: bytes,
        fields: Fields = (),
        *,
        body: bytes | Iterable[bytes] = b"",
        trailers: Fields = (),
        authority: bytes = b"matrix.localhost",
    ) -> int:
        """The number of a stream on which a whole request was sent."""
        pseudo = [(b":method", method.encode()), (b":scheme", b"https"), (b":path", path)]
        return self.begin_raw([*pseudo, (b":authority", authority), *fields], body, trailers)

    def begin_raw(self, block: Fields, body: bytes | Iterable[bytes] = b"", trailers: Fields = ()) -> int:
        """The same with all fields as they are, the pseudo-fields too."""
        stream = self.state.get_next_available_stream_id()
        self._answers[stream] = answer = Answer()
        pieces = [body] if isinstance(body, bytes) else list(body)
        has_body = any(pieces)
        self.state.send_headers(stream, list(block), end_stream=not has_body and not trailers)
        self._send()
        for piece in pieces:
            left = piece
            while left and not answer.is_ended and answer.reset is None:
                room = min(self.state.local_flow_control_window(stream), 16_384)
                if room:
                    self.state.send_data(stream, left[:room])
                    left = left[room:]
                    self._send()
                else:
                    self._receive()
        if answer.is_ended or answer.reset is not None:
            # Answered before it was all said.
            return stream
        if trailers:
            self.state.send_headers(stream, list(trailers), end_stream=True)
        elif has_body:
            self.state.end_stream(stream)
        self._send()
        return stream

    def wait(self, stream: int) -> Answer:
        """Until that stream has ended, one way or the other."""
        answer = self._answers[stream]
        while not answer.is_ended and answer.reset is None and self._receive():
            pass
        return answer

    def wait_for_end(self) -> Goaway | None:
        """Until the server closes the connection; the last GOAWAY, if there was one."""
        while self._receive():
            pass
        return self.goaway

    def reset(self, stream: int) -> None:
        """The client changes its mind."""
        self.state.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
        self._send()

    def _send(self) -> None:
        if data := self.state.data_to_send():
            self.wire.sendall(data)

    def _receive(self) -> bool:
        """One read; false at the end of the connection."""
        try:
            data = self.wire.recv(1 << 16)
        except ConnectionError:
            return False
        self._pending += data
        while frame := self._frame():
            for event in self.state.receive_data(frame):
                self._handle(event)
        if data:
            self._send()
        return bool(data)

    def _frame(self) -> bytes:
        """The next whole frame, but GOAWAY: the library ends a connection there that may go on."""
        while len(self._pending) >= HEADER:
            length = HEADER + int.from_bytes(self._pending[:3], "big")
            if len(self._pending) < length:
                break
            frame, self._pending = self._pending[:length], self._pending[length:]
            if frame[3] != GOAWAY:
                return frame
            self.goaway = Goaway(*struct.unpack(">II", frame[HEADER : HEADER + 8]))
        return b""

    def _handle(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RemoteSettingsChanged):
            changed = event.changed_settings.items()
            self.settings |= {int(code): setting.new_value for code, setting in changed}
            return
        stream = getattr(event, "stream_id", None)
        if not stream:
            return
        answer = self._answers.setdefault(stream, Answer())
        if isinstance(event, h2.events.ResponseReceived):
            answer.fields = list(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            self.state.acknowledge_received_data(event.flow_controlled_length, stream)
        elif isinstance(event, h2.events.TrailersReceived):
            answer.trailers = list(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            answer.is_ended = True
        elif isinstance(event, h2.events.StreamReset):
            answer.reset = int(event.error_code)
