#!/usr/bin/env python3
"""Upstreams that nginx cannot be: one that takes and gives large bodies, one that lets everybody wait.

    upstreams.py media|hold PORT
"""

from __future__ import annotations

import asyncio
import re
import socket
import sys
import threading

BLOCK = memoryview(bytearray(1 << 20))


def answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def media(port: int) -> None:
    """`GET /…/BYTES` gives that many, `POST` says how many it got."""
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve_media, args=(connection,), daemon=True).start()


def serve_media(connection: socket.socket) -> None:
    with connection:
        buffered = b""
        while True:
            while b"\r\n\r\n" not in buffered:
                if not (piece := connection.recv(65536)):
                    return
                buffered += piece
            head, _, buffered = buffered.partition(b"\r\n\r\n")
            if head.startswith(b"POST"):
                length = int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)[1])
                got = len(buffered) + receive(connection, length - len(buffered))
                buffered = b""
                connection.sendall(answer(b"%d" % got))
            elif size := re.match(rb"GET \S*/(\d+) ", head):
                give(connection, int(size[1]))
            else:
                connection.sendall(answer(b"{}"))


def receive(connection: socket.socket, length: int) -> int:
    """How many of `length` bytes came."""
    left = length
    while left and (read := connection.recv_into(BLOCK, min(left, len(BLOCK)))):
        left -= read
    return length - left


def give(connection: socket.socket, length: int) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode())
    while length:
        piece = BLOCK[: min(length, len(BLOCK))]
        connection.sendall(piece)
        length -= len(piece)


class Hold(asyncio.Protocol):
    """Lets requests wait until `/release`; `/count` says how many do."""

    waiting: set[Hold] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffered = b""

    def connection_lost(self, exc: Exception | None) -> None:
        self.waiting.discard(self)

    def data_received(self, data: bytes) -> None:
        self.buffered += data
        if b"\r\n\r\n" not in self.buffered:
            return
        target = self.buffered.split(b" ", 2)[1]
        self.buffered = b""
        if target == b"/release":
            for held in list(self.waiting):
                held.transport.write(answer(b"{}"))
            self.waiting.clear()
        if target.startswith(b"/_matrix/client/v3/sync"):
            self.waiting.add(self)
        else:
            self.transport.write(answer(b"%d" % len(self.waiting)))


async def hold(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Hold, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    kind, port = sys.argv[1], int(sys.argv[2])
    media(port) if kind == "media" else asyncio.run(hold(port))
