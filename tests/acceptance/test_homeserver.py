"""Single requests, old style, and what Synapse makes of them behind the shim."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time

import wire
from conftest import Chain
from shim import Shim
from synapse import APPSERVICE_USER

WHOAMI = "/_matrix/client/v3/account/whoami"
SYNC = "/_matrix/client/v3/sync"
MISSING = b'{"errcode":"M_MISSING_TOKEN","error":"Missing access token"}'
MIB = 1024 * 1024
BIG = 100 * MIB
MEMORY_LIMIT_KIB = 64 * 1024


def test_missing_token_is_answered_like_synapse(chain: Chain) -> None:
    seen = chain.recorder.mark()
    ours = wire.request(chain.shim.port, "GET", WHOAMI)
    assert chain.recorder.since(seen) == [], "it was to be answered without the homeserver"
    theirs = wire.request(chain.synapse.port, "GET", WHOAMI)
    assert (ours.status, ours.body) == (401, MISSING)
    assert (theirs.status, theirs.body) == (401, MISSING)
    for name in ("content-type", "access-control-allow-origin"):
        assert ours.fields[name] == theirs.fields[name]


def test_unknown_token_is_answered_by_synapse(chain: Chain) -> None:
    token = chain.secret(f"syt_ZmFrZQ_FAKE{secrets.token_hex(8)}_1aB2cD")
    ours = wire.request(chain.shim.port, "GET", wire.with_token(WHOAMI, token))
    theirs = wire.send_json(chain.synapse.port, "GET", WHOAMI, token=token)
    assert ours.status == 401
    assert ours.body == theirs.body
    assert ours.json()["errcode"] == "M_UNKNOWN_TOKEN"


def test_header_and_query_that_agree_are_served(chain: Chain, bob: str) -> None:
    target = wire.with_token(WHOAMI, bob)
    direct = wire.send_json(chain.synapse.port, "GET", target, token=bob)
    assert direct.status == 401 and b"Mixing" in direct.body
    logged = chain.shim.mark()
    answer = wire.send_json(chain.shim.port, "GET", target, token=bob)
    assert (answer.status, answer.json()["user_id"]) == (200, "@bob:localhost")
    assert chain.shim.lines_after(logged, 1)[0]["token_source"] == "both"


def test_encoded_name_and_semicolon_are_moved(chain: Chain, bob: str) -> None:
    for target in (
        f"{WHOAMI}?access%5Ftoken={bob}",
        f"{WHOAMI}?%61ccess_token={bob}",
        f"{WHOAMI}?x=1;access_token={bob}",
    ):
        seen = chain.recorder.mark()
        assert wire.request(chain.shim.port, "GET", target).status == 200, target.split("?")[1][:16]
        (request,) = chain.recorder.since(seen)
        assert request.values(b"authorization") == [f"Bearer {bob}".encode()]


def test_referer_loses_its_token(chain: Chain, bob: str) -> None:
    fields = {"Referer": f"https://chat.example.org/room?access_token={bob}", "User-Agent": "curl/7.0"}
    assert wire.request(chain.shim.port, "GET", wire.with_token(WHOAMI, bob), fields=fields).status == 200


def test_logout_by_query_token(chain: Chain) -> None:
    _, token = chain.account()
    assert wire.request(chain.shim.port, "GET", wire.with_token(WHOAMI, token)).status == 200
    logout = wire.with_token("/_matrix/client/v3/logout", token)
    assert wire.send_json(chain.shim.port, "POST", logout, {}).status == 200
    after = wire.request(chain.shim.port, "GET", wire.with_token(WHOAMI, token))
    assert (after.status, after.json()["errcode"]) == (401, "M_UNKNOWN_TOKEN")


def test_admin_api_by_query_token(chain: Chain, alice: str) -> None:
    """As a playbook resets a password."""
    users = wire.request(chain.shim.port, "GET", wire.with_token("/_synapse/admin/v2/users", alice))
    assert "@alice:localhost" in [user["name"] for user in users.json()["users"]]
    user_id, _ = chain.account()
    name = user_id[1:].split(":")[0]
    reset = wire.with_token(f"/_synapse/admin/v1/reset_password/{user_id}", alice)
    answer = wire.send_json(chain.shim.port, "POST", reset, {"new_password": "new pass phrase"})
    assert answer.status == 200, answer.body
    account = wire.with_token(f"/_synapse/admin/v2/users/{wire.escaped(user_id)}", alice)
    answer = wire.send_json(chain.shim.port, "PUT", account, {"displayname": "Reset"})
    assert (answer.status, answer.json()["displayname"]) == (200, "Reset")
    content = {"type": "m.login.password", "user": name, "password": "new pass phrase"}
    login = wire.send_json(chain.shim.port, "POST", "/_matrix/client/r0/login", content)
    assert login.status == 200
    chain.secret(login.json()["access_token"])


def test_delete_with_a_body_by_query_token(chain: Chain, alice: str) -> None:
    """The admin API takes a body with DELETE, which some proxies drop."""
    _, token = chain.account()
    room = chain.room(token)
    target = wire.with_token(f"/_synapse/admin/v2/rooms/{wire.escaped(room)}", alice)
    answer = wire.send_json(chain.shim.port, "DELETE", target, {"block": False, "purge": True})
    assert answer.status == 200, answer.body
    status = wire.with_token(f"/_synapse/admin/v2/rooms/delete_status/{answer.json()['delete_id']}", alice)
    assert wire.request(chain.shim.port, "GET", status).status == 200


def test_appservice_speaks_for_its_user(chain: Chain, bob: str) -> None:
    token, user_id = chain.synapse.appservice.as_token, f"@{APPSERVICE_USER}:localhost"
    port = chain.shim.port
    account = {"type": "m.login.application_service", "username": APPSERVICE_USER}
    made = wire.send_json(port, "POST", wire.with_token("/_matrix/client/v3/register", token), account)
    assert made.status == 200, made.body
    chain.secret(made.json()["access_token"])
    room = chain.room(bob)

    def as_user(path: str) -> str:
        return f"{path}?access_token={token}&user_id={user_id}"

    join = f"/_matrix/client/v3/join/{wire.escaped(room)}"
    assert wire.send_json(port, "POST", as_user(join), {}).status == 200
    send = f"/_matrix/client/v3/rooms/{wire.escaped(room)}/send/m.room.message/{secrets.token_hex(4)}"
    seen = chain.recorder.mark()
    sent = wire.send_json(port, "PUT", as_user(send), {"msgtype": "m.text", "body": "from the bridge"})
    assert sent.status == 200, sent.body
    (request,) = chain.recorder.since(seen)
    assert request.target == f"{send}?user_id={user_id}".encode()
    event = f"/_matrix/client/v3/rooms/{wire.escaped(room)}/event/{wire.escaped(sent.json()['event_id'])}"
    assert wire.request(port, "GET", wire.with_token(event, bob)).json()["sender"] == user_id


def test_unescaped_filter_is_served(chain: Chain, bob: str) -> None:
    """Quotes and braces as they are: nginx takes them, so must we."""
    target = SYNC + '?filter={"room":{"timeline":{"limit":1}}}&access_token=' + bob
    answer = wire.request(chain.shim.port, "GET", target)
    assert answer.status == 200, answer.body
    assert "next_batch" in answer.json()


def test_unescaped_alias_is_served(chain: Chain, bob: str) -> None:
    """A `#` that no client should send bare; a strict parser cuts the target there."""
    alias = f"room{secrets.token_hex(4)}"
    room = chain.room(bob, alias)
    path = "/_matrix/client/v3/directory/room/#"
    answer = wire.request(chain.shim.port, "GET", f"{path}{alias}:localhost")
    assert (answer.status, answer.json()["room_id"]) == (200, room)
    answer = wire.request(chain.shim.port, "GET", wire.with_token(f"{path}alias:localhost", bob))
    assert (answer.status, answer.json()["errcode"]) == (404, "M_NOT_FOUND")


def test_hundred_megabytes_up_and_down(chain: Chain, bob: str) -> None:
    """Bodies stream: the shim never holds more than a little of them."""
    piece = os.urandom(MIB)
    upload = wire.with_token("/_matrix/media/v3/upload?filename=big.bin", bob)
    fields = {"Content-Type": "application/octet-stream"}
    pieces = (piece for _ in range(BIG // MIB))
    sent = wire.request(chain.shim.port, "POST", upload, body=pieces, length=BIG, fields=fields, timeout=300)
    assert sent.status == 200, sent.body
    media = sent.json()["content_uri"].removeprefix("mxc://")
    download = wire.with_token(f"/_matrix/client/v1/media/download/{media}", bob)
    answer = wire.request(chain.shim.port, "GET", download, timeout=300)
    assert answer.status == 200
    assert len(answer.body) == BIG
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(piece * (BIG // MIB)).digest()
    assert chain.shim.child.memory_peak_kib() < MEMORY_LIMIT_KIB


def caught_up(chain: Chain, token: str) -> str:
    """The point in an account's stream behind which nothing waits."""
    since = ""
    for _ in range(10):
        target = wire.with_token(f"{SYNC}?timeout=0{since}", token)
        news = wire.request(chain.shim.port, "GET", target).json()
        since = f"&since={news['next_batch']}"
        if "rooms" not in news:
            return str(news["next_batch"])
    raise AssertionError("there is always something new in an account that nobody uses")


