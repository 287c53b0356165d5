"""Those who send the requests. Any failed request ends the scenario: errors are cheap to serve."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from settings import TOOLS, CannotRun, program


@dataclass(frozen=True)
class Sent:
    """What came back."""

    requests: int
    per_second: float


@dataclass(frozen=True)
class Latency:
    """Microseconds from the moment a request was due to the end of its answer."""

    p50: int
    p99: int
    p999: int


def wrk(url: str, fields: list[str], *, connections: int, seconds: int, cores: str, refused: bool = False) -> Sent:
    """As many requests as go; `refused` expects errors, and nothing else."""
    argv = [program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s"]
    out = run([*argv, *(word for field in fields for word in ("-H", field)), url], cores)
    requests = int(found(r"(\d+) requests in", out))
    errors = int(match[1]) if (match := re.search(r"Non-2xx or 3xx responses: (\d+)", out)) else 0
    if "Socket errors" in out or requests == 0 or errors != (requests if refused else 0):
        raise CannotRun(f"failed requests: {' / '.join(out.splitlines()[-5:])}")
    return Sent(requests, float(found(r"Requests/sec:\s+([\d.]+)", out)))


def steady(port: int, head: Path, *, rate: int, connections: int, seconds: int, cores: str) -> Latency:
    """A fixed rate, whatever the answers do."""
    argv = [str(TOOLS / "steady"), f"127.0.0.1:{port}", str(rate), str(seconds), str(connections), str(head)]
    p50, p99, p999, _ = run(argv, cores).split()
    return Latency(int(p50), int(p99), int(p999))


def h2load(url: str, fields: list[str], *, connections: int, streams: int, seconds: int, cores: str) -> Sent:
    """HTTP/2, with `streams` requests open on each connection at any time."""
    argv = [program("h2load"), "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds}"]
    out = run([*argv, *(word for field in fields for word in ("-H", field)), url], cores)
    if "Application protocol: h2" not in out:
        raise CannotRun("HTTP/2 was not agreed on")
    good, bad = (int(found(pattern, out)) for pattern in (r"status codes: (\d+) 2xx", r"(\d+) failed"))
    if bad or good == 0:
        raise CannotRun(f"{bad} requests failed, {good} succeeded")
    return Sent(good, float(found(r"([\d.]+) req/s", out)))


def handshakes(port: int, path: str, *, seconds: int, cores: str) -> Sent:
    """New connections one after the other, each with one request; no session is resumed."""
    argv = [program("openssl"), "s_time", "-connect", f"127.0.0.1:{port}", "-new", "-time", str(seconds)]
    out = run([*argv, "-tls1_3", "-www", path], cores)
    count, length = (int(found(pattern, out)) for pattern in (r"(\d+) connections in \d+ real", r"in (\d+) real"))
    return Sent(count, count / length)


def run(argv: list[str], cores: str) -> str:
    done = subprocess.run(["taskset", "-c", cores, *argv], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotRun(f"{Path(argv[0]).name}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def found(pattern: str, text: str) -> str:
    if match := re.search(pattern, text):
        return match[1]
    raise CannotRun(f"no {pattern!r} in: {text[-500:]}")
