"""`tokenshim redact` beside sed and Perl, with the expression that comes nearest.

CPU seconds of the children, since other work on the machine moves the clock; each round runs
all of them, so that what disturbs one disturbs the others.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# Two spellings of the name and the value behind it, where `redact` knows all of them.
SED = r"s/(access(_|%5[fF])token(=|%3[dD]))[^&; \"]*/\1<redacted>/gI"
PERL = r's/(access(?:_|%5f)token(?:=|%3d))[^&; "]*/$1<redacted>/gi'
ROUNDS = 5


@dataclass(frozen=True)
class Row:
    """One comparison: CPU seconds for each gigabyte."""

    work: str
    ours: float
    theirs: float
    aim: float

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return self.ours / self.theirs


def rows(log: Path, tokenshim: Path, rounds: int = ROUNDS) -> list[Row]:
    """Filter and in-place, beside sed and Perl, on one log."""
    ours: list[str | Path] = [tokenshim, "redact"]
    seconds: dict[str, list[float]] = {}
    size = log.stat().st_size / 1e9
    copy = log.with_name(f"{log.name}.copy")
    for _ in range(rounds):
        filters: dict[str, list[str | Path]] = {"ours": ours, "sed": ["sed", "-E", SED], "perl": ["perl", "-pe", PERL]}
        for name, command in filters.items():
            seconds.setdefault(name, []).append(cpu(command, log))
        # Whoever runs this may not see all processes.
        places: dict[str, list[str | Path]] = {
            "in place": [*ours, "--in-place", "--force", copy],
            "live": [*ours, "--live", copy],
            "sed -i": ["sed", "-i", "-E", SED, copy],
        }
        for name, command in places.items():
            shutil.copyfile(log, copy)
            seconds.setdefault(name, []).append(cpu(command, None))
    copy.unlink()
    median = {name: statistics.median(figures) / size for name, figures in seconds.items()}
    return [
        Row("redact, beside sed -E", median["ours"], median["sed"], 0.35),
        Row("redact, beside Perl", median["ours"], median["perl"], 0.5),
        Row("redact --in-place with fsync, beside sed -i", median["in place"], median["sed -i"], 0.15),
        Row("redact --live, beside sed -i", median["live"], median["sed -i"], 0.15),
    ]


def cpu(command: list[str | Path], stdin: Path | None) -> float:
    """User and system time of one child."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with (stdin or Path(os.devnull)).open("rb") as source:
        subprocess.run(command, stdin=source, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    for row in rows(Path(sys.argv[1]), Path(sys.argv[2])):
        print(f"| {row.work} | {row.ours:.3f} | {row.theirs:.3f} | {row.ratio:.2f} | {row.aim} |")
