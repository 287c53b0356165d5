"""Found tokens and a real Synapse: which live, by its database and by its own word, and their end."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import wire
from conftest import Chain
from guards import WHOAMI, account
from processes import BINARY, REPOSITORY, inherited, wait_until
from synapse import EXPIRES_AFTER, PASSWORD

PAGE = REPOSITORY / "docs" / "incident.md"
KEY = b"FAKE-KEY-" + secrets.token_hex(16).encode()
LEAKS = 1
INCOMPLETE = 3


@dataclass
class Leak:
    """A log with tokens in it, and who they belong to."""

    chain: Chain
    folder: Path
    tokens: dict[str, str] = field(default_factory=dict)
    owners: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, name: str, token: str) -> None:
        """One more line of the log."""
        self.tokens[name] = self.chain.secret(token)
        target = wire.with_token("/_matrix/client/r0/sync", token)
        line = f'192.0.2.1 - - [22/Nov/2026:09:00:00 +0000] "GET {target} HTTP/1.1" 200 5 "-" "curl/8"\n'
        with self.log.open("a") as log:
            log.write(line)

    def login(self, name: str, *, refreshable: bool = False) -> dict[str, Any]:
        """A session of a fresh account, begun without the shim, and its token leaked."""
        content = {
            "type": "m.login.password",
            "user": account(self.chain),
            "password": PASSWORD,
            "refresh_token": refreshable,
        }
        answer = wire.send_json(self.chain.synapse.port, "POST", "/_matrix/client/v3/login", content)
        assert answer.status == 200, answer.body
        said: dict[str, Any] = answer.json()
        self.owners[name] = (said["user_id"], said["device_id"])
        self.add(name, said["access_token"])
        return said

    @property
    def log(self) -> Path:
        """As nginx writes it."""
        return self.folder / "access.log"

    @property
    def key(self) -> Path:
        """For this machine's administrator alone."""
        return self.folder / "key"

    @property
    def homeserver(self) -> str:
        """What is given on the command line."""
        return f"http://127.0.0.1:{self.chain.synapse.port}"

    @property
    def registration(self) -> Path:
        """Of the bridge that the homeserver knows."""
        return self.chain.synapse.folder / "appservice.yaml"

    def id(self, name: str) -> str:
        """What reports call a token; computed here, so that nobody takes our word for it."""
        return "h:" + hmac.new(KEY, self.tokens[name].encode(), hashlib.sha256).hexdigest()[:32]

    def run(self, *arguments: str | Path, stdin: str = "", code: int) -> subprocess.CompletedProcess[str]:
        """Runs tokenshim; no token in anything that it says."""
        command = [str(BINARY), *map(str, arguments)]
        ended = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=120, env=inherited(), check=False
        )
        for name, token in self.tokens.items():
            for said in (ended.stdout, ended.stderr):
                assert token not in said and wire.escaped(token) not in said, f"{name} is shown"
        assert ended.returncode == code, ended.stderr
        return ended

    def audit(self, *arguments: str | Path, code: int = LEAKS) -> tuple[dict[str, dict[str, Any]], str]:
        """The report's tokens by their names here, and what was said meanwhile."""
        ended = self.run("audit", "--format", "json", "--key", self.key, *arguments, self.log, code=code)
        rows = {row["id"]: row for row in json.loads(ended.stdout)["tokens"]}
        return {name: rows[self.id(name)] for name in self.tokens}, ended.stderr

    def live_set(self) -> Path:
        """The list of all tokens in Synapse's own database, by what a shell would pipe."""
        query = PAGE.read_text().split('sqlite3 homeserver.db "')[1].split('"')[0]
        database = self.chain.synapse.folder / "homeserver.db"
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            rows = connection.execute(query).fetchall()
        # As the program of that name writes it.
        lines = "".join("|".join(column or "" for column in row) + "\n" for row in rows)
        ended = self.run("fingerprint", "--stdin", "--key", self.key, stdin=lines, code=0)
        made = self.folder / "live.tsv"
        made.write_text(ended.stdout)
        return made

    def works(self, name: str) -> bool:
        """By Synapse's word, not ours."""
        token = self.tokens[name]
        return wire.send_json(self.chain.synapse.port, "GET", WHOAMI, token=token).status == 200


@pytest.fixture
def leak(chain: Chain, tmp_path: Path) -> Leak:
    """Two living tokens, one logged out, one that never was, and a refresh token."""
    leak = Leak(chain, tmp_path)
    leak.key.write_bytes(KEY + b"\n")
    leak.key.chmod(0o600)
    leak.login("one")
    leak.login("two")
    leak.login("gone")
    out = wire.send_json(
        chain.synapse.port, "POST", "/_matrix/client/v3/logout", {}, token=leak.tokens["gone"]
    )
    assert out.status == 200, out.body
    leak.add("garbage", f"FAKE{secrets.token_hex(20)}")
    return leak


def states(found: dict[str, dict[str, Any]], names: Sequence[str]) -> list[str]:
    """Whether each is alive."""
    return [found[name]["state"] for name in names]


