"""`file`: tokens for machines, made by `tokenshim hash-token`, in front of an upstream."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import wire
from conftest import Chain
from guards import FORBIDDEN, MISSING, UNKNOWN, Guard, Guards, errcode, tool_route
from origin import Origin, Seen
from processes import BINARY, wait_until


def made(chain: Chain, *arguments: str, given: str = "") -> tuple[str, str]:
    """A line for the file, and its token: a given one, or a new one."""
    command = [str(BINARY), "hash-token", *arguments, *([] if given else ["--generate"])]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    token = given.strip() or done.stderr.removeprefix("token: ").strip()
    assert token and token not in done.stdout
    if given:
        assert token not in done.stderr
    return done.stdout, chain.secret(token)


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """The file, without a token yet."""
    file = tmp_path / "tokens"
    file.write_text("# Made by hand.\n\n")
    return file


def start(guards: Guards, origin: Origin, tokens: Path, rules: str = "") -> Guard:
    """A tool for those in the file."""
    verify = f'tokens_file = "{tokens}"\nbad_tokens = 0'
    routes = tool_route(origin.port, verify="file", more=rules)
    return guards.start(verify, upstream=origin.port, routes=routes)


def append(file: Path, line: str) -> None:
    """As `>>` does it."""
    with file.open("a") as opened:
        opened.write(line)


def test_who_has_a_token_of_the_file_comes_in(
    chain: Chain, guards: Guards, origin: Origin, tokens: Path
) -> None:
    for label in ("backup", "monitoring"):
        line, token = made(chain, "--label", label)
        append(tokens, line)
    own_line, own = made(chain, "--label", "by-hand", given="FAKE-a-token-that-somebody-chose\n")
    append(tokens, own_line)
    guard = start(guards, origin, tokens)
    claims = {"X-Token-Label": "root", "x_token_label": "root", "X-Matrix-User": "@root:localhost"}
    seen = Seen.of(guard.ask(token, "/tool", fields=claims).body)
    assert seen.values("x-token-label") == ["monitoring"]
    assert seen.values("x-matrix-user") == seen.values("x-matrix-device") == []
    assert "root" not in str(seen.told["fields"])
    moved = Seen.of(guard.ask(None, wire.with_token("/tool?a=1", own)).body)
    assert (moved.target, moved.values("x-token-label")) == ("/tool?a=1", ["by-hand"])


def test_nobody_else_comes_in(chain: Chain, guards: Guards, origin: Origin, tokens: Path) -> None:
    line, token = made(chain, "--label", "backup")
    append(tokens, line)
    guard = start(guards, origin, tokens)
    reached = len(origin.requests)
    assert errcode(guard.ask(None)) == MISSING
    for wrong in (chain.secret(token[:-1] + "x"), chain.secret(token + "x"), token.swapcase(), "backup"):
        assert errcode(guard.ask(wrong)) == UNKNOWN
    # What is in the file is no token.
    hashed = line.split()[-1]
    for part in (hashed, hashed.split(":")[-1]):
        assert errcode(guard.ask(part)) == UNKNOWN
    assert len(origin.requests) == reached
    assert guard.ask(token).status == 200


def test_a_file_without_tokens_lets_nobody_in(
    guards: Guards, chain: Chain, origin: Origin, tokens: Path
) -> None:
    _, token = made(chain)
    assert errcode(start(guards, origin, tokens).ask(token)) == UNKNOWN


def test_a_reload_takes_new_tokens_and_drops_old_ones(
    chain: Chain, guards: Guards, origin: Origin, tokens: Path
) -> None:
    first_line, first = made(chain, "--label", "first")
    second_line, second = made(chain, "--label", "second")
    append(tokens, first_line)
    guard = start(guards, origin, tokens)
    assert guard.ask(first).status == 200
    assert errcode(guard.ask(second)) == UNKNOWN

    append(tokens, second_line)
    guard.reload()
    wait_until("the new token", lambda: guard.ask(second).status == 200)
    assert guard.ask(first).status == 200

    tokens.write_text(second_line)
    guard.reload()
    wait_until("the old token to be dropped", lambda: errcode(guard.ask(first)) == UNKNOWN)
    assert guard.ask(second).status == 200


def test_a_broken_file_changes_nothing(chain: Chain, guards: Guards, origin: Origin, tokens: Path) -> None:
    """A reload that cannot be done is refused whole, and said; what is wrong is not repeated."""
    line, token = made(chain, "--label", "backup")
    append(tokens, line)
    guard = start(guards, origin, tokens)
    assert guard.ask(token).status == 200
    # The mistake of whoever writes the token itself into the file.
    _, careless = made(chain)
    append(tokens, f"careless {careless}\n")
    guard.reload()
    wait_until("the complaint", lambda: f"{tokens}:4" in guard.child.stderr.read_text())
    assert guard.ask(token).status == 200
    assert errcode(guard.ask(careless)) == UNKNOWN


def test_rules_name_labels(chain: Chain, guards: Guards, origin: Origin, tokens: Path) -> None:
    asked = {}
    for label in ("backup", "monitoring"):
        line, asked[label] = made(chain, "--label", label)
        append(tokens, line)
    one = start(guards, origin, tokens, 'allow = ["backup"]')
    assert one.ask(asked["backup"]).status == 200
    assert errcode(one.ask(asked["monitoring"])) == FORBIDDEN
    other = start(guards, origin, tokens, 'deny = ["backup"]')
    assert errcode(other.ask(asked["backup"])) == FORBIDDEN
    assert other.ask(asked["monitoring"]).status == 200


def test_a_token_is_never_an_argument(chain: Chain) -> None:
    """Everybody on the machine could see it; and one that can be guessed is refused."""
    for arguments, given in (
        (["FAKE-a-token-that-somebody-chose"], ""),
        ([], "short\n"),
        ([], "two words of it\n"),
    ):
        command = [str(BINARY), "hash-token", *arguments]
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode != 0
        assert done.stdout == ""
