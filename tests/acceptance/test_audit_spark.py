"""The published job on a real Spark cluster with two workers: its report is that of one run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from leaks import Logs, audit, no_token_in, write_logs
from processes import BINARY, REPOSITORY, Child, free_port, inherited, python_of

# Java programs that live for seconds need no more.
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
JOB = REPOSITORY / "contrib" / "spark" / "audit.py"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """A master and two workers, each a process of its own, on loopback."""
    folder = tmp_path_factory.mktemp("spark")
    python = python_of("spark")
    home = next(python.parent.parent.glob("lib/python3*/site-packages/pyspark"))
    environment = {
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_JAVA_OPTS": QUICK,
        "SPARK_WORKER_DIR": str(folder / "work"),
        "PYSPARK_PYTHON": str(python),
        "TOKENSHIM": str(BINARY),
    }
    port = free_port()
    master = f"spark://127.0.0.1:{port}"
    start = home / "bin" / "spark-class"
    deploy = "org.apache.spark.deploy"
    web = ["--webui-port", str(free_port())]
    children = [
        Child(
            "master",
            [start, f"{deploy}.master.Master", "--host", "127.0.0.1", "--port", str(port), *web],
            folder,
            environment,
        )
    ]
    try:
        children[0].wait_for_port(port, 90)
        for number in range(2):
            web = ["--webui-port", str(free_port())]
            command = [start, f"{deploy}.worker.Worker", "--host", "127.0.0.1", "--cores", "1", "--memory", "1g", *web]
            children.append(Child(f"worker{number}", [*command, master], folder, environment))
        for worker in children[1:]:
            registered = b"Successfully registered with master"
            worker.wait_for("not registered", lambda log=worker.stderr: registered in log.read_bytes(), 90)
        yield master, environment
    finally:
        for child in reversed(children):
            child.stop()


def submit(
    cluster: tuple[str, dict[str, str]], logs: Logs, report: Path, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """Runs the job over all logs."""
    assert shutil.which("java"), "Spark needs Java: run tests/run, which installs it"
    master, environment = cluster
    options = ["--master", master, "--driver-java-options", QUICK, "--executor-memory", "512m"]
    for setting in ("ui.enabled=false", "driver.bindAddress=127.0.0.1", f"executor.extraJavaOptions={QUICK}"):
        options += ["--conf", f"spark.{setting}"]
    program = Path(environment["SPARK_HOME"]) / "bin" / "spark-submit"
    command = [program, *options, JOB, logs.key, report, *logs.files]
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        timeout=240,
        check=False,
        env=inherited() | environment | variables | {"PATH": os.environ["PATH"]},
    )


def test_the_report_of_two_workers_is_that_of_one_run(
    cluster: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    logs = write_logs(tmp_path, files=4, lines=1000)
    report = tmp_path / "report.json"
    done = submit(cluster, logs, report)
    assert done.returncode == 1, done.stderr.decode("utf-8", "replace")[-4000:]
    assert report.read_bytes() == audit(logs, "json")
    assert len(json.loads(report.read_bytes())["tokens"]) == len(logs.tokens)
    assert no_token_in(done.stdout + done.stderr, logs.tokens)
    # Both workers had work.
    work = Path(cluster[1]["SPARK_WORKER_DIR"])
    assert len(list(work.glob("app-*/*/stderr"))) == 2
    for output in work.glob("app-*/*/std*"):
        assert no_token_in(output.read_bytes(), logs.tokens)


def test_a_file_that_is_lost_leaves_no_report(cluster: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    logs = write_logs(tmp_path, files=2, lines=50)
    report = tmp_path / "report.json"
    wrapper = tmp_path / "tokenshim"
    wrapper.write_text(
        f'#!/bin/sh\ncase "$*" in *--partial*{logs.files[1].name}) exit 2 ;; esac\n'
        f'exec "{BINARY}" "$@"\n'
    )
    wrapper.chmod(0o755)
    done = submit(cluster, logs, report, TOKENSHIM=str(wrapper))
    assert done.returncode == 2, done.stderr.decode("utf-8", "replace")[-4000:]
    assert b"tokenshim ended with 2" in done.stderr
    assert not report.exists()
