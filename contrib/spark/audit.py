"""Audits logs on a Spark cluster: each file where a worker reads it, one report for all of them.

    spark-submit audit.py KEY REPORT FILE…

Every worker needs the program `tokenshim` (or $TOKENSHIM), the key file and the logs under the same
names. What crosses the network are parts: ids and counts, and no line of a log. The report is the one
that `tokenshim audit --key KEY FILE…` would write. The exit code is that report's, too.
"""

import os
import subprocess
import sys

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
parts = spark.sparkContext.parallelize(files, len(files)).map(part)
merge = subprocess.Popen([TOKENSHIM, "audit-merge", "--format", "json", "-o", report, "-"], stdin=subprocess.PIPE)
with merge.stdin as into:
    for text in parts.toLocalIterator():
        into.write(text)
status = merge.wait()
spark.stop()
sys.exit(status)
