"""Who may come in: real people of a real Synapse, before real tools."""

from __future__ import annotations

from collections.abc import Iterator

import judge
import pytest
import wire
from conftest import Chain
from guards import FORBIDDEN, TOOL, Guard, Guards, account, by_synapse, errcode, tool_route
from processes import wait_until
from tools import FILE, Files, Prometheus


def who_comes_in(chain: Chain, guards: Guards, files: Files, allow: str, deny: str) -> tuple[str, Guard]:
    """Of one admin, one user and one guest, those that the rules let in."""
    rules = f"allow = [{allow}]\ndeny = [{deny}]"
    guard = guards.start(
        by_synapse(chain), routes=tool_route(files.recorder.port, verify="whoami", more=rules)
    )
    people = {
        "admin": guards.login(guard, "alice"),
        "user": guards.login(guard, "bob"),
        "guest": guards.guest(guard),
    }
    let_in = []
    for kind, session in people.items():
        answer = guard.ask(session.token, FILE)
        if answer.status == 200:
            let_in.append(kind)
        else:
            assert errcode(answer) == FORBIDDEN, (kind, answer.body)
    return " ".join(let_in), guard


@pytest.mark.parametrize(
    ("allow", "deny", "expected"),
    [
        pytest.param("", "", "admin user", id="everybody but guests"),
        pytest.param('"admins"', "", "admin", id="administrators only"),
        pytest.param('"guests"', "", "guest", id="guests only"),
        pytest.param('"admins", "guests"', "", "admin guest", id="administrators and guests"),
        pytest.param('"@bob:localhost"', "", "user", id="one user"),
        pytest.param('"@*:localhost"', "", "admin user", id="a server's users, guests not named"),
        pytest.param('"@*:example.org"', "", "", id="another server's users"),
        pytest.param("", '"@bob:localhost"', "admin", id="not one"),
        pytest.param('"@*:localhost"', '"admins"', "user", id="no administrators"),
        pytest.param('"@bob:localhost", "admins"', '"@bob:localhost"', "admin", id="deny is stronger"),
        pytest.param('"@*:localhost", "guests"', '"@*:localhost"', "", id="nobody"),
    ],
)
def test_rules_are_about_real_people(
    chain: Chain, guards: Guards, files: Files, allow: str, deny: str, expected: str
) -> None:
    assert who_comes_in(chain, guards, files, allow, deny)[0] == expected


def test_administrators_are_known_for_a_while(chain: Chain, guards: Guards, files: Files) -> None:
    """One question about the token and one about its user, whatever number of requests."""
    mark = chain.recorder.mark()
    let_in, guard = who_comes_in(chain, guards, files, '"admins"', "")
    assert let_in == "admin"
    admin = guards.login(guard, "alice")
    assert {guard.ask(admin.token, FILE).status for _ in range(20)} == {200}
    asked = [
        request.target for request in chain.recorder.since(mark) if b"/admin/v1/users/" in request.target
    ]
    # Guests are no administrators; nobody asks.
    assert len(asked) <= 3, asked


def test_a_demoted_administrator_is_out_at_once(
    chain: Chain, guards: Guards, files: Files, alice: str
) -> None:
    route = tool_route(files.recorder.port, verify="whoami", more='allow = ["admins"]')
    guard = guards.start(by_synapse(chain), routes=route)
    session = guards.login(guard, account(chain, admin=True))
    assert guard.ask(session.token, FILE).status == 200
    path = f"/_synapse/admin/v1/users/{wire.escaped(session.user)}/admin"
    assert guard.call(alice, "PUT", path, {"admin": False}).status == 200
    assert errcode(guard.ask(session.token, FILE)) == FORBIDDEN
    path = f"/_synapse/admin/v2/users/{wire.escaped(session.user)}"
    assert guard.call(alice, "PUT", path, {"admin": True}).status == 200
    assert guard.ask(session.token, FILE).status == 200


@pytest.fixture(scope="module")
def prometheus(chain: Chain) -> Iterator[Prometheus]:
    """From Debian."""
    server = Prometheus(chain.folder / "prometheus")
    yield server
    server.stop()
    for file in (server.child.stdout, server.child.stderr):
        assert judge.findings(file.read_bytes(), chain.tokens) == []


def test_prometheus_is_for_administrators(chain: Chain, guards: Guards, prometheus: Prometheus) -> None:
    """Asked as Grafana and scripts ask it, with the token beside the query or in the header."""
    route = tool_route(prometheus.port, verify="whoami", more='allow = ["admins"]')
    guard = guards.start(by_synapse(chain), routes=route)
    admin, user = guards.login(guard, "alice"), guards.login(guard, "bob")
    query = 'up{job="itself"}'
    target = f"/api/v1/query?query={wire.escaped(query)}"
    assert guard.ask(None, target).status == 401
    assert errcode(guard.ask(user.token, target)) == FORBIDDEN

    def is_up(answer: wire.Answer) -> bool:
        assert answer.status == 200, answer.body
        result = answer.json()["data"]["result"]
        return bool(result) and result[0]["value"][1] == "1"

    wait_until("a first scrape", lambda: is_up(guard.ask(admin.token, target)), 30)
    assert is_up(guard.ask(None, wire.with_token(target, admin.token)))
    form = f"query={wire.escaped(query)}&access_token={admin.token}"
    kind = {"Host": TOOL, "Content-Type": "application/x-www-form-urlencoded"}
    assert is_up(wire.request(guard.port, "POST", "/api/v1/query", body=form.encode(), fields=kind))
    assert guard.ask(admin.token, "/metrics").status == 200
