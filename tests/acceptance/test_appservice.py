"""Old bridges behind a current Synapse with its default settings, with the shim between and without.

Synapse sends the token of a registration in the header alone. The libraries of old read nothing
but the query, and the oldest know no `/_matrix/app/v1`: their bridges lose every event.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import judge
import pytest
import wire
from processes import INSTALLED, Child, free_port, installed, python_of, wait_until
from shim import CONFIGURATION, Shim
from synapse import PASSWORD, Synapse

CLIENTS = Path(__file__).parent / "clients"
TO_QUERY = 'profile = "appservice"\ntoken = "to-query"\n'
TO_HEADER = 'profile = "appservice"\ntoken = "to-header"\n'

# Which library, and what stands between it and Synapse.
BRIDGES: dict[str, tuple[str, str | None]] = {
    "query": ("matrix-appservice 0.10.0", TO_QUERY),
    "query-alone": ("matrix-appservice 0.10.0", None),
    "legacy": ("mautrix-appservice 0.3.11", TO_QUERY + "legacy_paths = true\n"),
    "legacy-alone": ("mautrix-appservice 0.3.11", None),
    "current": ("mautrix 0.21.1", TO_HEADER),
}
MESSAGES = 5
# What the tests say in the homeserver's place.
OURS = "from a query"


@dataclass
class Bridge:
    """An application service, and the shim in front of it if it has one."""

    name: str
    port: int
    hs_token: str
    child: Child
    shim: Shim | None

    def registration(self) -> dict[str, object]:
        """It wants to hear of every room."""
        port = self.shim.port if self.shim else self.port
        return {
            "id": self.name,
            "url": f"http://127.0.0.1:{port}",
            "as_token": secrets.token_hex(32),
            "hs_token": self.hs_token,
            "sender_localpart": f"_{self.name}_bot",
            "rate_limited": False,
            "namespaces": {
                "users": [],
                "rooms": [{"exclusive": False, "regex": "!.*"}],
                "aliases": [{"exclusive": True, "regex": f"#_{self.name}_.*"}],
            },
        }

    def heard(self, what: str) -> list[Any]:
        """All of one kind that it has printed so far."""
        lines = self.child.stdout.read_text("utf-8").split("\n")[:-1]
        return [said[what] for said in map(json.loads, lines) if what in said]

    def log(self) -> bytes:
        """What its own server wrote of its requests."""
        return self.child.stdout.read_bytes() + self.child.stderr.read_bytes()


@dataclass
class House:
    """A homeserver and its bridges."""

    synapse: Synapse
    bridges: dict[str, Bridge]
    alice: str

    def call(self, method: str, path: str, content: Any = None) -> Any:
        """What alice does at the homeserver."""
        target = f"/_matrix/client/v3{path}"
        answer = wire.send_json(self.synapse.port, method, target, content, token=self.alice)
        assert answer.status == 200, answer.body
        return answer.json()


def start(folder: Path, name: str) -> Bridge:
    """The bridge first: who is not there yet is asked again much later."""
    library, relocate = BRIDGES[name]
    own = folder / name
    own.mkdir()
    port = free_port()
    # Characters that a query has to escape.
    hs_token = f"{secrets.token_hex(24)}+/{secrets.token_hex(8)}=="
    environment = {"HS_TOKEN": hs_token}
    if library.startswith("matrix-appservice"):
        installed("npm", "node_modules", "matrix-appservice")
        environment["NODE_PATH"] = str(INSTALLED / "npm" / "node_modules")
        command: list[str | Path] = ["node", CLIENTS / "bridge_matrix_appservice.js"]
    elif library.startswith("mautrix-appservice"):
        command = [python_of("mautrix-appservice"), CLIENTS / "bridge_mautrix_old.py"]
    else:
        command = [python_of("mautrix"), CLIENTS / "bridge_mautrix.py"]
    child = Child(f"bridge-{name}", [*command, str(port)], own, environment)
    child.wait_for_port(port)
    return Bridge(name, port, hs_token, child, shim_of(own, port, relocate) if relocate else None)


def shim_of(folder: Path, upstream: int, relocate: str) -> Shim:
    """One that stands in front of the bridge."""
    port = free_port()
    access_log, file = folder / "access.json", folder / "tokenshim.toml"
    configuration = CONFIGURATION.format(upstream=upstream, port=port, access_log=access_log, drain="5s")
    file.write_text(f"{configuration}\n[relocate]\n{relocate}")
    return Shim(folder, port, ["--config", str(file)], access_log)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """All of them on one homeserver; at the end nothing may have written a token."""
    folder = tmp_path_factory.mktemp("bridges")
    bridges = {name: start(folder, name) for name in BRIDGES}
    (folder / "synapse").mkdir()
    synapse = Synapse(folder / "synapse", [bridge.registration() for bridge in bridges.values()])
    synapse.register("alice")
    login = {"type": "m.login.password", "user": "alice", "password": PASSWORD}
    answer = wire.send_json(synapse.port, "POST", "/_matrix/client/v3/login", login)
    yield House(synapse, bridges, answer.json()["access_token"])
    synapse.stop()
    tokens = {bridge.hs_token for bridge in bridges.values()}
    for bridge in bridges.values():
        bridge.child.stop()
        if not bridge.shim:
            continue
        assert bridge.shim.child.stop() == 0
        assert bridge.shim.lines(), "the shim was asked"
        for file in bridge.shim.outputs():
            assert judge.findings(file.read_bytes(), tokens) == [], f"{bridge.name}: {file.name}"
    assert judge.findings(synapse.log.read_bytes(), tokens) == []


@pytest.fixture(scope="module")
def events(house: House) -> list[str]:
    """A room in which something is said: everything that happened in it, in order."""
    room = house.call("POST", "/createRoom", {"preset": "public_chat"})["room_id"]
    for number in range(MESSAGES):
        content = {"msgtype": "m.text", "body": f"message {number}"}
        house.call("PUT", f"/rooms/{wire.escaped(room)}/send/m.room.message/{number}", content)
    chunk = house.call("GET", f"/rooms/{wire.escaped(room)}/messages?dir=f&limit=100")["chunk"]
    said = [event["content"].get("body", event["type"]) for event in chunk]
    assert [text for text in said if text.startswith("message")] == [f"message {n}" for n in range(MESSAGES)]
    return said


@pytest.mark.parametrize("name", ["query", "legacy", "current"])
def test_all_events_arrive(house: House, events: list[str], name: str) -> None:
    bridge = house.bridges[name]
    wait_until(f"{len(events)} events", lambda: events[-1] in bridge.heard("event"), 60)
    assert [said for said in bridge.heard("event") if said != OURS] == events
    assert bridge.shim
    bridge.shim.mark()
    lines = [line for line in bridge.shim.lines() if "Synapse" in (line["user_agent"] or "")]
    assert {line["token_source"] for line in lines} == {"header"}, "current Synapse sends nothing else"


@pytest.mark.parametrize(("name", "status"), [("query-alone", " 403 "), ("legacy-alone", " 404 ")])
def test_without_the_shim_none_does(house: House, events: list[str], name: str, status: str) -> None:
    """Which is what makes the test above one."""
    bridge, served = house.bridges[name], house.bridges["query"]
    wait_until("the bridge's refusal", lambda: status.encode() in bridge.log(), 60)
    wait_until("the others' events", lambda: events[-1] in served.heard("event"), 60)
    assert bridge.heard("event") == []
    assert b" 200 " not in bridge.log()


def test_an_alias_is_asked_for(house: House) -> None:
    bridge = house.bridges["query"]
    alias = f"#_query_é {secrets.token_hex(4)}:localhost"
    target = f"/_matrix/client/v3/directory/room/{wire.escaped(alias)}"
    assert wire.send_json(house.synapse.port, "GET", target).status == 404
    assert alias in bridge.heard("alias")


@pytest.mark.parametrize("authorization", [None, "Bearer ", "Bearer {}"])
def test_a_homeserver_that_sends_the_query(house: House, authorization: str | None) -> None:
    """As those of Conduit's family do: some beside a header, one beside a header without a token."""
    bridge = house.bridges["current"]
    assert bridge.shim
    content = {"events": [event(OURS)]}
    target = f"/_matrix/app/v1/transactions/{secrets.token_hex(4)}?access_token={wire.escaped(bridge.hs_token)}"
    fields = {"Authorization": authorization.format(bridge.hs_token)} if authorization else {}
    before = len(bridge.heard("event"))
    body = json.dumps(content).encode()
    answer = wire.request(bridge.shim.port, "PUT", target, body=body, fields=fields)
    assert (answer.status, answer.json()) == (200, {})
    wait_until("the event", lambda: len(bridge.heard("event")) > before)
    assert bridge.heard("event")[before:] == [OURS]
    assert judge.findings(bridge.log(), {bridge.hs_token}) == [], "not in its own log, either"


