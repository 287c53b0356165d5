"""Scenarios in which peers answer as many small requests as they can: what does one cost?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import load
from load import Latency, Sent
from measure import cpu_by_thread, cpu_seconds, median, pss_kib, ratio
from peers import UPSTREAM, Features
from result import Result, from_stage, percent, spread, titles
from settings import BEARER, SYNC, TOKEN, CannotRun, Settings
from stage import Running, Stage, agreed_on, refuses

# Neighbours in a round are compared best: what disturbs one is still there for the next.
THREE = ("nginx", "tokenshim", "haproxy")
QUERY = f"{SYNC}&access_token={TOKEN}"


@dataclass(frozen=True)
class Round:
    """One turn of one peer."""

    sent: Sent
    cpu: float
    threads: list[float]
    memory_kib: int

    @property
    def micros(self) -> float:
        """Processor time for a request."""
        return self.cpu / self.sent.requests * 1e6


Load = Callable[[Running, int], Sent]


def in_turns(stage: Stage, send: Load) -> dict[str, list[Round]]:
    """Each peer once in every round, after a second to get warm."""
    rounds: dict[str, list[Round]] = {name: [] for name in stage.running}
    for _ in range(stage.settings.rounds):
        for name, running in stage.running.items():
            send(running, 1)
            rounds[name].append(one_round(running, stage.settings.seconds, send))
    return rounds


def one_round(running: Running, seconds: int, send: Load) -> Round:
    pid = running.process.pid
    before, threads = cpu_seconds(pid), cpu_by_thread(pid)
    try:
        sent = send(running, seconds)
    except CannotRun as why:
        raise CannotRun(f"{running.name}: {why}; it said: {running.said()}") from why
    after = cpu_by_thread(pid)
    spent = sorted((time - threads.get(task, 0) for task, time in after.items()), reverse=True)
    return Round(sent, cpu_seconds(pid) - before, spent, pss_kib(pid))


def wrk_to(stage: Stage, target: str, fields: list[str], **more: object) -> Load:
    """wrk with the connections of the settings."""
    settings = {"connections": stage.settings.connections, "cores": stage.load_cores, **more}
    return lambda running, seconds: load.wrk(running.url + target, fields, seconds=seconds, **settings)


def query(settings: Settings) -> Result:
    """The token in the query: what old clients do, and what all of this is for."""
    return relocation(settings, "Token in the query", QUERY, [], f"`GET {SYNC[:35]}…&access_token=…`")


def header(settings: Settings) -> Result:
    """The token where it belongs; nothing is to be moved."""
    return relocation(settings, "Token in the header", SYNC, [BEARER], "The same request with `Authorization: Bearer …`")


def relocation(settings: Settings, title: str, target: str, fields: list[str], what: str) -> Result:
    names = settings.among("nginx", "tokenshim", "relay", "haproxy", "envoy", "caddy")
    with Stage(settings, names) as stage:
        rounds = in_turns(stage, wrk_to(stage, target, fields))
        stage.check_logs()
        rate, able = rate_for(settings, rounds)
        times = latencies(stage, rate, able, target, fields)
        shown = titles(stage.running)
        result = from_stage(
            stage,
            title=title,
            what=f"{what}, {settings.connections} connections, one worker. Latency at {rate} requests a second, "
            "counted from when each was due.",
            columns=["proxy", "CPU per request, µs", "to nginx", "to the relay", "requests/s"]
            + ["p50, µs", "p99, µs", "p99.9, µs", "memory, MiB"],
            rows=[],
            notes=[
                "The relay moves bytes and looks at none: it cannot do the job, and is the floor.",
                "Throughput is what wrk, the upstream and the proxy reach together; the first two share a core.",
            ],
        )
    for name in sorted(rounds, key=lambda name: median(rounds[name], lambda one: one.micros)):
        result.rows.append([shown[name], *costs(rounds, name), *percentiles(times.get(name))])
        result.rows[-1].append(f"{median(rounds[name], lambda one: one.memory_kib) / 1024:.1f}")
    result.rows.append(["the upstream alone", "", "", "", "", *percentiles(times.get("upstream")), ""])
    result.ratios = {title: ratios(rounds)}
    return result


def costs(rounds: dict[str, list[Round]], name: str) -> list[str]:
    """The cells from CPU to throughput."""
    mine = rounds[name]
    to = [
        f"{ratio(mine, rounds[base], lambda one: one.micros):.2f}" if base in rounds else "–"
        for base in ("nginx", "relay")
    ]
    return [f"{median(mine, lambda one: one.micros):.1f}", *to, f"{median(mine, lambda one: one.sent.per_second):.0f}"]


def ratios(rounds: dict[str, list[Round]]) -> dict[str, float]:
    """Each peer's CPU per request to nginx's."""
    if "nginx" not in rounds:
        return {}
    return {name: round(ratio(mine, rounds["nginx"], lambda one: one.micros), 3) for name, mine in rounds.items()}


def rate_for(settings: Settings, rounds: dict[str, list[Round]]) -> tuple[int, list[str]]:
    """Half of what the slowest can; who cannot do half as much as nginx is not waited for."""
    most = {name: median(mine, lambda one: one.sent.per_second) for name, mine in rounds.items()}
    able = [name for name in most if most[name] * 2 >= most.get("nginx", max(most.values()))]
    return settings.rate or int(min(most[name] for name in able) / 2), able


def latencies(stage: Stage, rate: int, able: list[str], target: str, fields: list[str]) -> dict[str, list[Latency]]:
    """In turns again, each at the same fixed rate; "upstream" is without any proxy."""
    head = request_head(stage, target, fields)
    ports = {"upstream": UPSTREAM} | {name: stage.running[name].peer.port for name in able}
    times: dict[str, list[Latency]] = {name: [] for name in ports}
    settings = stage.settings
    for _ in range(settings.rounds):
        for name, port in ports.items():
            more = {"rate": rate, "connections": settings.connections, "seconds": settings.seconds}
            try:
                times[name].append(load.steady(port, head, cores=stage.load_cores, **more))
            except CannotRun:
                # A rate that it cannot keep has no percentiles; its other figures stand.
                ports = {other: at for other, at in ports.items() if other != name}
                times[name] = []
    return {name: taken for name, taken in times.items() if len(taken) == settings.rounds}


def request_head(stage: Stage, target: str, fields: list[str]) -> Path:
    """A file with the bytes of the request, for `steady`."""
    head = stage.folder / "request"
    lines = [f"GET {target} HTTP/1.1", "Host: matrix.example.org", "User-Agent: steady", *fields, "", ""]
    head.write_text("\r\n".join(lines), newline="")
    return head


def steady_to(stage: Stage, head: Path, rate: int, connections: int) -> Load:
    """A fixed rate over so many connections."""

    def send(running: Running, seconds: int) -> Sent:
        more = {"rate": rate, "connections": connections, "seconds": seconds, "cores": stage.load_cores}
        load.steady(running.peer.port, head, **more)
        return Sent(rate * seconds, rate)

    return send


def percentiles(times: list[Latency] | None) -> list[str]:
    if not times:
        return ["too slow for this rate", "", ""]
    return [f"{median(times, of):.0f}" for of in (lambda one: one.p50, lambda one: one.p99, lambda one: one.p999)]


def two_workers(settings: Settings) -> Result:
    """Two workers on two cores, and how evenly they share."""
    with Stage(settings, settings.among(*THREE), Features(workers=2), shared_cores=True) as stage:
        rounds = in_turns(stage, wrk_to(stage, QUERY, []))
        # At a fixed rate each connection brings the same, so a worker has what its connections bring.
        rate, _ = rate_for(settings, rounds)
        head = request_head(stage, QUERY, [])
        shares = [in_turns(stage, steady_to(stage, head, rate, count)) for count in (settings.connections, 4)]
        shown = titles(stage.running)
        result = from_stage(
            stage,
            title="Two workers",
            what=f"As above with the token in the query, two workers on two cores, {settings.connections} connections. "
            f"Unevenness: how much more processor time the busier worker took at {rate} requests a second, "
            f"over {settings.connections} connections and over 4 that stay; median, and worst round.",
            columns=["proxy", "CPU per request, µs", "to nginx", "requests/s", "unevenness", "with 4 connections"],
            rows=[],
            notes=["Proxy, load and upstream share the two cores, so throughput says little."],
            ratios={"Two workers": ratios(rounds)},
        )
    for name in rounds:
        cpu, to_nginx, _, most = costs(rounds, name)
        uneven = [sorted(spread(one.threads[:2]) for one in share[name]) for share in shares]
        cells = [f"{percent(found[len(found) // 2])}, {percent(found[-1])}" for found in uneven]
        result.rows.append([shown[name], cpu, to_nginx, most, *cells])
    return result


def own_401(settings: Settings) -> Result:
    """No token where one is required: answered without the upstream."""
    with Stage(settings, settings.among(*THREE), Features(refuse=True), check=refuses) as stage:
        rounds = in_turns(stage, wrk_to(stage, SYNC, [], refused=True))
        return plain_table(
            stage,
            rounds,
            "An own 401",
            f"`GET {SYNC[:35]}…` without a token. nginx has `return 401` with the same body, fields and log.",
        )


def tls(settings: Settings) -> Result:
    """TLS that stays open."""
    with Stage(settings, settings.among(*THREE), Features(tls=True)) as stage:
        rounds = in_turns(stage, wrk_to(stage, QUERY, []))
        agreed = ", ".join(sorted({agreed_on(running.peer.port) for running in stage.running.values()}))
        return plain_table(
            stage,
            rounds,
            "TLS 1.3",
            f"The token in the query over TLS ({agreed}; ECDSA P-256), {settings.connections} connections that stay open.",
        )


def handshakes(settings: Settings) -> Result:
    """New TLS connections, each for one request that the proxy answers itself."""

    def send(running: Running, seconds: int) -> Sent:
        return load.handshakes(running.peer.port, SYNC, seconds=seconds, cores=stage.load_cores)

    features = Features(tls=True, refuse=True)
    with Stage(settings, settings.among(*THREE), features, check=refuses) as stage:
        rounds = in_turns(stage, send)
        result = plain_table(
            stage,
            rounds,
            "TLS handshakes",
            "Full TLS 1.3 handshakes (ECDSA P-256, no resumption), one connection after the other, each with one "
            "request that is answered 401 without the upstream.",
        )
    result.columns[1:] = ["CPU per connection, µs", "to nginx", "connections per CPU second"]
    for row, mine in zip(result.rows, rounds.values(), strict=True):
        row[3:] = [f"{1e6 / median(mine, lambda one: one.micros):.0f}"]
    return result


def h2(settings: Settings) -> Result:
    """HTTP/2 over TLS to an HTTP/1.1 upstream."""

    def send(running: Running, seconds: int) -> Sent:
        more = {"connections": 4, "streams": 100, "seconds": seconds, "cores": stage.load_cores}
        return load.h2load(running.url + QUERY, [], **more)

    with Stage(settings, settings.among(*THREE), Features(tls=True, http2=True)) as stage:
        rounds = in_turns(stage, send)
        return plain_table(
            stage,
            rounds,
            "HTTP/2 over TLS",
            "The token in the query, 4 connections with 100 streams each, HTTP/1.1 to the upstream.",
        )


def plain_table(stage: Stage, rounds: dict[str, list[Round]], title: str, what: str) -> Result:
    """CPU, ratio and throughput."""
    shown = titles(stage.running)
    rows = []
    for name in rounds:
        cpu, to_nginx, _, rate = costs(rounds, name)
        memory = f"{median(rounds[name], lambda one: one.memory_kib) / 1024:.1f}"
        rows.append([shown[name], cpu, to_nginx, rate, memory])
    columns = ["proxy", "CPU per request, µs", "to nginx", "requests/s", "memory, MiB"]
    return from_stage(stage, title=title, what=what, columns=columns, rows=rows, ratios={title: ratios(rounds)})
