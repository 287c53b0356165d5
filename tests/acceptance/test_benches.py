"""The benchmark's scripts are whole; what they measure decides no test."""

from __future__ import annotations

import subprocess
from pathlib import Path

RUN = Path(__file__).resolve().parents[2] / "benches" / "peers" / "run"


def test_benchmark_names_its_scenarios() -> None:
    done = subprocess.run([RUN, "--help"], capture_output=True, text=True, check=True)
    for scenario in ("query", "two-workers", "own-401", "handshakes", "h2", "media", "held", "start"):
        assert scenario in done.stdout


def test_benchmark_refuses_an_unknown_peer() -> None:
    done = subprocess.run([RUN, "--peers", "nginx,apache"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'apache' is none of nginx, haproxy, envoy, caddy, relay, tokenshim" in done.stderr
