"""An orderly end with HTTP/2: GOAWAY, and every request that was taken is answered."""

from __future__ import annotations

import time

import h2wire
import pytest
from certificates import Authority, Pair
from edge import Edges, Listener
from nghttp import Load, start_h2load
from origin import Origin
from processes import wait_until

NO_ERROR = 0
DRAIN = 'drain_timeout = "15s"'


@pytest.mark.parametrize("way", ["TLS", "cleartext"])
def test_requests_in_flight_end_well(
    edges: Edges, origin: Origin, authority: Authority, pair: Pair, way: str
) -> None:
    """GOAWAY names the last stream that is served, and then it is."""
    listeners = (Listener(tls=True), Listener(http2=True))
    edge = edges.start(origin.url, *listeners, certificates=[pair], keys=DRAIN)
    tls = h2wire.context(str(authority.file), ["h2"]) if way == "TLS" else None
    port = edge.ports[0 if way == "TLS" else 1]
    mark = len(origin.requests)
    with h2wire.Connection(h2wire.dial(port, tls)) as connection:
        streams = [connection.begin("GET", b"/slow/1000") for _ in range(50)]
        wait_until("the requests at the origin", lambda: len(origin.requests) - mark == 50)
        edge.child.terminate()
        edge.wait_for_diagnostics("stopping")
        answers = [connection.wait(stream) for stream in streams]
        assert [answer.status for answer in answers] == [200] * 50
        assert all(answer.is_ended for answer in answers)
        # The first GOAWAY still allows all streams; the last names the last that was begun.
        assert connection.wait_for_end() == h2wire.Goaway(streams[-1], NO_ERROR)
    assert edge.child.process.wait(10) == 0
    assert len(edge.lines(status=200, ending="complete")) == 50


@pytest.mark.parametrize("way", ["TLS", "cleartext"])
def test_stop_under_load(edges: Edges, origin: Origin, pair: Pair, way: str) -> None:
    """What h2load counts as answered, the access log has as complete; nothing was cut."""
    listeners = (Listener(tls=True), Listener(http2=True))
    edge = edges.start(origin.url, *listeners, certificates=[pair], keys=DRAIN, level="info")
    url = f"https://127.0.0.1:{edge.ports[0]}" if way == "TLS" else f"http://127.0.0.1:{edge.ports[1]}"
    mark = len(origin.requests)
    running = start_h2load("-n", "100000", "-c", "4", "-m", "50", f"{url}/p?access_token={edges.secret()}")
    wait_until("load", lambda: len(origin.requests) - mark > 2000)
    started = time.monotonic()
    edge.child.terminate()
    text, _ = running.communicate(timeout=60)
    assert edge.child.process.wait(20) == 0
    assert time.monotonic() - started < 10, "nothing was left to wait for"
    load = Load(text)
    lines = edge.lines(target="/p?access_token=<redacted>")
    assert {(line["status"], line["ending"]) for line in lines} == {(200, "complete")}
    assert len(lines) == load.succeeded == len(origin.requests) - mark, text
    assert load.codes[1:] == (0, 0, 0), text


def test_an_idle_connection_holds_nothing_up(edges: Edges, origin: Origin) -> None:
    """A client that keeps its connection for later, and answers the server's PING, is told to go."""
    edge = edges.start(origin.url, Listener(http2=True), keys=DRAIN)
    with h2wire.Connection(h2wire.dial(edge.port)) as connection:
        assert connection.ask("GET", b"/p").status == 200
        started = time.monotonic()
        edge.child.terminate()
        assert connection.wait_for_end() == h2wire.Goaway(1, NO_ERROR)
    assert edge.child.process.wait(10) == 0
    assert time.monotonic() - started < 2


def test_requests_behind_goaway_are_not_lost(edges: Edges, origin: Origin) -> None:
    """A client that asks again before it has heard gets an answer, or a reset that says it may repeat."""
    edge = edges.start(origin.url, Listener(http2=True), keys=DRAIN)
    mark = len(origin.requests)
    with h2wire.Connection(h2wire.dial(edge.port)) as connection:
        first = connection.begin("GET", b"/slow/700")
        wait_until("the request at the origin", lambda: len(origin.requests) - mark == 1)
        edge.child.terminate()
        edge.wait_for_diagnostics("stopping")
        late = connection.begin("GET", b"/p")
        assert connection.wait(first).status == 200
        answer = connection.wait(late)
        is_told = answer.status == 200 or connection.goaway is not None
        assert is_told, answer
        reached = any(request.target == b"/p" for request in origin.requests[mark:])
        assert reached == (answer.status == 200), "served and not answered, or the other way round"
