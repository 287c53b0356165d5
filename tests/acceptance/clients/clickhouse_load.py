"""Loads reports into an embedded ClickHouse by the published schema, and runs the published queries.

Usage: SCHEMA QUERIES REPORT…; prints the rows of each query as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from chdb import session


def statements(file: str) -> list[str]:
    """Those of a file; a comment may have a semicolon, so it goes first."""
    lines = [line for line in Path(file).read_text().splitlines() if not line.lstrip().startswith("--")]
    return [statement for statement in "\n".join(lines).split(";") if statement.strip()]


database = session.Session()
for statement in statements(sys.argv[1]):
    database.query(statement)
for report in sys.argv[3:]:
    lines = Path(report).read_text()
    database.query(
        "INSERT INTO tokenshim.findings_in SETTINGS input_format_skip_unknown_fields = 1 FORMAT JSONEachRow\n" + lines
    )
answers = []
for statement in statements(sys.argv[2]):
    rows = str(database.query(statement, "JSONEachRow"))
    answers.append([json.loads(row) for row in rows.splitlines() if row])
print(json.dumps(answers))
