"""Decides whether a token is in some bytes, however it is dressed.

It shares no line with the program it judges: a common mistake would pass both.
Plain, percent-encoded (several times), JSON-escaped and base64 at each of the
three alignments are found; so is the random middle of a token whose ends were masked.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

# Long enough that chance cannot produce it, short enough to catch a clumsy mask.
SHORTEST_PART = 12
JSON_ESCAPE = re.compile(rb"\\u([0-9a-fA-F]{4})|\\(/)")
BEARER_FIELD = re.compile(rb"(?im)^authorization: bearer ([^\r\n]*)\r\n")
NAME = re.compile(b"access_token", re.IGNORECASE)


def findings(haystack: bytes, tokens: set[str]) -> list[str]:
    """What was found, for a failure message; the token itself is not repeated."""
    found: list[str] = []
    for dress, text in readings(haystack):
        for token in sorted(tokens):
            for part in parts(token):
                at = text.find(part)
                if at >= 0:
                    before = text[max(0, at - 120) : at]
                    found.append(f"{dress}: token {token[:6]}… of {len(token)} bytes after {before!r}")
                    break
    for token in sorted(tokens):
        found += [f"base64 of token {token[:6]}…" for form in base64_forms(token) if form in haystack]
    return found


def names_token(target: bytes) -> bool:
    """Whether the parameter's name is in a request line, in any encoding or case."""
    return any(NAME.search(text) for _, text in readings(target))


def without_bearer(stream: bytes) -> bytes:
    """A recorded request stream less the one place where a token belongs."""
    return BEARER_FIELD.sub(b"", stream)


def readings(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """The bytes as they are and as a careless or curious reader may decode them."""
    yield "plain", raw
    text = raw
    for layer in range(1, 4):
        decoded = unquote_to_bytes(text) if b"%" in text else text
        if decoded == text:
            break
        text = decoded
        yield f"percent-decoded {layer} times", text
    if b"\\" in raw:
        unescaped = JSON_ESCAPE.sub(json_character, raw)
        yield "JSON-unescaped", unescaped
        yield "JSON-unescaped and percent-decoded", unquote_to_bytes(unescaped)


def json_character(match: re.Match[bytes]) -> bytes:
    """What one JSON escape stands for; only ASCII matters to a token."""
    if match[2]:
        return match[2]
    code = int(match[1], 16)
    return bytes([code]) if code < 0x80 else match[0]


def parts(token: str) -> Iterator[bytes]:
    """The token, and each stretch between underscores that is secret enough by itself.

    The part behind `syt_` is the user's name in base64 and no secret.
    """
    yield token.encode()
    pieces = token.split("_")
    public = 2 if token.startswith("syt_") else 0
    for piece in pieces[public:]:
        if len(piece) >= SHORTEST_PART and piece != token:
            yield piece.encode()


def base64_forms(token: str) -> Iterator[bytes]:
    """The middle of the token's base64 at each alignment, in both alphabets."""
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + token.encode()).rstrip(b"=")
        # The outermost characters also hold bits of the neighbours.
        middle = encoded[4 if shift else 0 : -1]
        yield middle
        if middle.translate(bytes.maketrans(b"+/", b"-_")) != middle:
            yield middle.translate(bytes.maketrans(b"+/", b"-_"))
