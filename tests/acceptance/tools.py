"""Real tools that have no authentication of their own, as Debian ships them."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import wire
from guards import tool_route
from processes import Child, SetupFailed, free_port
from recorder import Recorded, Recorder

FILE = "/report.txt"
CONTENT = "for members only\n"


class FileServer:
    """Python's own `http.server`, which serves a folder to whoever comes."""

    def __init__(self, folder: Path) -> None:
        served = folder / "served"
        served.mkdir(parents=True)
        (served / FILE[1:]).write_text(CONTENT)
        self.port = free_port()
        debian = Path("/usr/bin/python3")
        python = debian if debian.exists() else Path(sys.executable)
        command = [python, "-m", "http.server", str(self.port), "--bind", "127.0.0.1", "--directory", served]
        self.child = Child("file-server", command, folder)
        self.child.wait_for_port(self.port, 20)

    @property
    def log(self) -> Path:
        """A line for each request, with the whole target."""
        return self.child.stderr

    def stop(self) -> None:
        """It ends at once."""
        self.child.stop()


@dataclass
class Files:
    """The file server, and what reaches it."""

    server: FileServer
    recorder: Recorder
    # How far the judge has read the server's log.
    judged: int = 0

    @property
    def route(self) -> str:
        """With `whoami`, and no rules."""
        return tool_route(self.recorder.port, verify="whoami")

    def last(self) -> Recorded:
        """The newest request."""
        return self.recorder.requests[-1]


class Prometheus:
    """It watches itself, and answers whoever asks."""

    def __init__(self, folder: Path) -> None:
        found = shutil.which("prometheus")
        if found is None:
            raise SetupFailed("prometheus is missing: run tests/run, which installs it")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        own = {"job_name": "itself", "static_configs": [{"targets": [f"127.0.0.1:{self.port}"]}]}
        # JSON is YAML too.
        configuration = {"global": {"scrape_interval": "1s"}, "scrape_configs": [own]}
        (folder / "prometheus.yml").write_text(json.dumps(configuration))
        command: list[str | Path] = [
            found,
            "--config.file=prometheus.yml",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=debug",
        ]
        self.child = Child("prometheus", command, folder)
        self.child.wait_for("not ready", self._ready, 60)

    def stop(self) -> None:
        """It writes down what it has."""
        self.child.stop()

    def _ready(self) -> bool:
        try:
            return wire.request(self.port, "GET", "/-/ready", timeout=2).status == 200
        except OSError:
            return False