def assert_owned(leak: Leak, found: dict[str, dict[str, Any]], *names: str) -> None:
    """User and device are those that Synapse gave the token to."""
    for name in names:
        assert (found[name]["live_user"], found[name]["device"]) == leak.owners[name]


def test_the_database_tells_alive_from_dead(leak: Leak) -> None:
    found, _ = leak.audit("--live-set", leak.live_set(), "--registration", leak.registration)
    # What has no shape may be another bridge's, or another server's.
    assert states(found, ["one", "two", "gone", "garbage"]) == ["alive", "alive", "dead", "unknown"]
    assert_owned(leak, found, "one", "two")
    assert all(row["checked_at"] and "live-set" in row["checked_by"] for row in found.values())
    found, _ = leak.audit("--live-set", leak.live_set())
    assert states(found, ["gone", "garbage"]) == ["dead", "unknown"]


def test_a_list_that_is_cut_or_under_another_key_proves_nothing(leak: Leak) -> None:
    made = leak.live_set()
    lines = made.read_text().splitlines(keepends=True)
    made.write_text("".join(lines[:-1]))
    found, _ = leak.audit("--live-set", made, code=INCOMPLETE)
    assert set(states(found, list(leak.tokens))) <= {"alive", "unknown"}
    other = leak.folder / "other"
    other.write_bytes(b"FAKE-OTHER-KEY-FAKE")
    other.chmod(0o600)
    refused = leak.run("audit", "--key", other, "--live-set", made, leak.log, code=2)
    assert "another key" in refused.stderr


def test_the_homeserver_says_which_live(leak: Leak) -> None:
    said = leak.login("expired", refreshable=True)
    leak.add("refresh", said["refresh_token"])
    wait_until("the token to expire", lambda: not leak.works("expired"), EXPIRES_AFTER + 10)
    # SQLite's clock has whole seconds.
    wait_until("a second", lambda: leak.id("expired") not in leak.live_set().read_text(), 5)
    found, _ = leak.audit("--live-set", leak.live_set())
    assert states(found, ["one", "expired", "refresh"]) == ["alive", "dead", "unknown"], "still in the table"
    found, told = leak.audit("--verify-live", "--homeserver", leak.homeserver, "--rate", "100")
    names = ["one", "two", "gone", "garbage", "expired", "refresh"]
    assert states(found, names) == ["alive", "alive", "dead", "dead", "dead", "unknown"]
    assert_owned(leak, found, "one", "two")
    assert "refresh token" in found["expired"]["state_reason"]
    assert "no access token" in found["refresh"]["state_reason"]
    assert "records this machine's address" in told
    # The refresh token has not been used up.
    content = {"refresh_token": leak.tokens["refresh"]}
    renewed = wire.send_json(leak.chain.synapse.port, "POST", "/_matrix/client/v3/refresh", content)
    assert renewed.status == 200, renewed.body
    leak.chain.secret(renewed.json()["access_token"])
    leak.chain.refresh_token(renewed.json()["refresh_token"])


def test_living_tokens_are_ended(leak: Leak) -> None:
    asks = ["--verify-live", "--homeserver", leak.homeserver, "--rate", "100"]
    found, told = leak.audit(*asks, "--revoke")
    assert [found[name]["revocation"] for name in leak.tokens] == ["planned", "planned", None, None]
    assert "add --yes" in told and leak.works("one") and leak.works("two")

    found, told = leak.audit(*asks, "--revoke", "--yes")
    assert [found[name]["revocation"] for name in leak.tokens] == ["revoked", "revoked", None, None]
    assert set(states(found, list(leak.tokens))) == {"dead"}
    assert "2 revoked, 0 still alive" in told
    assert_owned(leak, found, "one", "two")
    assert not leak.works("one") and not leak.works("two")

    found, told = leak.audit(*asks, "--revoke", "--yes")
    assert set(states(found, list(leak.tokens))) == {"dead"}
    assert "nothing to log out" in told
    found, _ = leak.audit("--live-set", leak.live_set(), "--registration", leak.registration)
    names = [name for name in leak.tokens if name != "garbage"]
    assert set(states(found, names)) == {"dead"}, "the database says the same"


def test_a_bridges_token_is_named_and_never_logged_out(leak: Leak) -> None:
    leak.add("as", leak.chain.synapse.appservice.as_token)
    leak.add("hs", leak.chain.synapse.appservice.hs_token)
    known = ["--registration", leak.registration]
    found, _ = leak.audit(*known)
    assert [found[name]["kind"] for name in ("as", "hs")] == ["appservice_as", "appservice_hs"]
    asks = ["--verify-live", "--homeserver", leak.homeserver, "--rate", "100", "--revoke", "--yes"]
    found, told = leak.audit(*known, *asks)
    assert found["as"]["state"] == "alive" and found["as"]["revocation"] == "not_this_way"
    assert "application service acceptance" in found["as"]["state_reason"]
    assert "restart both" in told
    assert found["hs"]["state"] == "unknown"
    assert leak.works("as")
    assert [found[name]["revocation"] for name in ("one", "two")] == ["revoked", "revoked"]
