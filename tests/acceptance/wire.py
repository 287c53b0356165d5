"""HTTP as bytes on a socket.

Client libraries refuse or repair the very targets these tests are about, so
the request head is written as given and only the answer is parsed.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True)
class Answer:
    """A complete response. Field names are in lower case."""

    status: int
    fields: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON; fails with the body in the message."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise AssertionError(f"{self.status}, not JSON: {self.body[:300]!r}") from error


def escaped(text: str) -> str:
    """One path segment or query value, with everything escaped that may be."""
    return quote(text, safe="")


def with_token(target: str, token: str) -> str:
    """The target as an old client writes it: the token last in the query."""
    separator = "&" if "?" in target else "?"
    return f"{target}{separator}access_token={escaped(token)}"


def request(
    port: int,
    method: str,
    target: str | bytes,
    *,
    body: bytes | Iterable[bytes] | None = None,
    length: int | None = None,
    fields: Mapping[str, str] | None = None,
    timeout: float = 60.0,
) -> Answer:
    """Sends `target` exactly as it is and reads the whole answer.

    A body given in pieces needs its `length`; nothing but one piece is held.
    """
    raw_target = target if isinstance(target, bytes) else target.encode()
    given = {"Host": "localhost", "Connection": "close", **(fields or {})}
    pieces: Iterable[bytes] = [body] if isinstance(body, bytes) else (body or [])
    if isinstance(body, bytes):
        length = len(body)
    if length is not None:
        given["Content-Length"] = str(length)
    head = b"%s %s HTTP/1.1\r\n" % (method.encode(), raw_target)
    head += "".join(f"{name}: {value}\r\n" for name, value in given.items()).encode() + b"\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(head)
        for piece in pieces:
            connection.sendall(piece)
        response = HTTPResponse(connection, method=method)
        response.begin()
        content = response.read()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, content)


def send_json(
    port: int,
    method: str,
    target: str | bytes,
    content: Any = None,
    *,
    token: str | None = None,
    timeout: float = 60.0,
) -> Answer:
    """A JSON request; `token` goes into the header, as a current client sends it."""
    fields = {"Authorization": f"Bearer {token}"} if token else {}
    if content is None:
        return request(port, method, target, fields=fields, timeout=timeout)
    fields["Content-Type"] = "application/json"
    return request(port, method, target, body=json.dumps(content).encode(), fields=fields, timeout=timeout)
