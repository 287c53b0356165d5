"""HAProxy, in front as the sender of PROXY headers, or behind as their reader."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from processes import Child, SetupFailed, free_port

HEAD = """\
global
    maxconn 500
defaults
    timeout connect 5s
    timeout client 30s
    timeout server 30s
"""


class Haproxy:
    """One process with a `listen` section for each name; `{}` stands for its address."""

    def __init__(self, folder: Path, sections: Mapping[str, str]) -> None:
        program = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if program is None:
            raise SetupFailed("haproxy is missing: run tests/run, which installs it")
        self.ports = {name: free_port() for name in sections}
        text = HEAD
        for name, section in sections.items():
            text += f"listen {name}\n" + section.replace("{}", f"127.0.0.1:{self.ports[name]}") + "\n"
        file = folder / "haproxy.cfg"
        file.write_text(text)
        self.child = Child("haproxy", [program, "-db", "-f", file], folder)
        for port in self.ports.values():
            self.child.wait_for_port(port, 10)

    def stop(self) -> None:
        """Open connections are not waited for."""
        self.child.process.kill()
        self.child.process.wait()
