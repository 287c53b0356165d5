"""An orderly end: SIGTERM is what systemd and containers send."""

from __future__ import annotations

import threading
import time

import wire
from conftest import Chain
from processes import wait_until
from shim import Shim

SYNC = "/_matrix/client/v3/sync"


def waiting_sync(chain: Chain, shim: Shim, timeout_ms: int, statuses: list[int]) -> threading.Thread:
    """A sync that has reached the homeserver and has nothing to report."""
    _, token = chain.account()
    since = wire.request(shim.port, "GET", wire.with_token(SYNC, token)).json()["next_batch"]
    target = wire.with_token(f"{SYNC}?since={since}&timeout={timeout_ms}", token)
    seen = chain.recorder.mark()

    def wait() -> None:
        try:
            statuses.append(wire.request(shim.port, "GET", target).status)
        except OSError:
            statuses.append(0)

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until("the sync at the homeserver", lambda: len(chain.recorder.since(seen)) == 1)
    return thread


def test_a_short_sync_is_finished_first(chain: Chain) -> None:
    shim = Shim.with_file(chain.folder, chain.recorder.port, drain="20s")
    chain.shims.append(shim)
    statuses: list[int] = []
    client = waiting_sync(chain, shim, 3000, statuses)
    assert shim.child.stop(20) == 0
    client.join(5)
    assert statuses == [200]


def test_a_long_sync_cannot_hold_it_up(chain: Chain) -> None:
    shim = Shim.with_file(chain.folder, chain.recorder.port, drain="2s")
    chain.shims.append(shim)
    statuses: list[int] = []
    client = waiting_sync(chain, shim, 30_000, statuses)
    started = time.monotonic()
    shim.child.terminate()
    assert shim.child.process.wait(10) == 0
    assert time.monotonic() - started < 4
    client.join(5)
    assert statuses == [] or statuses[0] != 200
