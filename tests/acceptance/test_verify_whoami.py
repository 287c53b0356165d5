"""`whoami` in front of real tools without authentication, with a real Synapse that knows who is who."""

from __future__ import annotations

import secrets
import threading

import pytest
import wire
from conftest import Chain
from guards import (
    LOCKED,
    MISSING,
    TOOL,
    UNKNOWN,
    WAIT,
    Guard,
    Guards,
    account,
    by_synapse,
    errcode,
    questions,
    tool_route,
)
from processes import free_port, wait_until
from sessions import ENDINGS, Scene
from tools import CONTENT, FILE, Files
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve


@pytest.fixture
def guard(chain: Chain, guards: Guards, files: Files) -> Guard:
    """Synapse by default, and the files under a host of their own."""
    return guards.start(by_synapse(chain), routes=files.route)


def test_only_who_is_known_to_the_homeserver_comes_in(
    chain: Chain, guards: Guards, guard: Guard, files: Files
) -> None:
    session = guards.login(guard, account(chain))
    reached = files.recorder.mark()
    missing = guard.ask(None, FILE)
    assert (missing.status, missing.json()["errcode"]) == MISSING
    unknown = chain.secret(f"syt_RkFLRQ_FAKE{secrets.token_hex(10)}_1aB2cD")
    assert errcode(guard.ask(unknown, FILE)) == UNKNOWN
    assert errcode(guard.ask(None, wire.with_token(FILE, unknown))) == UNKNOWN
    assert errcode(guard.ask(None, FILE, fields={"Authorization": "Basic RkFLRTpGQUtF"}))[0] == 401
    assert errcode(guard.ask(None, FILE, method="POST"))[0] == 401
    assert guard.ask(None, FILE, method="HEAD").status == 401
    assert files.recorder.since(reached) == [], "the tool heard nothing of these"

    answer = guard.ask(session.token, FILE)
    assert (answer.status, answer.body.decode()) == (200, CONTENT)
    request = files.last()
    assert request.values(b"x-matrix-user") == [session.user.encode()]
    assert request.values(b"x-matrix-device") == [session.device.encode()]
    listing = guard.ask(None, wire.with_token("/", session.token))
    assert listing.status == 200 and FILE[1:] in listing.body.decode()
    assert files.last().target == b"/"


def test_nobody_can_say_himself_who_he_is(chain: Chain, guards: Guards, guard: Guard, files: Files) -> None:
    session = guards.login(guard, account(chain))
    claims = {
        "X-Matrix-User": "@admin:localhost",
        "x-matrix-device": "FAKE",
        "X_MATRIX_USER": "@admin:localhost",
        "X-Matrix_User": "@admin:localhost",
        "X-TOKEN-SCOPE": "everything",
        "X-Token-Label": "root",
    }
    assert guard.ask(session.token, FILE, fields=claims).status == 200
    head = files.last().head.lower()
    assert head.count(b"matrix-user") == head.count(b"matrix_user") + 1 == 1
    assert files.last().values(b"x-matrix-user") == [session.user.encode()]
    assert files.last().values(b"x-matrix-device") == [session.device.encode()]
    for name in (b"@admin", b"fake", b"everything", b"x-token", b"root"):
        assert name not in head.replace(b"user-agent", b""), name


def test_a_preflight_has_no_name(guard: Guard, files: Files) -> None:
    """Browsers send it without a token, so it passes, and whatever is in it is nobody's."""
    claims = {"X-Matrix-User": "@admin:localhost", "Origin": "https://app.localhost"}
    bare = guard.ask(None, FILE, method="OPTIONS", fields=claims)
    assert bare.status == 401, "anybody can write a method; a browser says what it is about"
    preflight = claims | {"Access-Control-Request-Method": "PUT"}
    guard.ask(None, FILE, method="OPTIONS", fields=preflight)
    assert files.last().line.startswith(b"OPTIONS ")
    assert b"@admin" not in files.last().head


