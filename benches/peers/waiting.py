"""Scenarios that are not about many small requests: large bodies, requests that wait, the start."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from measure import Peak, cpu_seconds, median, pss_kib, ratio
from peers import UPSTREAM, Features
from result import Result, from_stage, titles
from settings import BEARER, SYNC, TOKENSHIM, CannotRun, Settings
from stage import Running, Stage, answers, end, fetch
from upstreams import BLOCK, receive

GIB = 1 << 30


@dataclass(frozen=True)
class Carried:
    """One body of a GiB."""

    cpu: float
    seconds: float
    before_kib: int
    peak_kib: int


def media(settings: Settings) -> Result:
    """One GiB up, one GiB down."""
    names = settings.among("nginx", "tokenshim", "relay", "haproxy")
    with Stage(settings, names, Features(large_bodies=True), check=answers, upstream="media") as stage:
        up: dict[str, list[Carried]] = {name: [] for name in stage.running}
        down: dict[str, list[Carried]] = {name: [] for name in stage.running}
        for _ in range(settings.rounds):
            for name, running in stage.running.items():
                up[name].append(carry(running, upload))
                down[name].append(carry(running, download))
        shown = titles(stage.running)
        columns = ["proxy", "up, CPU s per GiB", "to nginx", "down, CPU s per GiB", "to nginx"]
        result = from_stage(
            stage,
            title="Media of 1 GiB",
            what="One upload and one download at a time, with a Content-Length. nginx has "
            "proxy_request_buffering off; it and HAProxy have buffers of 256 KiB, which suit them best.",
            columns=[*columns, "memory before, MiB", "at most, MiB"],
            rows=[],
        )
    for name in shown:
        row = [shown[name]]
        for way in (up, down):
            row.append(f"{median(way[name], lambda one: one.cpu):.2f}")
            row.append(f"{ratio(way[name], way['nginx'], lambda one: one.cpu):.2f}" if "nginx" in way else "–")
        row.append(f"{up[name][0].before_kib / 1024:.1f}")
        row.append(f"{max(one.peak_kib for one in up[name] + down[name]) / 1024:.1f}")
        result.rows.append(row)
    for title, way in (("Upload", up), ("Download", down)):
        if "nginx" in way:
            result.ratios[title] = {name: round(ratio(way[name], way["nginx"], lambda one: one.cpu), 3) for name in way}
    return result


def carry(running: Running, move: Callable[[socket.socket], None]) -> Carried:
    pid = running.process.pid
    before, memory, start = cpu_seconds(pid), pss_kib(pid), time.monotonic()
    with Peak(pid) as peak, socket.create_connection(("127.0.0.1", running.peer.port), timeout=60) as connection:
        move(connection)
    return Carried(cpu_seconds(pid) - before, time.monotonic() - start, memory, peak.kib)


def request(line: str, *fields: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: matrix.example.org", BEARER, *fields, "", ""]).encode()


def upload(connection: socket.socket) -> None:
    connection.sendall(request("POST /_matrix/media/v3/upload", f"Content-Length: {GIB}"))
    for _ in range(GIB // len(BLOCK)):
        connection.sendall(BLOCK)
    if not head_of(connection)[1].endswith(str(GIB).encode()):
        raise CannotRun("an upload did not arrive whole")


def download(connection: socket.socket) -> None:
    connection.sendall(request(f"GET /_matrix/client/v1/media/download/example.org/{GIB}"))
    body = head_of(connection)[1]
    if len(body) + receive(connection, GIB - len(body)) != GIB:
        raise CannotRun("a download did not arrive whole")


def head_of(connection: socket.socket) -> tuple[bytes, bytes]:
    """A 200's head, and what came with it of the body (which all our answers have)."""
    got = b""
    while b"\r\n\r\n" not in got or got.endswith(b"\r\n\r\n"):
        if not (piece := connection.recv(65536)):
            break
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    if b" 200 " not in head[:20]:
        raise CannotRun(f"answered {head[:60]!r}")
    return head, body


@dataclass(frozen=True)
class Held:
    """Memory with nobody and with everybody waiting."""

    before_kib: int
    full_kib: int
    count: int

    @property
    def kib_each(self) -> float:
        return (self.full_kib - self.before_kib) / self.count


def held(settings: Settings) -> Result:
    """Long polls that wait at once, each with a connection on both sides."""
    names = settings.among("nginx", "tokenshim", "haproxy")
    features = Features(connections=settings.held)
    samples: dict[str, list[Held]] = {}
    absent: dict[str, str] = {}
    for _ in range(min(settings.rounds, 3)):
        for name in names:
            # Started anew each time: memory that was used once is not given back.
            try:
                with Stage(settings, (name,), features, check=answers, upstream="hold") as stage:
                    samples.setdefault(name, []).append(hold(stage.running[name], settings.held))
            except CannotRun as why:
                absent[name] = str(why)
    samples = {name: found for name, found in samples.items() if name not in absent}
    if not samples:
        raise CannotRun("; ".join(f"{name}: {why}" for name, why in absent.items()))
    shown = titles(samples)
    rows = []
    for name, found in samples.items():
        each = f"{median(found, lambda one: one.kib_each):.2f}"
        to_nginx = f"{ratio(found, samples['nginx'], lambda one: one.kib_each):.2f}" if "nginx" in samples else "–"
        sizes = [f"{median(found, of) / 1024:.1f}" for of in (lambda one: one.before_kib, lambda one: one.full_kib)]
        rows.append([shown[name], each, to_nginx, *sizes, "0"])
    result = from_stage(
        stage,
        title="Held long polls",
        what=f"{settings.held} `/sync` requests that wait at the same time, each on a connection of its own; then all are answered.",
        columns=["proxy", "memory for each, KiB", "to nginx", "memory before, MiB", "with all, MiB", "dropped"],
        rows=rows,
        notes=["The kernel's memory for sockets is not in these figures; it is the same for all."],
    )
    result.absent = absent
    if settings.held < 10_000:
        result.notes.append(
            f"{settings.held} and not 10,000, because this machine allows a process so many descriptors, "
            "and a proxy needs two for each."
        )
    if "nginx" in samples:
        result.ratios = {"Held request": {name: round(ratio(found, samples["nginx"], lambda one: one.kib_each), 3) for name, found in samples.items()}}
    return result


