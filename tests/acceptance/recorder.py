"""A relay between the shim and the homeserver that keeps every byte going up.

It forwards what it reads before it understands it, so it can change nothing;
the parsed requests beside the raw bytes are only for convenience of the tests.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from pathlib import Path

PIECE = 64 * 1024


@dataclass(frozen=True)
class Recorded:
    """The head of one request as it left the shim."""

    head: bytes

    @property
    def line(self) -> bytes:
        """`METHOD target HTTP/1.1`."""
        return self.head.split(b"\r\n", 1)[0]

    @property
    def target(self) -> bytes:
        """The request target, byte for byte."""
        return self.line.split(b" ", 1)[1].rsplit(b" ", 1)[0]

    def values(self, name: bytes) -> list[bytes]:
        """The values of every field of that name, in order."""
        wanted = name.lower()
        pairs = (line.partition(b":") for line in self.head.split(b"\r\n")[1:])
        return [value.strip() for key, _, value in pairs if key.strip().lower() == wanted]


@dataclass
class Framing:
    """Finds the heads in one connection's bytes; body bytes are counted, not kept."""

    heads: list[Recorded]
    pending: bytearray = field(default_factory=bytearray)
    body_left: int = 0
    chunked: bool = False
    in_trailer: bool = False

    def feed(self, piece: bytes) -> None:
        """Takes the next bytes, however they were cut."""
        self.pending += piece
        while self.pending and self.step():
            pass

    def step(self) -> bool:
        """One move forward; false when more bytes are needed."""
        if self.body_left:
            taken = min(self.body_left, len(self.pending))
            del self.pending[:taken]
            self.body_left -= taken
            return True
        if self.chunked:
            return self.chunk_line()
        end = self.pending.find(b"\r\n\r\n")
        if end < 0:
            return False
        request = Recorded(bytes(self.pending[: end + 4]))
        del self.pending[: end + 4]
        self.heads.append(request)
        self.chunked = b"chunked" in b",".join(request.values(b"transfer-encoding")).lower()
        self.body_left = 0 if self.chunked else int((request.values(b"content-length") or [b"0"])[0])
        return True

    def chunk_line(self) -> bool:
        """A chunk's size, or a line of the trailer section behind the last chunk."""
        end = self.pending.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self.pending[:end])
        del self.pending[: end + 2]
        if self.in_trailer:
            self.chunked = self.in_trailer = bool(line)
            return True
        size = int(line.split(b";", 1)[0], 16)
        if size:
            self.body_left = size + 2
        else:
            self.in_trailer = True
        return True


class Recorder:
    """Listens on `port` and relays to `upstream`, from a thread with a loop of its own."""

    def __init__(self, port: int, upstream: int, folder: Path) -> None:
        self.port = port
        self.requests: list[Recorded] = []
        self.faults: list[str] = []
        self._upstream = upstream
        self._streams: list[Path] = []
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()
        if not self._started.wait(10):
            raise RuntimeError("the recorder did not start")

    def mark(self) -> int:
        """Hand the value to `since` to see only what came later."""
        return len(self.requests)

    def since(self, mark: int) -> list[Recorded]:
        """The requests recorded after `mark`."""
        return self.requests[mark:]

    def streams(self) -> list[Path]:
        """One file of raw bytes for each connection so far."""
        return list(self._streams)

    def stop(self) -> None:
        """Closes the listener and every connection."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=PIECE)
        )
        self._started.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream, limit=PIECE)
        except OSError as error:
            self.faults.append(f"homeserver refused a connection: {error}")
            writer.close()
            return
        file = self._folder / f"upstream-{len(self._streams):04}.bytes"
        file.touch()
        self._streams.append(file)
        upwards = asyncio.create_task(self._keep(reader, up_writer, file))
        downwards = asyncio.create_task(pass_on(up_reader, writer))
        try:
            await asyncio.wait({upwards, downwards})
        finally:
            for task in (upwards, downwards):
                task.cancel()
            writer.close()
            up_writer.close()

    async def _keep(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, file: Path) -> None:
        """Records first and sends then: who has the answer can see the request here."""
        framing = Framing(self.requests)
        with file.open("ab", buffering=0) as kept:
            while piece := await read(reader):
                kept.write(piece)
                try:
                    framing.feed(piece)
                except ValueError as error:
                    self.faults.append(f"broken framing towards the homeserver: {error}")
                writer.write(piece)
                await writer.drain()
        half_close(writer)


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The way back, which nobody needs to record."""
    while piece := await read(reader):
        writer.write(piece)
        await writer.drain()
    half_close(writer)


async def read(reader: asyncio.StreamReader) -> bytes:
    """A reset ends the stream like a close: the side that did it is under test, not we."""
    try:
        return await reader.read(PIECE)
    except ConnectionError:
        return b""


def half_close(writer: asyncio.StreamWriter) -> None:
    """Tells the other side that no more will come, while its answer may still."""
    try:
        writer.write_eof()
    except OSError:
        writer.close()
