"""A real Synapse that is slow, silent or gone, and what becomes of those who wait for its word."""

from __future__ import annotations

import secrets

import crowd
from conftest import Chain
from guards import (
    IDENTITY,
    NO_ANSWER,
    TOOL,
    Guard,
    Guards,
    account,
    by_synapse,
    errcode,
    questions,
    tool_route,
)
from origin import Origin
from processes import wait_until
from tools import FILE, Files


def test_a_homeserver_that_says_nothing_is_not_a_no(chain: Chain, guards: Guards, files: Files) -> None:
    """503 for who is not known; who is known comes in; and all is well as soon as it speaks again."""
    guard = guards.start(by_synapse(chain, 'timeout = "300ms"'), routes=files.route)
    known, fresh = (guards.login(guard, account(chain)) for _ in range(2))
    assert guard.ask(known.token, FILE).status == 200
    reached, seen = files.recorder.mark(), chain.recorder.mark()
    with chain.synapse.child.paused():
        answers = [guard.ask(fresh.token, FILE) for _ in range(20)]
        asked = questions(chain, seen)
        assert guard.ask(known.token, FILE).status == 200
    assert {errcode(answer) for answer in answers} == {NO_ANSWER}
    assert all(int(answer.fields["retry-after"]) > 0 for answer in answers)
    assert asked < 10, "it was left alone after some failures"
    assert len(files.recorder.since(reached)) == 1, "only who is known came in"
    statuses = []

    def is_back() -> bool:
        statuses.append(guard.ask(fresh.token, FILE).status)
        return statuses[-1] == 200

    wait_until("the homeserver to be asked again", is_back, 30)
    assert set(statuses) <= {200, 503}


def test_a_homeserver_that_is_gone_is_not_a_no(chain: Chain, guards: Guards, files: Files) -> None:
    """A restart: neither on the tool's route nor on its own does anybody get a 401."""
    direct = f'homeserver = "http://127.0.0.1:{chain.synapse.port}"\nbad_tokens = 0'
    guard = guards.start(direct, upstream=chain.synapse.port, routes=files.route)
    known, fresh = (guards.login(guard, account(chain)) for _ in range(2))
    assert guard.ask(known.token, FILE).status == 200
    chain.synapse.stop()
    statuses = {"known": set(), "fresh": set(), "own": set()}

    def all_ask() -> None:
        statuses["known"].add(guard.ask(known.token, FILE).status)
        statuses["fresh"].add(guard.ask(fresh.token, FILE).status)
        statuses["own"].add(guard.whoami(fresh.token).status)

    try:
        for _ in range(20):
            all_ask()
    finally:
        chain.synapse.start()
    assert statuses == {"known": {200}, "fresh": {503}, "own": {502}}
    wait_until("the homeserver to be asked again", lambda: guard.ask(fresh.token, FILE).status == 200, 30)
    all_ask()
    assert statuses == {"known": {200}, "fresh": {503, 200}, "own": {502, 200}}


def test_who_is_not_known_passes_without_a_name_where_that_is_wanted(
    chain: Chain, guards: Guards, files: Files
) -> None:
    guard = guards.start(by_synapse(chain, 'timeout = "300ms"\non_failure = "forward"'), routes=files.route)
    session = guards.login(guard, account(chain))
    with chain.synapse.child.paused():
        answer = guard.ask(session.token, FILE, fields={"X-Matrix-User": "@admin:localhost"})
        assert answer.status == 200
        for name in IDENTITY:
            assert files.last().values(name) == []
        assert guard.ask(None, FILE).status == 401, "without a token nobody passes"
    unknown = chain.secret(f"FAKE{secrets.token_hex(16)}")
    wait_until("the homeserver to be asked again", lambda: guard.ask(unknown, FILE).status == 401, 30)


