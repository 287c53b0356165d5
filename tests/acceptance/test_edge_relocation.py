"""Every given row again: HTTP/1.1 over TLS, and HTTP/2, where `:path` is the target, with and without TLS."""

from __future__ import annotations

from collections.abc import Iterator

import h2wire
import pytest
import rows
from certificates import Authority, Pair
from edge import Edge, Edges, Listener
from origin import Origin

POLICIES = sorted({row.policy for row in rows.all_rows()})
EVERY = {"SECRET"}

# Why a row that HTTP/1.1 serves or answers is a malformed request in HTTP/2: there is
# nothing to be served, and no token reaches anything. Its stream is reset,
CONNECTION = "RFC 9113 section 8.2.2: no field of one connection alone"
RESET = {
    "Connection cannot take the moved token away": CONNECTION,
    "Connection cannot take the client's header away": CONNECTION,
}
# or the answer is a 400.
ORIGIN_FORM = "RFC 9113 section 8.3.1: `:path` begins with a slash"
REFUSED = {
    "absolute form": ORIGIN_FORM,
    "absolute form overrules Host": ORIGIN_FORM,
    "absolute form, scheme in capitals": ORIGIN_FORM,
    "absolute form without a path": ORIGIN_FORM,
    "absolute form with userinfo": ORIGIN_FORM,
    "neither slash nor scheme": ORIGIN_FORM,
}


@pytest.fixture
def front(edges: Edges, origin: Origin, pair: Pair, request: pytest.FixtureRequest) -> Iterator[Edge]:
    """A listener with TLS and both protocols, and one that knows HTTP/2 by its preface."""
    edges.secrets |= EVERY
    tables = f"[relocate]\n{request.param}\n"
    listeners = (Listener(tls=True), Listener(http2=True))
    yield edges.start(origin.url, *listeners, certificates=[pair], tables=tables)


@pytest.mark.parametrize("front", POLICIES, indirect=True, ids=lambda policy: policy or "defaults")
def test_rows(front: Edge, origin: Origin, authority: Authority, request: pytest.FixtureRequest) -> None:
    """All must do what the row says, and an answer of ours never repeats a token."""
    policy = request.node.callspec.params["front"]
    cases = [row for row in rows.all_rows() if row.policy == policy]
    old = h2wire.context(str(authority.file), ["http/1.1"])
    new = h2wire.context(str(authority.file), ["h2"])
    wrong = []
    with_tls = h2wire.Connection(h2wire.dial(front.ports[0], new))
    plain = h2wire.Connection(h2wire.dial(front.ports[1]))
    with with_tls, plain:
        for row in cases:
            first = rows.ask_http1(row, front.port, old, origin)
            faults = {"HTTP/1.1": row.faults(first), "our answer": repeats(first)}
            for way, connection in (("HTTP/2", with_tls), ("HTTP/2 without TLS", plain)):
                outcome = rows.ask_http2(row, connection, origin)
                faults[way] = http2_faults(row, outcome) + repeats(outcome)
            wrong += [f"{way}: {row.name}: {fault}" for way, found in faults.items() for fault in found]
    assert not wrong, "\n".join(wrong)
    front.child.stop()
    lines = front.lines()
    answered = sum(row.name not in RESET for row in cases)
    assert len(lines) == len(cases) + 2 * answered, "one line for each request that was answered"
    assert [line["protocol"] for line in lines].count("HTTP/1.1") == len(cases)


def http2_faults(row: rows.Row, outcome: rows.Outcome) -> list[str]:
    """The same as for HTTP/1.1, but for what HTTP/2 does not have."""
    if row.name in REFUSED:
        is_refused = outcome.status == 400 and outcome.seen is None
        return [] if is_refused else [f"not refused ({REFUSED[row.name]}), but {outcome.shown}"]
    if row.name not in RESET:
        return row.faults(outcome)
    is_reset = outcome.status == -h2wire.PROTOCOL_ERROR and outcome.seen is None
    return [] if is_reset else [f"not reset ({RESET[row.name]}), but {outcome.shown}"]


def repeats(outcome: rows.Outcome) -> list[str]:
    """Whether an answer of ours has the token in it."""
    return ["repeats the token"] if not outcome.seen and b"SECRET" in outcome.answer else []
