"""Logs with fake tokens in them, and `tokenshim audit` over them."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from processes import BINARY, inherited, python_of

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
AGENTS = ["matrix-nio/0.24.0", "curl/8.5.0", "Riot/0.9.12 (Nexus 5X; Android 8.1.0)", "<img src=x onerror=alert(1)>"]
TARGETS = ["/_matrix/client/v3/sync?since=s1", "/_matrix/client/r0/joined_rooms?a=1", "/_synapse/admin/v2/users?from=0"]
LETTERS = DIGITS[10:]


@dataclass
class Logs:
    """Files, and what must not be in any report of them."""

    files: list[Path]
    tokens: list[str]
    key: Path


def fake_token(name: str) -> str:
    """As Synapse would make it, checksum and all, for a user that there is not."""
    letters = "FAKE" + "".join(secrets.choice(LETTERS) for _ in range(16))
    body = f"syt_{base64.b64encode(name.encode()).decode().rstrip('=')}_{letters}"
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = DIGITS[digit] + digits
    return f"{body}_{digits}"


def write_logs(folder: Path, files: int, lines: int) -> Logs:
    """Each file has a leak in every tenth line; tokens go on from file to file."""
    tokens = [fake_token(f"user{number}") for number in range(12)]
    logs = []
    moment = datetime.now(UTC) - timedelta(days=3)
    for number in range(files):
        rows = []
        for line in range(lines):
            moment += timedelta(seconds=7)
            target = TARGETS[line % 3]
            if line % 10 == 0:
                target += f"&access_token={tokens[(number + line // 10) % len(tokens)]}"
            status = 401 if line % 40 == 0 else 200
            agent = AGENTS[line // 10 % len(AGENTS)]
            address = f"198.51.{number}.{line % 250}"
            when = moment.strftime("%d/%b/%Y:%H:%M:%S +0000")
            rows.append(f'{address} - - [{when}] "GET {target} HTTP/1.1" {status} 12 "-" "{agent}"\n')
        log = folder / f"access.log.{files - number}"
        log.write_text("".join(rows))
        logs.append(log)
    key = folder / "key"
    key.write_text(secrets.token_hex(32))
    key.chmod(0o600)
    return Logs(logs, tokens, key)


def tokenshim(*arguments: str | Path, expected: int = 1) -> bytes:
    """What it prints; leaks are its exit status 1."""
    command = [str(part) for part in (BINARY, *arguments)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False, env=inherited())
    assert done.returncode == expected, (done.returncode, done.stderr[-2000:])
    return done.stdout


def audit(logs: Logs, form: str) -> bytes:
    """One run over all of them."""
    return tokenshim("audit", "--key", logs.key, "--format", form, *logs.files)


def in_environment(name: str, script: Path, *arguments: str | Path, seconds: float = 120) -> Any:
    """Runs a script in an environment of its own, which prints JSON."""
    command = [str(part) for part in (python_of(name), script, *arguments)]
    done = subprocess.run(command, capture_output=True, timeout=seconds, check=False, env=inherited())
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-4000:]
    return json.loads(done.stdout)


def no_token_in(content: bytes, tokens: Sequence[str]) -> bool:
    """No token, and no end of one: the last characters would do to find it in a list."""
    pieces = [piece for token in tokens for piece in (token, token[-12:], token.split("_")[2])]
    return not any(piece.encode() in content for piece in pieces)
