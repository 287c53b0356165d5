"""What a process and all it started have used: processor time and memory, from /proc."""

from __future__ import annotations

import os
import re
import statistics
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")
TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    pids = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            pids += family(int(child))
    return pids


def cpu_seconds(pid: int) -> float:
    """User and system time of the family, threads that have ended with it."""
    return sum(ticks(Path(f"/proc/{member}/stat")) for member in family(pid)) / TICKS


def cpu_by_thread(pid: int) -> dict[str, float]:
    """The same for each thread of the family that lives."""
    threads = (task for member in family(pid) for task in Path(f"/proc/{member}/task").iterdir())
    return {str(task): ticks(task / "stat") / TICKS for task in threads}


def ticks(stat: Path) -> int:
    fields = stat.read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def pss_kib(pid: int) -> int:
    """Memory in use by the family; what processes share is divided among them."""
    total = 0
    for member in family(pid):
        rollup = Path(f"/proc/{member}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1])
    return total


class Peak:
    """The most memory a family had while the block ran, looked at ten times a second."""

    def __init__(self, pid: int) -> None:
        self.pid, self.kib = pid, pss_kib(pid)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self) -> None:
        while not self.over.wait(0.1):
            self.kib = max(self.kib, pss_kib(self.pid))

    def __enter__(self) -> Peak:
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.over.set()
        self.thread.join()


def median(samples: Iterable[T], of: Callable[[T], float]) -> float:
    return statistics.median(of(sample) for sample in samples)


def ratio(mine: list[T], base: list[T], of: Callable[[T], float]) -> float:
    """The median of the ratios within each round: what disturbs a round disturbs both."""
    return statistics.median(of(one) / of(other) for one, other in zip(mine, base, strict=True))
