"""Findings of several hosts in a real ClickHouse, by the schema that is published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from leaks import audit, in_environment, no_token_in, tokenshim, write_logs
from processes import REPOSITORY

CLICKHOUSE = REPOSITORY / "contrib" / "clickhouse"
LOAD = Path(__file__).parent / "clients" / "clickhouse_load.py"


@pytest.mark.parametrize("hosts", [1, 3])
def test_the_fleet_is_the_sum_of_its_hosts(tmp_path: Path, hosts: int) -> None:
    logs = write_logs(tmp_path, files=3, lines=400)
    reports = []
    for host in range(hosts):
        files = logs.files[host::hosts]
        report = tmp_path / f"host{host}.ndjson"
        report.write_bytes(tokenshim("audit", "--key", logs.key, "--format", "ndjson", *files))
        assert no_token_in(report.read_bytes(), logs.tokens)
        reports.append(report)
    worst, leaking = in_environment(
        "chdb", LOAD, CLICKHOUSE / "schema.sql", CLICKHOUSE / "queries.sql", *reports, seconds=200
    )
    whole = json.loads(audit(logs, "json"))
    assert len(worst) == len(whole["tokens"]) == len(logs.tokens)
    expected = {token["id"]: token for token in whole["tokens"]}
    for row in worst:
        token = expected[row["id"]]
        assert row["kind"] == token["kind"] == "synapse_access"
        # Numbers of 64 bits come as text.
        assert int(row["seen"]) == token["count"]
        assert (int(row["accepted"]), int(row["refused"])) == (token["accepted"], token["refused"])
        assert row["users"] == token["users"]
        assert int(row["networks_at_least"]) >= (token["networks_count"] if hosts == 1 else 1)
        assert row["last_seen"].replace(" ", "T") + "Z" == token["last_seen"]
        assert bool(row["admin_accepted"]) == token["admin_accepted"]
    # The worst stand first, as they do in the report.
    ranks = [bool(row["admin_accepted"]) for row in worst]
    assert ranks == sorted(ranks, reverse=True)
    clients = {row["client"] for row in leaking}
    assert clients == {client for token in whole["tokens"] for client in token["clients"]}
    for row in leaking:
        secrets = [token for token in whole["tokens"] if row["client"] in token["clients"]]
        assert int(row["secrets"]) == len(secrets)
        assert "seen" not in row, "nobody knows how often each client was"
