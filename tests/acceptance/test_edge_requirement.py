"""Our own 401, and tokens in every spelling, over TLS with either version of HTTP."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from urllib.parse import quote

import h2wire
import pytest
from certificates import Authority, Pair
from edge import Edge, Edges, Listener
from origin import Origin
from processes import wait_until

MISSING = b'{"errcode":"M_MISSING_TOKEN","error":"Missing access token"}'
SEVERAL = b'{"errcode":"M_UNAUTHORIZED","error":"Several different access tokens passed."}'

# The classes of endpoints; what comes of a request without a token.
WITHOUT_TOKEN = {
    "client-server, required": ("GET", b"/_matrix/client/v3/account/whoami", MISSING),
    "the same of an older version": ("GET", b"/_matrix/client/r0/account/whoami?a=1", MISSING),
    "with a path parameter": ("PUT", b"/_matrix/client/v3/rooms/%21r%3Ah/send/m.room.message/1", MISSING),
    "media, required": ("POST", b"/_matrix/media/v3/upload", MISSING),
    "administrators' API": ("GET", b"/_synapse/admin/v2/users", MISSING),
    "appservice only": ("POST", b"/_matrix/client/v1/appservice/x/ping", MISSING),
    "identity service, two": ("GET", b"/_matrix/identity/v2/account?access_token=a&access_token=b", SEVERAL),
    "identity service decides itself": ("GET", b"/_matrix/identity/v2/account", None),
    "empty in the query": ("GET", b"/_matrix/client/v3/sync?access_token=", MISSING),
    "optional": ("POST", b"/_matrix/client/v3/account/deactivate", None),
    "open": ("GET", b"/_matrix/client/versions", None),
    "login": ("POST", b"/_matrix/client/v3/login", None),
    "preflight": ("OPTIONS", b"/_matrix/client/v3/account/whoami", None),
    "federation": ("GET", b"/_matrix/federation/v1/version", None),
    "unknown": ("GET", b"/_matrix/client/v3/no/such/thing", None),
    "no Matrix at all": ("GET", b"/", None),
}

Told = tuple[int, dict[str, str], bytes]
Ask = Callable[[str, bytes, list[tuple[bytes, bytes]]], Told]


def http1(port: int, tls: ssl.SSLContext) -> Ask:
    """A connection for each request."""

    def ask(method: str, target: bytes, fields: list[tuple[bytes, bytes]]) -> Told:
        head = [b"%s %s HTTP/1.1" % (method.encode(), target), b"Host: matrix.localhost"]
        head += [b"%s: %s" % field for field in fields]
        with h2wire.dial(port, tls) as wire:
            wire.sendall(b"\r\n".join([*head, b"", b""]))
            response = HTTPResponse(wire, method=method)
            response.begin()
            content = response.read()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, content

    return ask


def http2(connection: h2wire.Connection) -> Ask:
    """One connection for all."""

    def ask(method: str, target: bytes, fields: list[tuple[bytes, bytes]]) -> Told:
        answer = connection.ask(method, target, [(name.lower(), value) for name, value in fields])
        names = {name.decode(): value.decode("latin-1") for name, value in answer.fields}
        return answer.status, names, bytes(answer.body)

    return ask


@pytest.fixture(params=["http/1.1", "h2"])
def way(
    request: pytest.FixtureRequest, edges: Edges, origin: Origin, authority: Authority, pair: Pair
) -> Iterator[tuple[Edge, Ask]]:
    """A fresh edge, and how to ask it."""
    edge = edges.start(origin.url, Listener(tls=True), certificates=[pair])
    tls = h2wire.context(str(authority.file), [request.param])
    if request.param == "http/1.1":
        yield edge, http1(edge.port, tls)
        return
    with h2wire.Connection(h2wire.dial(edge.port, tls)) as connection:
        yield edge, http2(connection)


def test_missing_token(way: tuple[Edge, Ask], origin: Origin) -> None:
    _, ask = way
    for name, (method, target, own) in WITHOUT_TOKEN.items():
        mark = len(origin.requests)
        status, fields, content = ask(method, target, [])
        if own is None:
            assert (status, len(origin.requests) - mark) == (200, 1), name
            continue
        assert (status, content, len(origin.requests) - mark) == (401, own, 0), name
        assert fields["access-control-allow-origin"] == "*", name
        assert fields["content-type"] == "application/json", name
        assert fields["www-authenticate"].startswith("Bearer"), name
        assert fields["cache-control"] == "no-store", name


def test_with_token_they_are_forwarded(way: tuple[Edge, Ask], origin: Origin, edges: Edges) -> None:
    _, ask = way
    token = edges.secret().encode()
    for name, (method, target, own) in WITHOUT_TOKEN.items():
        if own is None or b"access_token" in target:
            continue
        mark = len(origin.requests)
        separator = b"&" if b"?" in target else b"?"
        assert ask(method, target + separator + b"access_token=" + token, [])[0] == 200, name
        (seen,) = origin.requests[mark:]
        assert seen.target == target, name
        assert seen.values(b"authorization") == [b"Bearer " + token], name


def dresses(token: str) -> dict[str, str]:
    """The token as it may be spelled."""
    hexed = "".join(f"%{ord(character):02x}" for character in token)
    return {
        "plain": token,
        "underscores": token.replace("_", "%5F"),
        "percent": hexed,
        "capitals": hexed.upper().replace("%5F", "%5f"),
        "twice": quote(hexed),
        "three times": quote(quote(hexed)),
        "JSON": "".join(f"\\u{ord(character):04x}" for character in token),
        "base64": base64.b64encode(token.encode()).decode(),
    }


PLACES = (
    "/p?access_token={}",
    "/p?access%5Ftoken={}",
    "/p?access%255Ftoken={}",
    "/p?Access_Token={}",
    "/p?a=1;access_token={};b",
    "/p?access_token={}&access_token=other",
    "/p?access_token={}%00",
    "/p?access_token={}%zz",
    "/p?access_token=x%26{}",
    "/p?my_access_token={}",
    "/p?next=%2Fq%3Faccess_token%3D{}%26b",
    "/p?next=%252Fq%253Faccess_token%253D{}",
    "/x/access_token={}/y",
    "/x;access_token={}/y?z",
    "/p%3Faccess_token%3D{}%26b",
    "/p?filter=%7B%22access_token%22%3A%22{}%22%7D",
    "/p?q=Bearer%20{}",
    "/p?loginToken={}",
    "/_matrix/federation/v1/openid/userinfo?access_token={}",
    "/_synapse/client/unsubscribe?access_token={}&app_id=m.email",
    "/_matrix/client/v3/account/whoami?access_token={}",
)
FIELDS = (
    ("Authorization", "Bearer {}"),
    ("Authorization", "bearer  {}"),
    ("Authorization", "{}"),
    ("Referer", "https://c.example/?access_token={}"),
    ("User-Agent", "curl access_token={}"),
    ("Cookie", "access_token={}"),
    ("X-Forwarded-For", "access_token={}"),
    ("Proxy-Authorization", "Bearer {}"),
)


def test_canary_in_every_spelling(way: tuple[Edge, Ask], edges: Edges) -> None:
    """The edges' end looks for the token in all that was written, at level `trace`."""
    edge, ask = way
    asked = 0
    for dress, text in dresses(edges.secret()).items():
        for place in PLACES:
            # What no target may hold, HTTP/2 resets; it is none the less read.
            status, _, content = ask("GET", place.format(text).encode(), [])
            assert status != 200 or content, (dress, place)
            asked += 1
        for name, value in FIELDS:
            if name == "Authorization" or dress not in ("JSON", "base64"):
                assert ask("GET", b"/p", [(name.encode(), value.format(text).encode())])[0] != 0
                asked += 1
    wait_until("a line for each request", lambda: len(edge.lines()) == asked)
