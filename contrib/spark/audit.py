"""Audits logs on a Spark cluster: each file where a worker reads it, one report for all of them.

    spark-submit audit.py KEY REPORT FILE…

Every worker needs the program `tokenshim` (or $TOKENSHIM), the key file and the logs under the same
names. What crosses the network are parts: ids and counts, and no line of a log. The report is the one
that `tokenshim audit --key KEY FILE…` would write. The exit code is that report's, too; 2 if there is
none, because some file could not be audited at all.
"""

import os
import subprocess
import sys
import tempfile
import traceback

from pyspark.sql import SparkSession

TOKENSHIM = os.environ.get("TOKENSHIM", "tokenshim")
key, report, *files = sys.argv[1:]


def part(file: str) -> bytes:
    """Everything that one file tells; 0, 1 and 3 are reports, all else is a failure that Spark tries again."""
    command = [TOKENSHIM, "audit", "--partial", "--jobs", "1", "--key", key, file]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode not in (0, 1, 3):
        raise RuntimeError(f"{file}: tokenshim ended with {done.returncode}")
    return done.stdout


spark = SparkSession.builder.appName("tokenshim audit").getOrCreate()
command = [TOKENSHIM, "audit-merge", "--format", "json", "-o", report, "-"]
status = 2
try:
    with tempfile.TemporaryFile() as parts:
        # All of them are here before the merge begins: it cannot know that one is lacking.
        for text in spark.sparkContext.parallelize(files, len(files)).map(part).toLocalIterator():
            parts.write(text)
        parts.seek(0)
        status = subprocess.run(command, stdin=parts, check=False).returncode
except Exception:
    traceback.print_exc()
spark.stop()
# 1 means leaks: whatever else went wrong is no report.
sys.exit(status if status in (0, 1, 3) else 2)
