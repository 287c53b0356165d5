"""The rows of `relocation-cases.toml`, sent in either version of HTTP."""

from __future__ import annotations

import json
import ssl
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import h2wire
from origin import Origin
from recorder import Recorded

FILE = Path(__file__).parents[1] / "relocation-cases.toml"
HOST = b"lab.local"


@dataclass(frozen=True)
class Outcome:
    """What became of a request: what the upstream saw, or our own answer."""

    status: int
    errcode: str | None
    seen: Recorded | None
    answer: bytes
    body: str = ""

    @property
    def shown(self) -> str:
        """For a failure message and for comparing."""
        return f"forwarded as {self.seen.line!r}" if self.seen else f"{self.status} {self.errcode}"


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    content: dict[str, Any]

    @property
    def name(self) -> str:
        """What it proves."""
        return str(self.content["name"])

    @property
    def policy(self) -> str:
        """Its `[relocate]` section."""
        return str(self.content.get("policy", ""))

    @property
    def method(self) -> str:
        """`GET` unless it says otherwise."""
        return str(self.content.get("method", "GET"))

    @property
    def target(self) -> bytes:
        """What stands in the request line."""
        return str(self.content["target"]).encode()

    @property
    def body(self) -> bytes | None:
        """Filled up to its length."""
        if "body" not in self.content:
            return None
        return str(self.content["body"]).encode().ljust(self.content.get("pad_to", 0), b"a")

    def fields(self) -> list[tuple[bytes, bytes]]:
        """The further field lines."""
        pairs = (line.encode().partition(b":") for line in self.content.get("headers", []))
        return [(name.lower(), value.strip()) for name, _, value in pairs]

    def pieces(self) -> list[bytes]:
        """The body as it is sent: a chunk is no unit of meaning, so it is cut anywhere."""
        body = self.body or b""
        return [body[:5], body[5:]] if self.content.get("chunked") else [body]

    def http1(self) -> bytes:
        """The whole request for HTTP/1.1."""
        head = [b"%s %s HTTP/1.1" % (self.method.encode(), self.target), b"Host: " + HOST]
        head += [line.encode() for line in self.content.get("headers", [])]
        content = self.body or b""
        if self.content.get("chunked"):
            head.append(b"Transfer-Encoding: chunked")
            content = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in self.pieces())
            content += b"0\r\n\r\n"
        elif self.body is not None:
            head.append(b"Content-Length: %d" % len(content))
        return b"\r\n".join([*head, b"", content])

    def http2(self) -> list[tuple[bytes, bytes]]:
        """The field block for HTTP/2."""
        pseudo = [(b":method", self.method.encode()), (b":scheme", b"https"), (b":path", self.target)]
        fields = [*pseudo, (b":authority", HOST), *self.fields()]
        if self.body is not None and not self.content.get("chunked"):
            fields.append((b"content-length", b"%d" % len(self.body)))
        return fields

    def faults(self, outcome: Outcome) -> list[str]:
        """What is not as the row says."""
        wanted = self.content
        if wanted["expect"] != "forward":
            errcode = None if self.method == "HEAD" else wanted["errcode"]
            if (outcome.status, outcome.errcode) != (wanted["expect"], errcode) or outcome.seen:
                return [f"expected {wanted['expect']} {errcode}, got {outcome.shown}"]
            return []
        if outcome.seen is None:
            return [f"expected to be forwarded, got {outcome.shown}"]
        got, found = outcome.seen, []
        expected: dict[str, tuple[object, object]] = {
            "target": (got.target, wanted["expect_target"].encode()),
            "authorization": (
                got.values(b"authorization"),
                [value.encode() for value in [wanted["expect_authorization"]] if value],
            ),
            "referer": (
                got.values(b"referer"),
                [wanted["expect_referer"].encode()] if "expect_referer" in wanted else [],
            ),
            "host": (got.values(b"host"), [wanted.get("expect_host", HOST.decode()).encode()]),
            "body": (outcome.body.encode("latin-1"), self.expected_body()),
        }
        for what, (is_now, should_be) in expected.items():
            if is_now != should_be:
                found.append(f"{what}: {is_now!r}, expected {should_be!r}")
        return found

    def expected_body(self) -> bytes:
        """What arrives."""
        if "expect_body" in self.content:
            body = str(self.content["expect_body"]).encode()
            return body.ljust(self.content.get("expect_pad_to", 0), b"a")
        return b"" if self.method == "HEAD" else self.body or b""


def all_rows() -> Iterator[Row]:
    """In the order of the file."""
    for content in tomllib.loads(FILE.read_text("utf-8"))["case"]:
        yield Row(content)


def ask_http1(row: Row, port: int, tls: ssl.SSLContext, origin: Origin) -> Outcome:
    """Over TLS, a connection of its own."""
    mark = len(origin.requests)
    with h2wire.dial(port, tls) as connection:
        connection.sendall(row.http1())
        response = HTTPResponse(connection, method=row.method)
        response.begin()
        return outcome(response.status, response.read(), origin.requests[mark:])


def ask_http2(row: Row, connection: h2wire.Connection, origin: Origin) -> Outcome:
    """On a connection that is there."""
    mark = len(origin.requests)
    answer = connection.wait(connection.begin_raw(row.http2(), row.pieces()))
    status = answer.status or -(answer.reset or 0)
    return outcome(status, bytes(answer.body), origin.requests[mark:])


def outcome(status: int, answer: bytes, seen: list[Recorded]) -> Outcome:
    """From what either side knows."""
    assert len(seen) <= 1, [request.line for request in seen]
    try:
        told = json.loads(answer)
    except ValueError:
        told = {}
    got = seen[0] if seen else None
    return Outcome(status, told.get("errcode"), got, answer, told.get("body", ""))
