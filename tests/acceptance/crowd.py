"""Many connections that say the same at once."""

from __future__ import annotations

import resource
import selectors
import socket
import time
from collections import Counter
from types import TracebackType
from typing import Self

SPARE = 500


class Crowd:
    """`count` connections, opened before any of them speaks."""

    def __init__(self, port: int, count: int) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        # Both ends of a connection may be ours: a test's upstream is in this process.
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * count + SPARE)), hard))
        self.sockets = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(count)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def send(self, request: bytes) -> None:
        """By all of them."""
        for connection in self.sockets:
            connection.sendall(request)

    def leave(self) -> None:
        """Without a word."""
        for connection in self.sockets:
            connection.close()

    def statuses(self, seconds: float = 60.0) -> dict[bytes, int]:
        """How often each status was the answer, once the other side has closed all connections."""
        answers: Counter[bytes] = Counter()
        heads = {connection: b"" for connection in self.sockets}
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            for connection in self.sockets:
                selector.register(connection, selectors.EVENT_READ)
            while selector.get_map():
                assert time.monotonic() < deadline, f"{len(selector.get_map())} answers are missing"
                for key, _ in selector.select(1):
                    piece = key.fileobj.recv(65536)
                    heads[key.fileobj] += piece
                    if not piece:
                        selector.unregister(key.fileobj)
        for head in heads.values():
            answers[head[9:12]] += 1
        return dict(answers)
