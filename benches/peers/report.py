"""Results as Markdown, in benches/results.json, and between the marks of docs/benchmarks.md."""

from __future__ import annotations

import json
import re

import plot
from result import Result
from settings import ROOT, CannotRun

RESULTS = ROOT / "benches" / "results.json"
PAGE = ROOT / "docs" / "benchmarks.md"
PLOT = ROOT / "docs" / "plots" / "peers.svg"
BEGIN, END = "<!-- results: benches/peers/run --write -->", "<!-- end of results -->"


def markdown(result: Result) -> str:
    """One section."""
    lines = [f"### {result.title}", "", result.what, "", table(result), ""]
    lines += [f"- {note}" for note in result.notes]
    lines += [f"- {name} did not take part: {why}" for name, why in result.absent.items()]
    lines += [""] if result.notes or result.absent else []
    return "\n".join([*lines, f"{result.machine}.", ""])


def table(result: Result) -> str:
    rows = [result.columns, ["---"] * len(result.columns), *result.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write(found: dict[str, Result], order: list[str]) -> None:
    """Puts what this run found in the place of what earlier runs did, and draws all of it anew."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    kept |= {name: result.as_dict() for name, result in found.items()}
    kept = {name: kept[name] for name in order if name in kept}
    RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    results = [Result(**parts) for parts in kept.values()]
    sections = "\n".join(markdown(result) for result in results)
    page = PAGE.read_text()
    between = re.compile(f"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", re.DOTALL)
    if not between.search(page):
        raise CannotRun(f"{PAGE} has lost its marks")
    PAGE.write_text(between.sub(lambda _: f"\n{sections}\n", page))
    PLOT.parent.mkdir(exist_ok=True)
    PLOT.write_text(plot.draw({name: ratios for result in results for name, ratios in result.ratios.items()}))
