"""The audit of logs that the real programs wrote."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import logs
import pytest
from processes import BINARY, inherited


def audit(files: list[Path]) -> tuple[Any, str]:
    """The report as JSON, and as text that a search can be made in."""
    given = ["--log-format", logs.CUSTOM, "--log-format", logs.JSON]
    command = [str(part) for part in (BINARY, "audit", "--format", "json", *given, *files)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=inherited(), timeout=60
    )
    assert done.returncode == 1, (done.returncode, done.stderr, done.stdout[:2000])
    return json.loads(done.stdout), done.stdout + done.stderr


def moment(text: str) -> datetime:
    """RFC 3339, with whatever precision."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def faults(
    spelling: str, written: logs.Written, name: str, rows: Mapping[str, Any], start: datetime
) -> list[str]:
    """What the report has wrong about one token."""
    request = logs.SPELLINGS[spelling]
    row = rows.get(name)
    if row is None:
        return [f"{spelling}: not found"]
    expected: dict[str, object] = {
        "kind": "synapse_access",
        "confidence": "verified",
        "clients": [request.family],
        "count": 1,
    }
    if written.name == "errors":
        # No user agent and no status, and the upstream's URL has the target once more.
        del expected["count"], expected["clients"]
    elif written.name == "synapse":
        # It tells of errors in a line of their own, without the user agent.
        del expected["count"], expected["clients"]
        expected["statuses"] = [written.statuses[spelling]]
    else:
        expected["statuses"] = [written.statuses[spelling]]
        expected["fields"] = [request.place]
    wrong = [f"{key}: {row[key]!r}" for key, value in expected.items() if row[key] != value]
    if written.name != "errors" and request.family not in row["clients"]:
        wrong.append(f"clients: {row['clients']}")
    path = request.target.partition("?")[0]
    if path in (logs.SYNC, logs.WHOAMI) and request.place == "request":
        template = path.removeprefix("/_matrix/client/v3")
        wrong += [] if any(template in endpoint for endpoint in row["endpoints"]) else [f"{row['endpoints']}"]
    for key in ("first_seen", "last_seen"):
        # Most of them log whole seconds.
        is_right = start - timedelta(seconds=2) <= moment(row[key]) <= datetime.now(timezone.utc)
        wrong += [] if is_right else [f"{key}: {row[key]} since {start}"]
    return [f"{spelling}: {fault}" for fault in wrong]


@pytest.mark.parametrize("program", logs.WRITERS)
def test_every_token_is_attributed(program: str, tmp_path: Path) -> None:
    start = datetime.now(timezone.utc)
    for written in logs.WRITERS[program](tmp_path / program):
        report, text = audit([written.file])
        assert [row["name"] for row in report["formats"] if row["lines_with_secrets"]] == [written.format]
        named = [(user, row) for row in report["tokens"] for user in row["users"]]
        rows = {user.removeprefix("@").partition(":")[0]: row for user, row in named}
        prefix = "nginx" if program == "nginx" and written.name != "errors" else written.name
        places = list(logs.SPELLINGS)
        wrong = [
            fault
            for spelling in written.tokens
            for fault in faults(spelling, written, f"{prefix}-{places.index(spelling)}", rows, start)
        ]
        assert not wrong, f"{written.name}:\n" + "\n".join(wrong)
        assert len(report["tokens"]) == len(written.tokens), "more tokens than there are"
        for secret in written.tokens.values():
            assert secret not in text, "the report has a token"


def test_logs_may_be_mixed(tmp_path: Path) -> None:
    """One file of all; each token counts once, whoever logged it."""
    written = logs.of_nginx(tmp_path / "nginx") + logs.of_caddy(tmp_path / "caddy")
    mixed = tmp_path / "mixed.log"
    lines = [line for log in written for line in log.file.read_bytes().splitlines(keepends=True)]
    mixed.write_bytes(b"".join(lines[::2] + lines[1::2]))
    report, _ = audit([mixed])
    formats = {row["name"] for row in report["formats"] if row["lines_with_secrets"]}
    assert formats == {"combined", "custom", "nginx-error", "caddy"}
    secrets = {secret for log in written for secret in log.tokens.values()}
    assert len(report["tokens"]) == len(secrets)