def test_before_a_homeserver_only_what_needs_a_token_is_asked_about(chain: Chain, guards: Guards) -> None:
    """So that clients can log in; and no client can say who it is where nobody is asked."""
    guard = guards.start(by_synapse(chain, 'mode = "whoami"'))
    seen = chain.recorder.mark()
    session = guards.login(guard, account(chain))
    claims = {"Host": "localhost", "X-Matrix-User": "@admin:localhost", "X_Matrix_Device": "FAKE"}
    assert wire.request(guard.port, "GET", "/_matrix/client/versions", fields=claims).status == 200
    assert questions(chain, seen) == 0
    assert b"@admin" not in chain.recorder.requests[-1].head
    assert b"FAKE" not in chain.recorder.requests[-1].head
    assert errcode(guard.call(None, "GET", "/sync")) == MISSING
    assert guard.call(session.token, "GET", "/joined_rooms").status == 200
    assert questions(chain, seen) == 1
    request = chain.recorder.requests[-1]
    assert request.values(b"x-matrix-user") == [session.user.encode()]
    assert request.values(b"x-matrix-device") == [session.device.encode()]
    assert errcode(guard.call(chain.secret(f"FAKE{secrets.token_hex(16)}"), "GET", "/sync")) == UNKNOWN
    assert not [request for request in chain.recorder.since(seen) if request.target.endswith(b"/sync")]


def test_a_websocket_is_let_in_like_any_other(chain: Chain, guards: Guards) -> None:
    """Scripts in browsers can put the token nowhere but into the URL."""
    heard: list[Headers] = []

    def talk(connection: ServerConnection) -> None:
        assert connection.request is not None and "access_token" not in connection.request.path
        heard.append(connection.request.headers)
        for message in connection:
            connection.send(message)

    port = free_port()
    with serve(talk, "127.0.0.1", port) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        guard = guards.start(by_synapse(chain), routes=tool_route(port, host="127.0.0.1", verify="whoami"))
        session = guards.login(guard, account(chain))
        url = f"ws://127.0.0.1:{guard.port}/live"
        for token in ("", f"?access_token=FAKE{secrets.token_hex(12)}"):
            with pytest.raises(InvalidStatus) as refused, connect(url + token, proxy=None):
                pass
            assert refused.value.response.status_code == 401
        assert heard == []
        with connect(wire.with_token(url, session.token), proxy=None) as socket:
            socket.send("still here")
            assert socket.recv(timeout=10) == "still here"
        assert heard[0].get_all("X-Matrix-User") == [session.user]
        server.shutdown()


def test_the_homeserver_is_asked_once_for_each_token(
    chain: Chain, guards: Guards, guard: Guard, files: Files
) -> None:
    session = guards.login(guard, account(chain))
    unknown = chain.secret(f"FAKE{secrets.token_hex(16)}")
    seen = chain.recorder.mark()
    assert {guard.ask(session.token, FILE).status for _ in range(30)} == {200}
    assert questions(chain, seen) == 1
    assert {errcode(guard.ask(unknown, FILE)) for _ in range(30)} == {UNKNOWN}
    assert questions(chain, seen) == 2


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_ended_session_is_out_at_once(
    chain: Chain, guards: Guards, guard: Guard, alice: str, files: Files, ending: str
) -> None:
    """Whatever ended it passed through us; nobody waits for a TTL."""
    name = account(chain)
    scene = Scene(guard, guards.login(guard, name), guards.login(guard, name), alice)
    assert guard.ask(scene.victim.token, FILE).status == 200
    assert guard.ask(alice, FILE).status == 200
    ended = ENDINGS[ending](scene)
    assert ended.status == 200, ended.body
    assert errcode(guard.ask(scene.victim.token, FILE)) == UNKNOWN
    assert guard.ask(alice, FILE).status == 200


def test_http2_is_no_way_round(chain: Chain, guards: Guards, guard: Guard, files: Files) -> None:
    """The same identity, and a logout there counts here."""
    session = guards.login(guard, account(chain))
    claims = ["X-Matrix-User: @admin:localhost", "x_matrix_device: FAKE", "X-Token-Label: root"]
    assert guard.ask_h2(session.token, FILE, host=TOOL, fields=claims) == (200, CONTENT)
    request = files.last()
    assert request.values(b"x-matrix-user") == [session.user.encode()]
    assert request.values(b"x-matrix-device") == [session.device.encode()]
    for claim in (b"@admin", b"FAKE", b"x_matrix", b"root"):
        assert claim not in request.head
    assert guard.ask_h2(chain.secret(f"FAKE{secrets.token_hex(16)}"), FILE, host=TOOL)[0] == 401
    assert guard.ask_h2(session.token, "/_matrix/client/v3/logout", method="POST")[0] == 200
    assert errcode(guard.ask(session.token, FILE)) == UNKNOWN
    assert guard.ask_h2(session.token, FILE, host=TOOL)[0] == 401


