"""A hundred thousand secrets in little memory, however many read at once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

from leaks import AGENTS, TARGETS, fake_token
from processes import BINARY, inherited

SECRETS = 100_000
TIMES = 4
MOST_KIB = 64 * 1024

# In a small process of its own: a child counts what its parent had when it was made.
MEASURE = """
import json, os, subprocess, sys
child = subprocess.Popen(sys.argv[2:], stdout=open(sys.argv[1], "wb"))
_, status, usage = os.wait4(child.pid, 0)
child.returncode = os.waitstatus_to_exitcode(status)
print(json.dumps([child.returncode, usage.ru_maxrss]))
"""


def write(log: Path) -> None:
    """Every secret several times, from several networks, in no order."""
    tokens = [fake_token(f"user{number}") for number in range(SECRETS)]
    seen = tokens * TIMES
    random.Random(1).shuffle(seen)
    with log.open("w") as out:
        for number, token in enumerate(seen):
            address = f"198.{18 + number % 2}.{number % 251}.1"
            target = f"{TARGETS[number % 3]}&access_token={token}"
            second = number % 60
            when = f"22/Nov/2026:10:{number // 60 % 60:02}:{second:02} +0000"
            agent = AGENTS[number % len(AGENTS)]
            out.write(f'{address} - - [{when}] "GET {target} HTTP/1.1" 200 12 "-" "{agent}"\n')


def test_a_hundred_thousand_secrets_fit(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    write(log)
    for jobs in (1, 2, 16):
        command = [str(BINARY), "audit", "--format", "ndjson", "--jobs", str(jobs), str(log)]
        report = tmp_path / "report"
        measured = subprocess.check_output([sys.executable, "-c", MEASURE, report, *command], env=inherited())
        code, peak_kib = json.loads(measured)
        last = report.read_bytes().splitlines()[-1]
        totals = json.loads(last)["totals"]
        assert code == 1, f"{jobs} jobs"
        assert (totals["tokens"], totals["findings"]) == (SECRETS, SECRETS * TIMES), f"{jobs} jobs"
        assert peak_kib < MOST_KIB, f"{jobs} jobs took {peak_kib} KiB"
