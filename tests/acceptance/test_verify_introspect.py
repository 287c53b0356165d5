"""`introspect` with a real OAuth server: oidc-provider, tokens by the grant for machines."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import judge
import pytest
import wire
from conftest import Chain
from guards import FORBIDDEN, MISSING, NO_ANSWER, UNKNOWN, Guard, Guards, errcode, tool_route
from oauth import CLIENT_ID, Account, OAuthServer
from origin import Origin, Seen
from processes import wait_until

ACCOUNTS = {
    # As MAS says it: a bare name, and a device.
    "bot": Account("api:read api:write", claims={"username": "bot", "device_id": "FAKEDEVICE"}),
    "brief": Account("api:read", ttl=3, claims={"username": "brief"}),
    # Nobody's: the standard asks for no user.
    "machine": Account("api:read"),
    # One who would like to be taken for a user of another server.
    "impostor": Account("api:read", claims={"username": "@alice:example.org"}),
}


@pytest.fixture(scope="module")
def server(chain: Chain) -> Iterator[OAuthServer]:
    """One for all tests of this file."""
    started = OAuthServer(chain.folder / "oauth", ACCOUNTS)
    for account in started.accounts.values():
        chain.secret(account.secret)
        # However it is encoded, this is in it.
        chain.secret(account.secret.split(" ")[-1])
    yield started
    started.stop()


@pytest.fixture
def guard(chain: Chain, guards: Guards, server: OAuthServer, origin: Origin, tmp_path: Path) -> Guard:
    """A tool that wants `api:read`."""
    return start(guards, server, origin, tmp_path, 'scope = ["api:read"]')


def start(
    guards: Guards, server: OAuthServer, origin: Origin, folder: Path, more: str = "", rules: str = ""
) -> Guard:
    """With our secret in a file, as an editor leaves it."""
    file = folder / "client.secret"
    if not file.exists():
        file.write_text(server.secret + "\n")
    verify = (
        f'introspection_endpoint = "{server.endpoint}"\nclient_id = "{CLIENT_ID}"\n'
        f'client_secret_file = "{file}"\nserver_name = "localhost"\nbad_tokens = 0\n{more}'
    )
    return guards.start(
        verify, upstream=origin.port, routes=tool_route(origin.port, verify="introspect", more=rules)
    )


def mint(chain: Chain, server: OAuthServer, name: str, scope: str = "api:read") -> str:
    """A token that the judge knows."""
    return chain.secret(server.token(name, scope))


def test_an_active_token_comes_in(chain: Chain, server: OAuthServer, guard: Guard, origin: Origin) -> None:
    token = mint(chain, server, "bot", "api:read api:write")
    seen = Seen.of(
        guard.ask(token, "/tool", fields={"X-Token-Scope": "root", "X_Matrix_User": "@root:x"}).body
    )
    assert seen.values("x-matrix-user") == ["@bot:localhost"]
    assert seen.values("x-matrix-device") == ["FAKEDEVICE"]
    assert set(seen.values("x-token-scope")[0].split(" ")) == {"api:read", "api:write"}
    assert "root" not in str(seen.told["fields"])
    moved = Seen.of(guard.ask(None, wire.with_token("/tool?a=1", token)).body)
    assert moved.target == "/tool?a=1"


def test_an_active_token_is_asked_about_once(chain: Chain, server: OAuthServer, guard: Guard) -> None:
    token, before = mint(chain, server, "bot"), server.asked()
    assert {guard.ask(token).status for _ in range(30)} == {200}
    assert server.asked() == before + 1


def test_no_token_and_no_such_token_stay_out(
    chain: Chain, server: OAuthServer, guard: Guard, origin: Origin
) -> None:
    reached = len(origin.requests)
    assert errcode(guard.ask(None)) == MISSING
    for unknown in (f"FAKE{secrets.token_hex(16)}", f"FAKE.{secrets.token_hex(8)}.{secrets.token_hex(8)}"):
        refused = guard.ask(chain.secret(unknown))
        assert errcode(refused) == UNKNOWN, refused.body
        # An OAuth server does not tell "expired" from "never was": a client keeps its keys.
        assert refused.json()["soft_logout"] is True
    assert len(origin.requests) == reached


def test_a_revoked_token_is_out_after_the_ttl(
    chain: Chain, guards: Guards, server: OAuthServer, origin: Origin, tmp_path: Path
) -> None:
    guard = start(guards, server, origin, tmp_path, 'valid_ttl = "1s"')
    token, other = mint(chain, server, "bot"), mint(chain, server, "bot")
    assert guard.ask(token).status == guard.ask(other).status == 200
    server.revoke("bot", token)
    wait_until("the verdict to end", lambda: errcode(guard.ask(token)) == UNKNOWN, 5)
    assert guard.ask(other).status == 200


def test_an_expired_token_is_out_before_the_ttl(chain: Chain, server: OAuthServer, guard: Guard) -> None:
    """`exp` counts, though a verdict may be kept for a minute."""
    token = mint(chain, server, "brief")
    assert guard.ask(token).status == 200
    wait_until("the token to expire", lambda: errcode(guard.ask(token)) == UNKNOWN, 10)


def test_a_token_for_something_else_is_not_allowed(
    chain: Chain, guards: Guards, server: OAuthServer, guard: Guard, origin: Origin, tmp_path: Path
) -> None:
    """It is a good token, so nobody is logged out for it."""
    write_only = mint(chain, server, "bot", "api:write")
    assert errcode(guard.ask(write_only)) == FORBIDDEN
    both = start(guards, server, origin, tmp_path, 'scope = ["api:read", "api:write"]')
    assert errcode(both.ask(mint(chain, server, "bot", "api:read"))) == FORBIDDEN
    assert both.ask(mint(chain, server, "bot", "api:read api:write")).status == 200
    none = start(guards, server, origin, tmp_path)
    assert none.ask(write_only).status == 200


def test_who_is_nobody_here_is_not_allowed(chain: Chain, server: OAuthServer, guard: Guard) -> None:
    assert errcode(guard.ask(mint(chain, server, "machine"))) == FORBIDDEN
    assert errcode(guard.ask(mint(chain, server, "impostor"))) == FORBIDDEN


def test_rules_name_the_users_of_the_oauth_server(
    chain: Chain, guards: Guards, server: OAuthServer, origin: Origin, tmp_path: Path
) -> None:
    guard = start(guards, server, origin, tmp_path, rules='allow = ["@bot:localhost"]')
    assert guard.ask(mint(chain, server, "bot")).status == 200
    assert errcode(guard.ask(mint(chain, server, "brief"))) == FORBIDDEN


def test_a_wrong_secret_of_ours_is_nobodys_fault(
    chain: Chain, guards: Guards, server: OAuthServer, origin: Origin, tmp_path: Path
) -> None:
    """503, and the operator is told which setting it is; a reload with the right one mends it."""
    file = tmp_path / "client.secret"
    file.write_text(chain.secret(f"FAKEwrong{secrets.token_hex(8)}"))
    guard = start(guards, server, origin, tmp_path)
    token = mint(chain, server, "bot")
    refused = guard.ask(token)
    assert errcode(refused) == NO_ANSWER
    assert int(refused.fields["retry-after"]) > 0
    # A thread of its own writes the log.
    wait_until("the log", lambda: "client_secret_file" in guard.child.stderr.read_text())
    file.write_text(server.secret)
    guard.reload()
    wait_until("the right secret", lambda: guard.ask(token).status == 200, 30)


def test_a_server_that_is_gone_is_not_a_no(
    chain: Chain, guards: Guards, server: OAuthServer, origin: Origin, tmp_path: Path
) -> None:
    guard = start(guards, server, origin, tmp_path)
    known, fresh = mint(chain, server, "bot"), mint(chain, server, "bot")
    assert guard.ask(known).status == 200
    server.stop()
    try:
        answers = [guard.ask(fresh) for _ in range(15)]
        assert guard.ask(known).status == 200
    finally:
        server.start()
    assert {errcode(answer) for answer in answers} == {NO_ANSWER}
    assert all(int(answer.fields["retry-after"]) > 0 for answer in answers)
    again = mint(chain, server, "bot")
    wait_until("the server to be asked again", lambda: guard.ask(again).status == 200, 30)


def test_a_server_that_says_nothing_is_not_a_no(
    chain: Chain, guards: Guards, server: OAuthServer, origin: Origin, tmp_path: Path
) -> None:
    guard = start(guards, server, origin, tmp_path, 'timeout = "300ms"')
    token = mint(chain, server, "bot")
    with server.child.paused():
        assert errcode(guard.ask(token)) == NO_ANSWER
    wait_until("the server to be asked again", lambda: guard.ask(token).status == 200, 30)


def test_the_servers_log_and_ours_are_clean(chain: Chain, server: OAuthServer, guard: Guard) -> None:
    token = mint(chain, server, "bot")
    guard.ask(None, wire.with_token("/tool", token))
    for file in (server.child.stdout, server.child.stderr):
        assert judge.findings(file.read_bytes(), chain.tokens) == []
