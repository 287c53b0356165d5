"""nghttp2's own client and load generator."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

REQUESTS = re.compile(
    r"requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, "
    r"(\d+) failed, (\d+) errored, (\d+) timeout"
)
CODES = re.compile(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx")


def nghttp(*options: str | Path) -> str:
    """What it prints; it does prior knowledge with http, and ALPN with https."""
    # -y: it knows no way to name an authority. Other tests check certificates.
    command = ["nghttp", "-y", *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Load:
    """The end of h2load's report."""

    text: str

    @property
    def succeeded(self) -> int:
        """Requests with a whole answer of 2xx or 3xx."""
        return self._requests()[3]

    @property
    def not_succeeded(self) -> int:
        """All the others."""
        return self._requests()[0] - self.succeeded

    @property
    def codes(self) -> tuple[int, int, int, int]:
        """How many of 2xx, 3xx, 4xx, 5xx."""
        found = CODES.search(self.text)
        assert found, self.text
        first, second, third, fourth = map(int, found.groups())
        return first, second, third, fourth

    def _requests(self) -> list[int]:
        found = REQUESTS.search(self.text)
        assert found, self.text
        return [int(count) for count in found.groups()]


def h2load(*options: str | Path) -> Load:
    """Runs it to its end."""
    process = start_h2load(*options)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 0, text
    return Load(text)


def start_h2load(*options: str | Path) -> subprocess.Popen[str]:
    """Runs it beside the test."""
    command = ["h2load", *map(str, options)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