def test_who_only_tries_to_end_a_session_changes_nothing(
    chain: Chain, guards: Guards, guard: Guard, files: Files
) -> None:
    session, other = guards.login(guard, account(chain)), guards.login(guard, account(chain))
    assert guard.ask(session.token, FILE).status == 200
    assert guard.call(None, "POST", "/logout", {}).status == 401
    assert guard.call(session.token, "DELETE", f"/devices/{session.device}", {}).status == 401
    path = f"/_synapse/admin/v1/deactivate/{wire.escaped(session.user)}"
    assert guard.call(other.token, "POST", path, {"erase": False}).status == 403
    assert guard.ask(session.token, FILE).status == 200


def test_a_session_that_ends_elsewhere_is_out_after_the_ttl(
    chain: Chain, guards: Guards, files: Files
) -> None:
    guard = guards.start(by_synapse(chain, 'valid_ttl = "2s"\nunknown_ttl = "1s"'), routes=files.route)
    session = guards.login(guard, account(chain))
    assert guard.ask(session.token, FILE).status == 200
    ended = wire.send_json(chain.synapse.port, "POST", "/_matrix/client/v3/logout", {}, token=session.token)
    assert ended.status == 200
    wait_until("the verdict to end", lambda: errcode(guard.ask(session.token, FILE)) == UNKNOWN, 5)


def test_a_locked_user_is_out_and_comes_back(
    chain: Chain, guards: Guards, guard: Guard, alice: str, files: Files
) -> None:
    session = guards.login(guard, account(chain))
    path = f"/_synapse/admin/v2/users/{wire.escaped(session.user)}"
    assert guard.ask(session.token, FILE).status == 200
    assert guard.call(alice, "PUT", path, {"locked": True}).status == 200
    refused = guard.ask(session.token, FILE)
    assert errcode(refused) == LOCKED
    # Whoever is told so keeps the session, and the keys with it.
    assert refused.json()["soft_logout"] is True
    assert guard.call(alice, "PUT", path, {"locked": False}).status == 200
    assert guard.ask(session.token, FILE).status == 200


def test_an_expired_token_is_renewed(chain: Chain, guards: Guards, files: Files) -> None:
    guard = guards.start(by_synapse(chain, 'valid_ttl = "1s"'), routes=files.route)
    session = guards.login(guard, account(chain), refreshable=True)
    assert guard.ask(session.token, FILE).status == 200
    wait_until("the token to expire", lambda: guard.ask(session.token, FILE).status == 401, 20)
    refused = guard.ask(session.token, FILE)
    assert errcode(refused) == UNKNOWN and refused.json()["soft_logout"] is True
    renewed = guard.call(None, "POST", "/refresh", {"refresh_token": session.refresh})
    assert renewed.status == 200, renewed.body
    chain.refresh_token(renewed.json()["refresh_token"])
    assert guard.ask(chain.secret(renewed.json()["access_token"]), FILE).status == 200


def test_guessing_is_slowed_and_a_valid_token_is_not(chain: Chain, guards: Guards, files: Files) -> None:
    homeserver = f'homeserver = "http://127.0.0.1:{chain.recorder.port}"\nbad_tokens = 5'
    guard = guards.start(homeserver, routes=files.route)
    session = guards.login(guard, account(chain))
    guesses = [chain.secret(f"FAKE{secrets.token_hex(16)}") for _ in range(12)]
    answers = [guard.ask(guess, FILE) for guess in guesses]
    assert [errcode(answer) for answer in answers[:5]] == [UNKNOWN] * 5
    assert {errcode(answer) for answer in answers[6:]} == {WAIT}
    assert {guard.ask(session.token, FILE).status for _ in range(20)} == {200}
    fresh = guards.login(guard, session.user)
    assert guard.ask(fresh.token, FILE).status == 200, "not even one that nobody has seen yet"
