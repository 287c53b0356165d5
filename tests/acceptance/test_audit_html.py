"""Reports of real runs: held against their schema, searched for tokens, and looked at in a browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leaks import Logs, audit, in_environment, no_token_in, tokenshim, write_logs
from processes import REPOSITORY

CLIENTS = Path(__file__).parent / "clients"
FORMS = ["text", "json", "ndjson", "csv", "sarif", "html"]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Logs:
    """Three files with leaks; one user agent and one file name were made by attackers."""
    folder = tmp_path_factory.mktemp("logs")
    logs = write_logs(folder, files=3, lines=300)
    hostile = folder / "<img src=x onerror=alert(1)>.log"
    logs.files.append(logs.files.pop().rename(hostile))
    return logs


@pytest.fixture(scope="module")
def seen(logs: Logs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What Chromium sees of the page."""
    folder = tmp_path_factory.mktemp("page")
    page = folder / "report.html"
    page.write_bytes(audit(logs, "html"))
    views: dict[str, dict[str, Any]] = in_environment("report", CLIENTS / "report_page.py", page, folder)
    return views


@pytest.mark.parametrize("form", FORMS)
def test_no_report_has_a_token(logs: Logs, form: str) -> None:
    report = audit(logs, form)
    assert len(report) > 1000
    assert no_token_in(report, logs.tokens)


def test_a_part_has_no_token(logs: Logs) -> None:
    assert no_token_in(tokenshim("audit", "--partial", "--key", logs.key, *logs.files), logs.tokens)


def test_reports_are_as_their_schema_says(logs: Logs, tmp_path: Path) -> None:
    reports = []
    known = tmp_path / "known.ndjson"
    known.write_bytes(audit(logs, "ndjson"))
    for form in ("json", "ndjson"):
        report = tmp_path / f"report.{form}"
        report.write_bytes(audit(logs, form))
        again = tmp_path / f"again.{form}"
        arguments = ["--baseline", known, "--format", form]
        again.write_bytes(tokenshim("audit", "--key", logs.key, *arguments, *logs.files, expected=0))
        reports += [report, again]
    schema = REPOSITORY / "docs" / "audit-report.schema.json"
    assert in_environment("report", CLIENTS / "report_schema.py", schema, *reports) == []
    totals = json.loads((tmp_path / "again.json").read_bytes())["totals"]
    assert totals["tokens_known"] == totals["tokens"] == len(logs.tokens)


def test_parts_of_files_are_the_whole(logs: Logs, tmp_path: Path) -> None:
    parts = []
    for number, log in enumerate(logs.files):
        part = tmp_path / f"{number}.part"
        part.write_bytes(tokenshim("audit", "--partial", "--key", logs.key, log))
        parts.append(part)
    for form in FORMS:
        assert tokenshim("audit-merge", "--format", form, *reversed(parts)) == audit(logs, form), form
    # The same file again is an error, and not twice as many.
    assert tokenshim("audit-merge", *parts, parts[0], expected=2) == b""


def test_the_page_says_what_the_report_says(logs: Logs, seen: dict[str, dict[str, Any]]) -> None:
    totals = json.loads(audit(logs, "json"))["totals"]
    figures = seen["light"]["figures"]
    assert figures["tokens"] == str(totals["tokens"]) == str(len(logs.tokens))
    assert figures["lines-with-secrets"] == str(totals["lines_with_secrets"]) == "90"
    assert figures["files-with-secrets"] == "3"
    assert figures["first-seen"] == totals["first_seen"][:16].replace("T", " ")


def test_the_page_asks_for_nothing_and_runs_nothing(seen: dict[str, dict[str, Any]]) -> None:
    for name, view in seen.items():
        assert view["console"] == [], name
        assert len(view["requests"]) == 1, name
        assert not {"script", "img", "link", "iframe"} & set(view["elements"]), name


def test_what_attackers_wrote_is_text(seen: dict[str, dict[str, Any]]) -> None:
    assert "<img src=x onerror=alert(1)>.log" in seen["light"]["text"]


def test_the_page_fits_a_telephone(seen: dict[str, dict[str, Any]]) -> None:
    assert {name: view["overflow"] for name, view in seen.items()} == dict.fromkeys(seen, 0)


def test_nothing_is_cut_off_on_paper(seen: dict[str, dict[str, Any]]) -> None:
    assert seen["light"]["cut"] == 0


def test_every_table_has_a_caption(seen: dict[str, dict[str, Any]]) -> None:
    assert all(view["captions"] for view in seen.values())


def test_the_page_has_charts_light_and_dark(seen: dict[str, dict[str, Any]]) -> None:
    for view in seen.values():
        assert view["charts"]
        assert view["drawn"] > 10
    assert seen["light"]["ground"] != seen["dark"]["ground"]
    assert seen["light"]["pages"] > 1000
