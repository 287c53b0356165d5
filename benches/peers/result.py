"""What a scenario found, in the words and columns of its table."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from peers import PEERS
from settings import Settings
from stage import Stage


@dataclass
class Result:
    """One table."""

    title: str
    # What was done, in a sentence or two.
    what: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)
    # For the plot: the name of a figure, and each peer's ratio to nginx in it.
    ratios: dict[str, dict[str, float]] = field(default_factory=dict)
    # Peers that could not take part, and why.
    absent: dict[str, str] = field(default_factory=dict)
    machine: str = ""

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def titles(names: Iterable[str]) -> dict[str, str]:
    return {name: PEERS[name].version_line() for name in names}


def machine(settings: Settings) -> str:
    """When, where, and how long."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = int(re.search(r"^MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)[1])
    return (
        f"{datetime.date.today()}; {model[1].strip() if model else platform.machine()}, {os.cpu_count()} cores, "
        f"{memory / 2**20:.0f} GiB; Linux {platform.release().split('-')[0]}; load average {os.getloadavg()[0]:.1f}; "
        f"{settings.rounds} rounds of {settings.seconds} s"
    )


def from_stage(stage: Stage, **parts: object) -> Result:
    """With the peers that were missing."""
    return Result(**parts, absent=dict(stage.absent), machine=machine(stage.settings))


def percent(value: float) -> str:
    return "all on one" if value == float("inf") else f"{value * 100:.0f} %"


def spread(values: Iterable[float]) -> float:
    """How much more the greatest is than the smallest, as a share."""
    values = list(values)
    return max(values) / min(values) - 1 if min(values) else float("inf")
