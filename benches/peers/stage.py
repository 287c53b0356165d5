"""The upstream and the peers of a scenario: started and checked together, stopped together."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from peers import PEERS, REFUSAL, UPSTREAM, Features, Peer, nginx_argv
from settings import BEARER, HERE, STATE, SYNC, TOKEN, CannotRun, Settings

PATIENCE = 10.0


@dataclass
class Running:
    """A proxy that has been started."""

    name: str
    peer: Peer
    process: subprocess.Popen[bytes]
    folder: Path
    tls: bool

    @property
    def url(self) -> str:
        """Without the path."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.peer.port}"

    def said(self) -> str:
        """The end of what it wrote, for a message."""
        text = "".join((self.folder / f"{self.name}{end}").read_text(errors="replace") for end in (".out", ".err"))
        return " / ".join(text.strip().splitlines()[-3:]) or "nothing"


class Stage:
    """`with Stage(…) as stage` has the upstream and all of `names` that could be started."""

    def __init__(
        self,
        settings: Settings,
        names: tuple[str, ...],
        features: Features = Features(),
        *,
        check: Callable[[str], None] | None = None,
        upstream: str = "nginx",
        shared_cores: bool = False,
    ) -> None:
        self.settings, self.names, self.features = settings, names, features
        self.check = check or does_the_job
        self.upstream = upstream
        both = f"{settings.proxy_cores},{settings.load_cores}"
        self.proxy_cores = both if shared_cores else settings.proxy_cores
        self.load_cores = both if shared_cores else settings.load_cores
        self.running: dict[str, Running] = {}
        # Who could not be started, and why.
        self.absent: dict[str, str] = {}
        self.others: list[subprocess.Popen[bytes]] = []
        STATE.mkdir(parents=True, exist_ok=True)
        self.temporary = tempfile.TemporaryDirectory(dir=STATE, prefix="run-")
        self.folder = Path(self.temporary.name)

    def __enter__(self) -> Stage:
        try:
            if self.features.tls:
                make_certificate(self.folder)
            self.start_upstream()
            for name in self.names:
                self.start(name)
            if not self.running:
                raise CannotRun("; ".join(f"{name}: {why}" for name, why in self.absent.items()))
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start_upstream(self) -> None:
        if self.upstream == "nginx":
            config = self.folder / "upstream.nginx.conf"
            text = (HERE / "config" / config.name).read_text()
            config.write_text(text.replace("@UPSTREAM@", str(UPSTREAM)))
            argv = nginx_argv(config, self.features)
        else:
            argv = [sys.executable, str(HERE / "upstreams.py"), self.upstream, str(UPSTREAM)]
        self.others.append(self.launch("upstream", argv, self.load_cores))
        answers(f"http://127.0.0.1:{UPSTREAM}")

    def start(self, name: str) -> None:
        peer = PEERS[name]
        try:
            process = self.launch(name, self.prepare(name), self.proxy_cores)
        except CannotRun as why:
            self.absent[name] = str(why)
            return
        running = Running(name, peer, process, self.folder, self.features.tls)
        try:
            if name == "relay":
                answers(running.url)
            else:
                self.check(running.url)
        except (OSError, CannotRun) as why:
            end(process)
            self.absent[name] = f"{why}; it said: {running.said()}"
            return
        self.running[name] = running

    def prepare(self, name: str) -> list[str]:
        """Writes the configuration; what to execute."""
        peer = PEERS[name]
        return peer.argv(peer.configure(self.folder, self.features), self.features)

    def launch(self, name: str, argv: list[str], cores: str) -> subprocess.Popen[bytes]:
        # Go takes its number of threads from the environment only.
        environment = {**os.environ, "GOMAXPROCS": str(self.features.workers), "HOME": str(self.folder)}
        with open(self.folder / f"{name}.out", "ab") as out, open(self.folder / f"{name}.err", "ab") as err:
            argv = ["taskset", "-c", cores, *argv]
            return subprocess.Popen(argv, cwd=self.folder, env=environment, stdout=out, stderr=err)

    def stop(self) -> None:
        processes = [running.process for running in self.running.values()] + self.others
        for process in processes:
            process.terminate()
        for process in processes:
            end(process)
        self.temporary.cleanup()

    def check_logs(self) -> None:
        """Every peer has logged, and none of them the token."""
        time.sleep(1.1)  # nginx, Envoy and tokenshim write what they hold at least each second
        for running in self.running.values():
            if running.peer.log:
                log = (self.folder / running.peer.log).read_bytes()
                if TOKEN.encode() in log or log.count(b"\n") < 1000:
                    raise CannotRun(f"{running.name} has the token in its access log, or no log")


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def make_certificate(folder: Path) -> None:
    """ECDSA on P-256, for one day."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        + ["-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    (folder / "both.pem").write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())


def fetch(url: str, fields: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and body, as soon as somebody listens there."""
    request = urllib.request.Request(url, headers=fields or {})
    # No proxy of the environment may come between.
    direct, https = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unverified())
    opener = urllib.request.build_opener(direct, https)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with opener.open(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            if time.monotonic() > deadline:
                raise CannotRun(f"nothing answers at {url.partition('?')[0]}: {error}") from error
            time.sleep(0.05)


def unverified() -> ssl.SSLContext:
    """The certificate is ours, and a minute old."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def agreed_on(port: int) -> str:
    """The version and cipher suite that a client gets who leaves it to the server."""
    with socket.create_connection(("127.0.0.1", port)) as plain, unverified().wrap_socket(plain) as connection:
        return f"{connection.version()} {connection.cipher()[0]}"


def answers(base: str) -> None:
    """Something answers."""
    name, _, value = BEARER.partition(": ")
    fetch(f"{base}/echo", {name: value})


def does_the_job(base: str) -> None:
    """The upstream has to see a clean URL and the header, or the figures mean nothing."""
    _, seen = fetch(f"{base}/echo?a=1&access_token={TOKEN}")
    if seen != f"/echo?a=1|Bearer {TOKEN}":
        raise CannotRun(f"does not do the job: the upstream saw {seen[:200]!r}")


def refuses(base: str) -> None:
    """A 401 in JSON, from the proxy."""
    if fetch(base + SYNC) != (401, REFUSAL):
        raise CannotRun("does not answer 401 with Matrix JSON")
