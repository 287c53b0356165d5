"""The upstream of the edge tests: it says in its answer what it was asked.

`/blob/N` gives N bytes, `/slow/MS` waits first, `/trailers` has some, and every
other target gets a description of the request as JSON.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
import threading
from dataclasses import dataclass
from typing import Any

from certificates import Pair
from processes import free_port
from recorder import Recorded

BLOCK = hashlib.shake_256(b"one block of a download").digest(1 << 20)
TRAILERS = b"X-Checksum: 5d41402a\r\nServer-Timing: total;dur=1\r\n"


def blob_hash(length: int) -> str:
    """The SHA-256 of what `/blob/length` gives."""
    digest = hashlib.sha256()
    for begin in range(0, length, len(BLOCK)):
        digest.update(BLOCK[: length - begin])
    return digest.hexdigest()


@dataclass(frozen=True)
class Body:
    """What came behind a head."""

    length: int
    digest: str
    text: str
    trailers: list[tuple[str, str]]


class Origin:
    """Listens on loopback, from a thread with a loop of its own."""

    def __init__(self, pair: Pair | None = None) -> None:
        self.port = free_port()
        self.requests: list[Recorded] = []
        self._tls = pair
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="origin", daemon=True)
        self._thread.start()
        assert self._started.wait(10), "the origin did not start"

    @property
    def url(self) -> str:
        """For `upstream`."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Cuts whatever is open."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._started.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))

    async def _listen(self) -> None:
        context = None
        if self._tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._tls.chain, self._tls.key)
        await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=context, limit=1 << 20)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = Recorded(await reader.readuntil(b"\r\n\r\n"))
                self.requests.append(request)
                body = await read_body(request, reader)
                await answer(request, body, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


async def read_body(request: Recorded, reader: asyncio.StreamReader) -> Body:
    """The whole body, of which only the beginning is kept."""
    digest, kept, length = hashlib.sha256(), bytearray(), 0
    trailers: list[tuple[str, str]] = []

    async def take(count: int) -> None:
        nonlocal length
        while count:
            piece = await reader.read(min(count, 1 << 18))
            if not piece:
                raise asyncio.IncompleteReadError(b"", count)
            count -= len(piece)
            length += len(piece)
            digest.update(piece)
            kept.extend(piece[: max(0, 100_000 - len(kept))])

    if request.values(b"transfer-encoding"):
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            await take(size)
            await reader.readexactly(2)
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            name, _, value = line.decode("latin-1").strip().partition(": ")
            trailers.append((name.lower(), value))
    else:
        await take(int((request.values(b"content-length") or [b"0"])[0]))
    return Body(length, digest.hexdigest(), kept.decode("latin-1"), trailers)


async def answer(request: Recorded, body: Body, writer: asyncio.StreamWriter) -> None:
    """Whatever the target asks for."""
    path = request.target.partition(b"?")[0].split(b"/")
    if path[1:2] == [b"blob"]:
        left = int(path[2])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % left)
        while left:
            piece = BLOCK[:left]
            left -= len(piece)
            writer.write(piece)
            await writer.drain()
        return
    if path[1:2] == [b"trailers"]:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n"
        writer.write(head + b"5\r\nhello\r\n0\r\n" + TRAILERS + b"\r\n")
        return
    if path[1:2] == [b"slow"]:
        await asyncio.sleep(int(path[2]) / 1000)
    content = json.dumps(description(request, body)).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content)
    writer.write(head + (b"" if request.line.startswith(b"HEAD ") else content))
    await writer.drain()


def description(request: Recorded, body: Body) -> dict[str, Any]:
    """What a test may want to know; bytes as Latin-1, which loses none."""
    fields = [line.decode("latin-1").partition(":") for line in request.head.split(b"\r\n")[1:-2]]
    return {
        "line": request.line.decode("latin-1"),
        "fields": [[name.lower(), value.strip()] for name, _, value in fields],
        "length": body.length,
        "digest": body.digest,
        "body": body.text,
        "trailers": body.trailers,
    }


@dataclass(frozen=True)
class Seen:
    """An answer of the origin, read back."""

    told: dict[str, Any]

    @classmethod
    def of(cls, content: bytes) -> Seen:
        """From the body of an answer."""
        try:
            return cls(json.loads(content))
        except ValueError as error:
            raise AssertionError(f"not the origin's answer: {content[:300]!r}") from error

    @property
    def target(self) -> str:
        """The request target that arrived."""
        return str(self.told["line"].split(" ", 1)[1].rsplit(" ", 1)[0])

    def values(self, name: str) -> list[str]:
        """Of each field line of that name."""
        return [value for key, value in self.told["fields"] if key == name]
