"""`tokenshim probe` through real chains: which hop leaks, and that the printed configuration ends it."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hops
import pytest
from certificates import Authority, Pair
from edge import NAME, Edge, Edges, Listener
from hops import Hop
from origin import Origin
from processes import BINARY, free_port
from test_emit import emitted

CASES = 37


def probe(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    """Exit code and report."""
    command = [str(BINARY), "probe", *map(str, arguments), "--wait", "3s", "--format", "json"]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert told.stdout, told.stderr
    return told.returncode, json.loads(told.stdout)


def chain(program: str, logging: str, folder: Path, edges: Edges, origin: Origin) -> tuple[Hop, Edge]:
    """The program, tokenshim behind it, and the upstream."""
    edge = edges.start(origin.url)
    return hops.PROGRAMS[program](folder, edge.port, logging), edge


def by_file(report: dict[str, Any]) -> dict[str, Any]:
    """The logs of a report."""
    return {log["file"]: log for log in report["logs"]}


@pytest.mark.parametrize("program", ["nginx", "haproxy"])
def test_names_the_hop_and_the_cases(
    program: str, edges: Edges, origin: Origin, tmp_path: Path, afterwards: ExitStack
) -> None:
    hop, edge = chain(program, hops.USUAL[program], tmp_path, edges, origin)
    afterwards.callback(hop.stop)
    url = f"http://127.0.0.1:{hop.port}"
    code, report = probe(url, *hop.arguments(), "--log", edge.access_log)
    assert (code, report["verdict"]) == (1, "leaks"), report
    logs = by_file(report)
    leaking = logs[str(hop.access_logs[0])]
    assert leaking["verdict"] == "leaks"
    assert leaking["seen"] >= CASES - 3
    names = {case["name"] for case in leaking["leaks"]}
    assert {"plain", "name encoded whole", "behind a semicolon", "path parameter", "two different"} <= names
    # What is no part of the URL is in no log of this chain.
    assert not names & {"Authorization, as it should be", "form"}
    assert f"tokenshim emit {program}" in leaking["fix"]["commands"]
    ours = logs[str(edge.access_log)]
    assert (ours["verdict"], ours["hop"]) == ("clean", "tokenshim"), ours
    assert ours["seen"] > 20, "it shows what came to it"


@pytest.mark.parametrize("program", ["nginx", "haproxy"])
def test_the_printed_configuration_ends_it(
    program: str, edges: Edges, origin: Origin, tmp_path: Path, afterwards: ExitStack
) -> None:
    hop, edge = chain(program, emitted(program), tmp_path, edges, origin)
    afterwards.callback(hop.stop)
    url = f"http://127.0.0.1:{hop.port}"
    code, report = probe(url, *hop.arguments(), "--log", edge.access_log)
    assert (code, report["verdict"]) == (0, "clean"), report
    assert all(log["leaks"] == [] for log in report["logs"])


def test_error_log_of_nginx(edges: Edges, tmp_path: Path, afterwards: ExitStack) -> None:
    """Nobody behind it: its access log may be clean, its error log is not."""
    quiet = "    error_log /var/log/nginx/error.log crit;"
    logging = emitted("nginx").replace(quiet.strip(), "error_log /var/log/nginx/error.log;")
    hop = hops.nginx(tmp_path, free_port(), logging)
    afterwards.callback(hop.stop)
    code, report = probe(f"http://127.0.0.1:{hop.port}", *hop.arguments())
    assert code == 1, report
    logs = by_file(report)
    assert logs[str(hop.access_logs[0])]["verdict"] == "clean"
    errors = logs[str(hop.error_logs[0])]
    assert (errors["verdict"], errors["hop"]) == ("leaks", "nginx, error log"), errors
    assert "tokenshim relay" in errors["fix"]["advice"]


def test_by_tls(edges: Edges, origin: Origin, authority: Authority, pair: Pair) -> None:
    """The name is the certificate's, the address is this machine."""
    edge = edges.start(origin.url, Listener(tls=True), certificates=[pair])
    url = f"https://{NAME}:{edge.port}"
    connect = ("--connect", f"127.0.0.1:{edge.port}", "--ca", authority.file, "--log", edge.access_log)
    code, report = probe(url, *connect)
    assert code == 0, report
    assert by_file(report)[str(edge.access_log)]["seen"] > 20


def test_the_wrong_log_is_no_proof(edges: Edges, origin: Origin, tmp_path: Path) -> None:
    edge = edges.start(origin.url)
    other = tmp_path / "other.log"
    other.write_text("a line of another program\n")
    code, report = probe(f"http://127.0.0.1:{edge.port}", "--log", other)
    assert (code, report["verdict"]) == (3, "unknown"), report
    assert "none of the requests" in report["logs"][0]["why"]