def test_different_tokens_are_refused(house: House) -> None:
    bridge = house.bridges["current"]
    assert bridge.shim
    target = f"/_matrix/app/v1/transactions/x?access_token={wire.escaped(bridge.hs_token)}"
    answer = wire.send_json(bridge.shim.port, "PUT", target, {"events": []}, token="another")
    assert (answer.status, answer.json()["errcode"]) == (401, "M_MISSING_TOKEN")


def test_a_wrong_token_and_none_are_the_bridges_to_refuse(house: House) -> None:
    bridge = house.bridges["query"]
    assert bridge.shim
    target = "/_matrix/app/v1/transactions/y"
    for token in ("another", None):
        answer = wire.send_json(bridge.shim.port, "PUT", target, {"events": []}, token=token)
        assert (answer.status, answer.json()["error"]) == (403, "Bad token supplied,")


def test_what_it_costs_is_said(house: House, events: list[str]) -> None:
    """A token in a URL is in the bridge's own log; the shim says so at its start."""
    bridge = house.bridges["legacy"]
    assert bridge.shim
    wait_until("events", lambda: events[-1] in bridge.heard("event"), 60)
    assert judge.findings(bridge.log(), {bridge.hs_token}), "then the warning is out of date"
    log = bridge.shim.child.stderr.read_text("utf-8")
    assert [line for line in log.splitlines() if "WARN" in line and "to-query" in line], log
    assert b"to-query" not in house.bridges["current"].shim.child.stderr.read_bytes()


def event(text: str) -> dict[str, object]:
    """A message as it is in a transaction."""
    return {
        "type": "m.room.message",
        "event_id": f"${secrets.token_hex(8)}",
        "room_id": "!room:localhost",
        "sender": "@alice:localhost",
        "origin_server_ts": 1,
        "content": {"msgtype": "m.text", "body": text},
    }
