"""Child processes of the tests: started on free loopback ports, ended by their own pid.

Nothing here looks a process up by name: a developer's own homeserver or nginx
on the same machine must survive a test run.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
INSTALLED = Path(os.environ.get("TOKENSHIM_ACCEPTANCE", REPOSITORY / "target" / "acceptance"))
BINARY = Path(os.environ.get("TOKENSHIM_BIN", REPOSITORY / "target" / "release" / "tokenshim"))

GIVEN: set[int] = set()


class SetupFailed(Exception):
    """Something a test needs is not there; the message says what and where to look."""


def installed(*parts: str) -> Path:
    """A file that `tests/run` installs, or a line that says so."""
    path = INSTALLED.joinpath(*parts)
    if not path.exists():
        raise SetupFailed(f"{path} is missing: run tests/run, which installs it")
    return path


def python_of(name: str) -> Path:
    """The interpreter of one virtual environment; old clients pin what others refuse."""
    return installed(f"venv-{name}", "bin", "python")


def inherited() -> dict[str, str]:
    """Our environment less what names the program under test, which it would take for a setting."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TOKENSHIM_")}


def free_port() -> int:
    """A port nobody listens on now, and never the same twice.

    Below the range from which the kernel takes the ports of outgoing connections: one of
    those may be taken between our look and the program's start, all the more under load.
    """
    while True:
        port = random.randrange(12_000, 32_000)
        if port in GIVEN:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        GIVEN.add(port)
        return port


def wait_until(what: str, ready: Callable[[], bool], seconds: float = 10.0) -> None:
    """Polls, because none of the programs under test can call us back."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise SetupFailed(f"gave up after {seconds:.0f} s: {what}")
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Whether a connection is taken now."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Child:
    """One running program with its output in two files."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.stdout = folder / f"{name}.stdout"
        self.stderr = folder / f"{name}.stderr"
        with self.stdout.open("ab") as out, self.stderr.open("ab") as err:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**inherited(), **(environment or {})},
            )

    def wait_for(self, what: str, ready: Callable[[], bool], seconds: float = 60.0) -> None:
        """Waits for the first sign of life; a child that died says why at once."""

        def alive_and_ready() -> bool:
            if self.process.poll() is not None:
                raise SetupFailed(f"{self.name} ended with {self.process.returncode}: {self.tail()}")
            return ready()

        wait_until(f"{self.name}: {what}\n{self.tail()}", alive_and_ready, seconds)

    def wait_for_port(self, port: int, seconds: float = 60.0) -> None:
        """Ready means: takes a connection."""
        self.wait_for(f"no connection on port {port}", lambda: listens(port), seconds)

    def tail(self) -> str:
        """The end of both outputs, for a failure message."""
        return "\n".join(file.read_text("utf-8", "replace")[-2000:] for file in (self.stdout, self.stderr))

    def memory_peak_kib(self) -> int:
        """The most resident memory so far, as the kernel counts it (`VmHWM`)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1])

    def terminate(self) -> None:
        """Asks for an orderly end and does not wait for it."""
        self.process.send_signal(signal.SIGTERM)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It takes connections, and says nothing."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self, seconds: float = 15.0) -> int:
        """Ends it, by force if need be, and gives its exit status."""
        if self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()