def test_sync_waits_half_a_minute(chain: Chain) -> None:
    _, token = chain.account()
    since = caught_up(chain, token)
    started = time.monotonic()
    answer = wire.request(
        chain.shim.port, "GET", wire.with_token(f"{SYNC}?since={since}&timeout=30000", token)
    )
    assert answer.status == 200
    assert 29 < time.monotonic() - started < 35


def test_sync_wakes_for_a_message(chain: Chain) -> None:
    _, token = chain.account()
    room = chain.room(token)
    since = caught_up(chain, token)
    send = f"/_matrix/client/v3/rooms/{wire.escaped(room)}/send/m.room.message/1"
    message = {"msgtype": "m.text", "body": "wake up"}

    def speak() -> None:
        wire.send_json(chain.shim.port, "PUT", wire.with_token(send, token), message)

    speaker = threading.Timer(1.0, speak)
    speaker.start()
    started = time.monotonic()
    answer = wire.request(
        chain.shim.port, "GET", wire.with_token(f"{SYNC}?since={since}&timeout=30000", token)
    )
    took = time.monotonic() - started
    speaker.join()
    events = answer.json()["rooms"]["join"][room]["timeline"]["events"]
    assert "wake up" in [event["content"].get("body") for event in events]
    assert 0.9 < took < 10


def test_started_with_two_flags(chain: Chain, bob: str) -> None:
    """No file, no environment: the log is nginx's `combined` on stdout."""
    shim = Shim.with_flags(chain.folder, chain.recorder.port)
    chain.shims.append(shim)
    answer = wire.request(shim.port, "GET", wire.with_token(WHOAMI, bob))
    assert answer.json()["user_id"] == "@bob:localhost"
    assert shim.child.stop() == 0
    assert '"GET /_matrix/client/v3/account/whoami' in shim.child.stdout.read_text()


def test_synapse_never_saw_the_parameter(chain: Chain, bob: str) -> None:
    """Its own log masks badly, so the proof is that there was nothing to mask."""
    before = chain.synapse.log.stat().st_size
    wire.request(chain.shim.port, "GET", f"{WHOAMI}?access_token={bob}&access_token={bob}")
    wire.request(chain.shim.port, "GET", f"{WHOAMI}?%61ccess_token={bob}")
    text = chain.synapse.log.read_bytes()[before:]
    assert b"account/whoami" in text
    assert b"access_token" not in text
