"""`tokenshim doctor` over configurations that the real programs run with: it foresees what they log."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hops
import nginx
import pytest
from origin import Origin
from processes import BINARY
from test_emit import emitted

FILES = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg", "caddy": "Caddyfile"}


def doctor(file: Path) -> tuple[int, dict[str, Any]]:
    """Exit code and report."""
    command = [str(BINARY), "doctor", str(file), "--format", "json"]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert told.stdout, told.stderr
    return told.returncode, json.loads(told.stdout)


@pytest.mark.parametrize("program", FILES)
def test_agrees_with_the_running_program(
    program: str, origin: Origin, tmp_path: Path, afterwards: ExitStack
) -> None:
    """What leaks is found, and what `emit` prints is not complained of."""
    for name, logging in (("usual", hops.USUAL[program]), ("clean", emitted(program))):
        folder = tmp_path / name
        folder.mkdir()
        hop = hops.PROGRAMS[program](folder, origin.port, logging)
        afterwards.callback(hop.stop)
        code, report = doctor(folder / FILES[program])
        assert report["program"] == program
        assert report["incomplete"] == []
        found = [finding for finding in report["findings"] if finding["harm"] == "logs"]
        assert bool(found) == (name == "usual"), report
        assert code == (1 if name == "usual" else 0), report


def test_the_example_in_its_place(tmp_path: Path) -> None:
    """The main file of a system, with the published example included."""
    (tmp_path / "matrix.conf").write_text(nginx.EXAMPLE.read_text())
    nginx.command(tmp_path)
    code, report = doctor(tmp_path / "nginx.conf")
    assert (code, report["findings"], report["incomplete"]) == (0, [], []), report
