"""What `:path` may hold: each of the 256 bytes, in the path and in the query, beside HTTP/1.1."""

from __future__ import annotations

import h2wire
import pytest
import rows
from certificates import Authority, Pair
from edge import Edges, Listener
from origin import Origin



def ask(place: str, byte: int) -> rows.Row:
    """A request with that byte, and with a token behind it."""
    inner = bytes([byte])
    target = b"/p%sq" % inner if place == "path" else b"/p?x=%sq" % inner
    return Exact(target + b"%saccess_token=FAKESECRET" % (b"?" if place == "path" else b"&"))


class Exact(rows.Row):
    """A row whose target need not be text."""

    def __init__(self, target: bytes) -> None:
        super().__init__({"name": "one byte"})
        object.__setattr__(self, "exact", target)

    @property
    def target(self) -> bytes:
        """As given."""
        return bytes(self.exact)  # type: ignore[attr-defined]


@pytest.mark.parametrize("place", ["path", "query"])
def test_each_byte(edges: Edges, origin: Origin, authority: Authority, pair: Pair, place: str) -> None:
    edges.secrets.add("FAKESECRET")
    edge = edges.start(origin.url, Listener(tls=True), certificates=[pair])
    old = h2wire.context(str(authority.file), ["http/1.1"])
    new = h2wire.context(str(authority.file), ["h2"])
    differences: dict[tuple[str, str], set[int]] = {}
    for byte in range(256):
        first = rows.ask_http1(ask(place, byte), edge.port, old, origin)
        # A connection for each: none may be ended by what another sent.
        with h2wire.Connection(h2wire.dial(edge.port, new)) as connection:
            second = rows.ask_http2(ask(place, byte), connection, origin)
        if first.seen and second.seen:
            assert second.seen.line == first.seen.line, hex(byte)
            assert second.seen.values(b"authorization") == first.seen.values(b"authorization"), hex(byte)
        if first.status != second.status:
            differences.setdefault((str(first.status), str(second.status)), set()).add(byte)
    assert differences == {}


@pytest.mark.parametrize("place", ["path", "query"])
def test_number_sign_is_not_cut_silently(
    edges: Edges, origin: Origin, authority: Authority, pair: Pair, place: str
) -> None:
    """Encoded as over HTTP/1.1, or refused; but never another target than the client's."""
    edges.secrets.add("FAKESECRET")
    edge = edges.start(origin.url, Listener(tls=True), certificates=[pair])
    new = h2wire.context(str(authority.file), ["h2"])
    with h2wire.Connection(h2wire.dial(edge.port, new)) as connection:
        outcome = rows.ask_http2(ask(place, ord("#")), connection, origin)
    assert outcome.seen is None or b"%23" in outcome.seen.target, outcome.shown
