"""`tokenshim redact` on the log of a real nginx that goes on writing."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path

import judge
from processes import BINARY, free_port, wait_until
from relay import Nginx, canary, requests, spellings


def redact(*arguments: str | Path) -> tuple[int, str]:
    """Exit status and report."""
    done = subprocess.run([BINARY, "redact", *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def serve(folder: Path, port: int) -> Nginx:
    """nginx that writes whole requests into `access.log`."""
    return Nginx(
        folder, port, f"server {{ listen 127.0.0.1:{port}; access_log {folder}/access.log; return 204; }}"
    )


def test_nginx_writes_on_meanwhile(tmp_path: Path, afterwards: ExitStack) -> None:
    """No line is lost, and the file stays the one that nginx has open."""
    port, token, log = free_port(), canary(), tmp_path / "access.log"
    nginx = serve(tmp_path, port)
    afterwards.callback(nginx.stop)
    with requests(port, spellings(token)) as sent:
        wait_until("some requests", lambda: sent[0] > 300)
        inode, size = log.stat().st_ino, log.stat().st_size
        for _ in range(5):
            status, report = redact("--live", log)
            assert status == 0, report
            now = log.stat()
            assert now.st_ino == inode and now.st_size >= size
            size = now.st_size
            assert judge.findings(log.read_bytes()[:1000], {token}) == []
            mark = sent[0]
            wait_until("more requests", lambda mark=mark: sent[0] > mark + 20)
    wait_until("all lines", lambda: log.read_bytes().count(b"\n") == sent[0])
    status, report = redact("--live", log)
    assert status == 0 and "masked" in report
    content = log.read_bytes()
    assert judge.findings(content, {token}) == []
    assert content.count(b'" 204 0 ') == sent[0] == content.count(b"\n")
    assert b"\0" not in content, "no hole where offsets went wrong"
    assert redact("--live", log) == (0, f"{log}: nothing to mask\n")


def test_in_place_waits_for_the_rotation(tmp_path: Path, afterwards: ExitStack) -> None:
    """Left to nginx as long as it has it open, under whatever name, and then cleaned."""
    port, token, log = free_port(), canary(), tmp_path / "access.log"
    nginx = serve(tmp_path, port)
    afterwards.callback(nginx.stop)
    rotated = tmp_path / "access.log.1"

    def is_cleaned() -> bool:
        status, report = redact("--in-place", "--force", rotated)
        return status == 0 and "masked" in report

    with requests(port, spellings(token)) as sent:
        wait_until("some requests", lambda: sent[0] > 100)
        for name in (log, rotated):
            if name == rotated:
                log.rename(rotated)
            status, report = redact("--in-place", "--force", name)
            assert status == 2
            assert "nginx (process" in report and "nginx -s reopen" in report
            assert judge.findings(name.read_bytes(), {token}) != []
        nginx.reopen()
        wait_until("nginx to let it go", is_cleaned)
    assert judge.findings(rotated.read_bytes(), {token}) == []
    wait_until("all lines", lambda: sum(file.read_bytes().count(b"\n") for file in (log, rotated)) == sent[0])
