"""`learn` in front of a real Synapse: what it says of dead tokens is said again, and nothing else."""

from __future__ import annotations

import secrets
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import wire
from conftest import Chain
from guards import LOCKED, UNKNOWN, WAIT, WHOAMI, Guard, Guards, Session, account, errcode
from processes import wait_until
from sessions import ENDINGS, Scene
from synapse import APPSERVICE_USER, EXPIRES_AFTER

HAMMER = 250
# Differ from one answer to the next.
VOLATILE = {"date", "content-length", "transfer-encoding", "connection", "keep-alive"}


@pytest.fixture
def guard(guards: Guards) -> Guard:
    """Remembers for a minute, and counts no bad tokens."""
    return guards.start("bad_tokens = 0")


def dead(chain: Chain, guards: Guards, guard: Guard) -> Session:
    """A session that has been logged out, which nobody has been told of yet."""
    session = guards.login(guard, account(chain))
    assert guard.whoami(session.token).status == 200
    assert guard.call(session.token, "POST", "/logout", {}).status == 200
    return session


def asked(chain: Chain, mark: int, token: str) -> int:
    """How many requests with this token the homeserver has had since `mark`."""
    bearer = [b"Bearer " + token.encode()]
    return sum(request.values(b"authorization") == bearer for request in chain.recorder.since(mark))


def test_a_client_that_hammers_costs_the_homeserver_one_request(
    chain: Chain, guards: Guards, guard: Guard
) -> None:
    """In both places for a token, on several endpoints, and in parallel."""
    session = dead(chain, guards, guard)
    seen = chain.recorder.mark()
    assert errcode(guard.whoami(session.token)) == UNKNOWN
    assert asked(chain, seen, session.token) == 1

    def once(turn: int) -> tuple[int, str | None]:
        target = ("/sync", "/account/whoami", "/joined_rooms", "/devices")[turn % 4]
        if turn % 2:
            return errcode(guard.call(session.token, "GET", target))
        old = wire.with_token(f"/_matrix/client/r0{target}", session.token)
        return errcode(wire.request(guard.port, "GET", old))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(once, range(HAMMER))) == {UNKNOWN}
    assert len(chain.recorder.since(seen)) == 1, "one request for all of them"


def test_the_homeserver_is_asked_again_once_in_each_ttl(chain: Chain, guards: Guards) -> None:
    guard = guards.start('bad_tokens = 0\nlearn_ttl = "1s"')
    session = dead(chain, guards, guard)
    seen, started, sent = chain.recorder.mark(), time.monotonic(), 0
    while time.monotonic() - started < 5 or sent < HAMMER:
        assert errcode(guard.whoami(session.token)) == UNKNOWN
        sent += 1
    took = time.monotonic() - started
    # A TTL may be a little shorter than configured, lest all verdicts end together.
    assert 2 <= asked(chain, seen, session.token) <= took / 0.75 + 1, f"{sent} requests in {took:.1f} s"


def test_what_was_learned_is_known_in_http2_too(chain: Chain, guards: Guards, guard: Guard) -> None:
    """From either protocol, and said the same in both."""
    by_old, by_new = dead(chain, guards, guard), dead(chain, guards, guard)
    seen = chain.recorder.mark()
    assert errcode(guard.whoami(by_old.token)) == UNKNOWN
    assert guard.ask_h2(by_new.token, WHOAMI)[0] == 401
    assert len(chain.recorder.since(seen)) == 2
    old, new = guard.whoami(by_new.token), guard.ask_h2(by_old.token, WHOAMI)
    assert (old.status, old.body.decode()) == new
    assert len(chain.recorder.since(seen)) == 2
    fresh = guards.login(guard, by_old.user)
    assert guard.ask_h2(fresh.token, WHOAMI)[0] == 200


def test_too_many_are_told_to_wait_and_good_ones_are_not(chain: Chain, guards: Guards) -> None:
    guard = guards.start('bad_tokens = 5\nbad_tokens_window = "60s"')
    session = dead(chain, guards, guard)
    good = guards.login(guard, session.user)
    answers = [guard.whoami(session.token) for _ in range(12)]
    assert [errcode(answer) for answer in answers[:5]] == [UNKNOWN] * 5
    assert {errcode(answer) for answer in answers[6:]} == {WAIT}
    assert 0 < int(answers[-1].fields["retry-after"]) <= 60
    assert {guard.whoami(good.token).status for _ in range(20)} == {200}
    # A login, and the token that it gives, from the very address that waits.
    assert guard.whoami(guards.login(guard, session.user).token).status == 200


