"""Holds reports against their schema.

Usage: SCHEMA REPORT…; a name that ends in ndjson has lines. Prints what is wrong as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from jsonschema import Draft202012Validator

schema = json.loads(Path(sys.argv[1]).read_text())
Draft202012Validator.check_schema(schema)
wrong = []
for name in sys.argv[2:]:
    text = Path(name).read_text()
    of_lines = name.endswith("ndjson")
    wanted = schema | {"$ref": "#/$defs/ndjson_line"} if of_lines else schema
    validator = Draft202012Validator(wanted)
    for part in text.splitlines() if of_lines else [text]:
        wrong += [f"{name}: {error.json_path}: {error.message[:200]}" for error in validator.iter_errors(json.loads(part))]
print(json.dumps(wrong))