def test_a_reload_cuts_no_question_off(chain: Chain, guards: Guards, files: Files) -> None:
    """Who waits for an answer gets it, and what is known already is not asked again."""
    guard = guards.start(by_synapse(chain, 'timeout = "60s"'), routes=files.route)
    known, fresh = (guards.login(guard, account(chain)) for _ in range(2))
    assert guard.ask(known.token, FILE).status == 200
    seen = chain.recorder.mark()
    head = (
        f"GET {FILE} HTTP/1.1\r\nHost: {TOOL}\r\nAuthorization: Bearer {fresh.token}\r\n"
        "Connection: close\r\n\r\n"
    )
    with crowd.Crowd(guard.port, 3) as people:
        with chain.synapse.child.paused():
            people.send(head.encode())
            wait_until("the question", lambda: questions(chain, seen) == 1, 20)
            guard.file.write_text(
                guard.file.read_text().replace('drain_timeout = "5s"', 'drain_timeout = "6s"')
            )
            guard.reload()
            wait_until("the reload", lambda: reloads(guard) == 1, 20)
            assert guard.ask(known.token, FILE).status == 200
        assert people.statuses() == {b"200": 3}
    assert guard.ask(known.token, FILE).status == guard.ask(fresh.token, FILE).status == 200
    assert questions(chain, seen) == 1


def reloads(guard: Guard) -> int:
    """How many were done."""
    line = 'tokenshim_config_reloads_total{outcome="ok"} '
    return next(int(said.removeprefix(line)) for said in guard.scrape().splitlines() if said.startswith(line))


def test_a_thousand_at_once_are_one_question(chain: Chain, guards: Guards) -> None:
    """While the homeserver keeps silent all of them wait; then one answer is for all."""
    origin = Origin()
    guard = guards.start(
        by_synapse(chain, 'timeout = "60s"'), routes=tool_route(origin.port, verify="whoami"), workers=2
    )
    session = guards.login(guard, account(chain))
    seen = chain.recorder.mark()
    head = (
        f"GET /one HTTP/1.1\r\nHost: {TOOL}\r\nAuthorization: Bearer {session.token}\r\n"
        "Connection: close\r\n\r\n"
    )
    try:
        with crowd.Crowd(guard.port, 1000) as people:
            with chain.synapse.child.paused():
                people.send(head.encode())
                wait_until("the first to be asked about", lambda: questions(chain, seen) >= 1, 20)
                wait_until("all to wait", lambda: in_flight(guard) >= 1000, 30)
                assert origin.requests == []
            assert people.statuses() == {b"200": 1000}
    finally:
        origin.stop()
    assert questions(chain, seen) == 1
    users = {tuple(request.values(b"x-matrix-user")) for request in origin.requests}
    assert users == {(session.user.encode(),)} and len(origin.requests) == 1000


def in_flight(guard: Guard) -> int:
    """How many requests are not over."""
    lines = guard.scrape().splitlines()
    return sum(int(line.split()[-1]) for line in lines if line.startswith("tokenshim_inflight_requests"))


def test_a_question_outlives_who_asked_it_first(chain: Chain, guards: Guards) -> None:
    origin = Origin()
    guard = guards.start(
        by_synapse(chain, 'timeout = "60s"'), routes=tool_route(origin.port, verify="whoami")
    )
    session = guards.login(guard, account(chain))
    seen = chain.recorder.mark()
    head = f"GET /one HTTP/1.1\r\nHost: {TOOL}\r\nAuthorization: Bearer {session.token}\r\n\r\n"
    try:
        with crowd.Crowd(guard.port, 1) as first, crowd.Crowd(guard.port, 5) as others:
            with chain.synapse.child.paused():
                first.send(head.encode())
                wait_until("the question", lambda: questions(chain, seen) == 1, 20)
                others.send(head.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").encode())
                wait_until("all to wait", lambda: in_flight(guard) >= 6, 20)
                first.leave()
                wait_until("the first to be gone", lambda: in_flight(guard) == 5, 20)
            assert others.statuses() == {b"200": 5}
    finally:
        origin.stop()
    assert questions(chain, seen) == 1
    assert len(origin.requests) == 5