def test_a_token_minted_a_moment_ago_works_beside_the_dead_one(
    chain: Chain, guards: Guards, guard: Guard
) -> None:
    session = dead(chain, guards, guard)
    assert errcode(guard.whoami(session.token)) == UNKNOWN
    for _ in range(20):
        fresh = guards.login(guard, session.user)
        assert guard.whoami(fresh.token).status == 200
        assert errcode(guard.whoami(session.token)) == UNKNOWN
        assert wire.request(guard.port, "GET", wire.with_token(WHOAMI, fresh.token)).status == 200


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_ended_session_is_answered_by_the_homeserver_once(
    chain: Chain, guards: Guards, guard: Guard, alice: str, ending: str
) -> None:
    name = account(chain)
    scene = Scene(guard, guards.login(guard, name), guards.login(guard, name), alice)
    assert guard.whoami(scene.victim.token).status == 200
    ended = ENDINGS[ending](scene)
    assert ended.status == 200, ended.body
    seen = chain.recorder.mark()
    theirs, *ours = [guard.whoami(scene.victim.token) for _ in range(4)]
    assert errcode(theirs) == UNKNOWN and theirs.json()["soft_logout"] is False
    assert {errcode(answer) for answer in ours} == {UNKNOWN}
    assert {answer.json()["soft_logout"] for answer in ours} == {False}
    assert asked(chain, seen, scene.victim.token) == 1


def test_a_remembered_401_looks_like_the_homeservers(chain: Chain, guards: Guards, guard: Guard) -> None:
    session = dead(chain, guards, guard)
    assert guard.whoami(session.token).status == 401
    seen = chain.recorder.mark()
    ours = guard.whoami(session.token)
    assert chain.recorder.since(seen) == []
    theirs = wire.send_json(chain.synapse.port, "GET", WHOAMI, token=session.token)
    assert (ours.status, ours.body) == (theirs.status, theirs.body)
    for name in ("content-type", "access-control-allow-origin"):
        assert ours.fields[name] == theirs.fields[name]
    # These two matter in answers to preflights, which are Synapse's own. It has more than
    # the specification asks for, and so less of it here does no harm.
    for name in ("access-control-allow-methods", "access-control-allow-headers"):
        assert words(ours.fields[name]) <= words(theirs.fields[name])
    # The last one tells scripts of fields that only Synapse itself sends.
    missing = set(theirs.fields) - set(ours.fields) - VOLATILE
    assert missing <= {"server", "access-control-expose-headers"}, missing


def words(value: str) -> set[str]:
    """A list in a field, which may be in any order."""
    return {word.strip().lower() for word in value.split(",")}


def test_an_expired_token_can_be_renewed_at_any_time(chain: Chain, guards: Guards, guard: Guard) -> None:
    """A client that is told `soft_logout` asks for a new token, and keeps its keys."""
    session = guards.login(guard, account(chain), refreshable=True)
    assert session.refresh and guard.whoami(session.token).status == 200
    wait_until("the token to expire", lambda: guard.whoami(session.token).status == 401, EXPIRES_AFTER + 10)
    seen = chain.recorder.mark()
    ours = guard.whoami(session.token)
    assert chain.recorder.since(seen) == []
    theirs = wire.send_json(chain.synapse.port, "GET", WHOAMI, token=session.token)
    assert errcode(ours) == errcode(theirs) == UNKNOWN
    assert ours.json()["soft_logout"] is theirs.json()["soft_logout"] is True
    assert ours.json().keys() == theirs.json().keys()

    # Some clients show the dead token there as well.
    renewed = guard.call(session.token, "POST", "/refresh", {"refresh_token": session.refresh})
    assert renewed.status == 200, renewed.body
    fresh = chain.secret(renewed.json()["access_token"])
    chain.refresh_token(renewed.json()["refresh_token"])
    assert guard.whoami(fresh).status == 200
    assert errcode(guard.whoami(session.token)) == UNKNOWN


def test_a_bad_refresh_token_says_nothing_of_the_access_token(
    chain: Chain, guards: Guards, guard: Guard
) -> None:
    session = guards.login(guard, account(chain))
    for _ in range(3):
        refused = guard.call(session.token, "POST", "/refresh", {"refresh_token": "syr_FAKE"})
        assert errcode(refused) == UNKNOWN
        assert guard.whoami(session.token).status == 200


def test_a_locked_user_is_the_homeservers_own_business(
    chain: Chain, guards: Guards, guard: Guard, alice: str
) -> None:
    session = guards.login(guard, account(chain))
    path = f"/_synapse/admin/v2/users/{wire.escaped(session.user)}"
    assert guard.call(alice, "PUT", path, {"locked": True}).status == 200
    seen = chain.recorder.mark()
    answers = [guard.whoami(session.token) for _ in range(5)]
    assert {errcode(answer) for answer in answers} == {LOCKED}
    assert {answer.json()["soft_logout"] for answer in answers} == {True}
    assert asked(chain, seen, session.token) == 5, "not learned"
    assert guard.call(alice, "PUT", path, {"locked": False}).status == 200
    assert guard.whoami(session.token).status == 200


def test_a_locked_user_may_log_out(chain: Chain, guards: Guards, guard: Guard, alice: str) -> None:
    session = guards.login(guard, account(chain))
    path = f"/_synapse/admin/v2/users/{wire.escaped(session.user)}"
    assert guard.call(alice, "PUT", path, {"locked": True}).status == 200
    assert errcode(guard.whoami(session.token)) == LOCKED
    assert guard.call(session.token, "POST", "/logout", {}).status == 200
    assert errcode(guard.whoami(session.token)) == UNKNOWN