def hold(running: Running, count: int) -> Held:
    before = pss_kib(running.process.pid)
    return asyncio.run(hold_all(running, count, before))


async def hold_all(running: Running, count: int, before: int) -> Held:
    """Opens them a few at a time, so that no queue of connections overflows."""
    head = request(f"GET {SYNC.replace('timeout=0', 'timeout=300000')}")
    streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    try:
        while len(streams) < count:
            some = min(200, count - len(streams))
            streams += await asyncio.gather(*(open_one(running.peer.port, head) for _ in range(some)))
            await wait_until_held(len(streams))
        full = pss_kib(running.process.pid)
        await asyncio.to_thread(fetch, f"http://127.0.0.1:{UPSTREAM}/release")
        heads = await asyncio.gather(*(asyncio.wait_for(reader.readline(), 30) for reader, _ in streams))
    except (OSError, TimeoutError) as error:
        raise CannotRun(f"with {len(streams)} held: {error or 'no answer'}; it said: {running.said()}") from error
    finally:
        for _, writer in streams:
            writer.transport.abort()
    if dropped := sum(not head.startswith(b"HTTP/1.1 200") for head in heads):
        raise CannotRun(f"dropped {dropped} of {count}")
    return Held(before, full, count)


async def open_one(port: int, head: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(head)
    return reader, writer


async def wait_until_held(count: int) -> None:
    deadline = time.monotonic() + 30
    while int((await asyncio.to_thread(fetch, f"http://127.0.0.1:{UPSTREAM}/count"))[1]) < count:
        if time.monotonic() > deadline:
            raise CannotRun(f"the upstream did not get {count} requests")
        await asyncio.sleep(0.01)


def start(settings: Settings) -> Result:
    """From exec to the first answer, and the size of the program."""
    names = settings.among("nginx", "haproxy", "envoy", "caddy", "tokenshim")
    with Stage(settings, names) as stage:
        # Once for the check, and from now on one at a time.
        for running in stage.running.values():
            end(running.process)
        times: dict[str, list[float]] = {name: [] for name in stage.running}
        for _ in range(settings.rounds * 4):
            for name in times:
                times[name].append(first_answer(stage, name))
        shown = titles(times)
        sizes = {name: os.path.getsize(os.path.realpath(stage.prepare(name)[0])) for name in times}
        result = from_stage(
            stage,
            title="Start",
            what=f"From exec to the first request that the upstream has answered; {settings.rounds * 4} starts.",
            columns=["proxy", "median, ms", "worst, ms", "program, MiB"],
            rows=[],
            notes=["The program is its file as installed; nginx and HAProxy have libraries besides."],
        )
    for name, taken in times.items():
        figures = [f"{median(taken, lambda one: one) * 1e3:.1f}", f"{max(taken) * 1e3:.1f}", f"{sizes[name] / 2**20:.1f}"]
        result.rows.append([shown[name], *figures])
    if "tokenshim" in times and b".symtab" in TOKENSHIM.read_bytes():
        result.notes.append("tokenshim's file was not stripped.")
    return result


def first_answer(stage: Stage, name: str) -> float:
    """Seconds. No taskset here: its own start would count."""
    argv = stage.prepare(name)
    port = stage.running[name].peer.port
    actions = [
        (os.POSIX_SPAWN_OPEN, fd, str(stage.folder / f"{name}.{kind}"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for fd, kind in ((1, "out"), (2, "err"))
    ]
    mine, here = os.sched_getaffinity(0), os.getcwd()
    os.sched_setaffinity(0, {int(core) for core in stage.settings.proxy_cores.split(",")})
    os.chdir(stage.folder)
    environment = {**os.environ, "GOMAXPROCS": "1", "HOME": str(stage.folder)}
    started = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, environment, file_actions=actions)
    os.sched_setaffinity(0, mine)
    os.chdir(here)
    try:
        return wait_for_answer(port, started)
    finally:
        os.kill(pid, 15)
        os.waitpid(pid, 0)


def wait_for_answer(port: int, started: float) -> float:
    while time.perf_counter() - started < 10:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(request(f"GET {SYNC}"))
                head_of(connection)
                return time.perf_counter() - started
        except (ConnectionError, CannotRun):
            time.sleep(0.0002)
    raise CannotRun("did not answer within ten seconds")