def test_a_guest_keeps_its_session(chain: Chain, guards: Guards, guard: Guard) -> None:
    """It is refused what guests may not do, and that is nothing about its token."""
    guest = guards.guest(guard)
    assert guard.whoami(guest.token).json()["is_guest"] is True
    for _ in range(3):
        refused = guard.call(guest.token, "POST", "/createRoom", {})
        assert errcode(refused) == (403, "M_GUEST_ACCESS_FORBIDDEN"), refused.body
        assert guard.whoami(guest.token).status == 200


def test_an_application_service_is_never_taken_for_dead(chain: Chain, guard: Guard) -> None:
    """Its one token speaks for many users; that it may not for one of them is not about the token."""
    token, own = chain.synapse.appservice.as_token, f"@{APPSERVICE_USER}:localhost"
    content = {"type": "m.login.application_service", "username": APPSERVICE_USER}
    registered = guard.call(token, "POST", "/register", content)
    assert errcode(registered) in {(200, None), (400, "M_USER_IN_USE")}, registered.body
    if registered.status == 200:
        chain.secret(registered.json()["access_token"])

    def speak_as(user: str, more: str = "") -> tuple[int, str | None]:
        return errcode(guard.call(token, "GET", f"{WHOAMI}?user_id={wire.escaped(user)}{more}"))

    assert speak_as(own) == (200, None)
    assert speak_as("@bob:localhost") == (403, "M_FORBIDDEN"), "not in its namespace"
    assert speak_as(f"@_as_{secrets.token_hex(4)}:localhost")[0] == 403, "not registered"
    assert speak_as(own, "&device_id=NONE")[0] == 400
    assert speak_as(own) == (200, None)
    assert guard.whoami(token).status == 200, "it speaks for itself as well"
    # The same with the token in the query, as bridges send it.
    both = wire.with_token(f"{WHOAMI}?user_id={wire.escaped(own)}", token)
    assert wire.request(guard.port, "GET", both).json()["user_id"] == own


def test_a_token_of_no_application_service_is_dead_for_all_users(chain: Chain, guard: Guard) -> None:
    token = chain.secret(f"FAKE{secrets.token_hex(24)}")
    seen = chain.recorder.mark()
    for user in ("@_as_x:localhost", "@_as_y:localhost", "@bob:localhost"):
        assert errcode(guard.call(token, "GET", f"{WHOAMI}?user_id={wire.escaped(user)}")) == UNKNOWN
    assert len(chain.recorder.since(seen)) == 1


def test_being_asked_for_a_password_ends_nothing(chain: Chain, guards: Guards, guard: Guard) -> None:
    """The 401 of user-interactive authentication, before and after a wrong password."""
    session = guards.login(guard, account(chain))
    wrong = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": session.user}}
    calls = [
        ("DELETE", f"/devices/{session.device}", {}),
        ("POST", "/delete_devices", {"devices": [session.device]}),
        ("POST", "/account/deactivate", {}),
        ("POST", "/account/password", {"new_password": "FAKE FAKE"}),
        ("POST", "/keys/device_signing/upload", {}),
    ]
    for method, path, content in calls:
        asked_for = guard.call(session.token, method, path, content)
        assert asked_for.status in (401, 200), asked_for.body
        if asked_for.status == 401:
            assert "flows" in asked_for.json()
            auth = {**wrong, "password": "FAKE wrong", "session": asked_for.json()["session"]}
            refused = guard.call(session.token, method, path, {**content, "auth": auth})
            assert refused.status in (401, 403) and refused.json()["errcode"] == "M_FORBIDDEN", refused.body
        assert guard.whoami(session.token).status == 200, path


def test_endpoints_that_need_no_token_are_not_answered_from_memory(
    chain: Chain, guards: Guards, guard: Guard
) -> None:
    """A client whose session is dead has to be able to log in again."""
    session = dead(chain, guards, guard)
    assert errcode(guard.whoami(session.token)) == UNKNOWN
    content = {"type": "m.login.password", "user": session.user, "password": "FAKE wrong"}
    assert guard.call(session.token, "GET", "/login").status == 200
    assert errcode(guard.call(session.token, "POST", "/login", content)) == (403, "M_FORBIDDEN")
    versions = "/_matrix/client/versions"
    ours = guard.call(session.token, "GET", versions)
    theirs = wire.send_json(chain.synapse.port, "GET", versions, token=session.token)
    assert (ours.status, ours.body) == (theirs.status, theirs.body)
    options = wire.request(guard.port, "OPTIONS", wire.with_token(WHOAMI, session.token))
    assert options.status in (200, 204)


def test_the_numbers_tell_how_many_requests_were_spared(chain: Chain, guards: Guards, guard: Guard) -> None:
    session = dead(chain, guards, guard)
    for _ in range(11):
        assert errcode(guard.whoami(session.token)) == UNKNOWN
    numbers = guard.scrape().splitlines()
    for witness, count in (("upstream", 1), ("memory", 10)):
        assert f'tokenshim_verdicts_total{{verdict="unknown",witness="{witness}"}} {count}' in numbers
