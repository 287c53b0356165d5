"""The PROXY protocol with its author's program: HAProxy sends it, HAProxy and nginx read it.

Clients connect from 127.0.0.9; of all senders only 127.0.0.1 is believed.
"""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPResponse
from pathlib import Path

import h2wire
import pytest
from certificates import Authority, Pair
from edge import NAME, Edge, Edges, Listener
from haproxy import Haproxy
from nginx_edge import NginxEdge
from origin import Origin, Seen
from processes import wait_until

CLIENT = "127.0.0.9"
BELIEVED = 'trusted_proxies = ["127.0.0.1/32"]'


def dial(port: int, tls: ssl.SSLContext | None = None, source: str = CLIENT) -> socket.socket:
    """A connection from an address of one's own."""
    wire = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))
    return tls.wrap_socket(wire, server_hostname=NAME) if tls else wire


def ask(wire: socket.socket, target: str = "/p", fields: str = "") -> bytes:
    """One request on a connection that stays; the body of the answer."""
    wire.sendall(f"GET {target} HTTP/1.1\r\nHost: {NAME}\r\n{fields}\r\n".encode())
    response = HTTPResponse(wire)
    response.begin()
    content = response.read()
    assert response.status == 200, content
    return content


@pytest.fixture
def front(edges: Edges, origin: Origin, pair: Pair) -> Edge:
    """Two listeners that want a header, one of them with TLS behind it."""
    listeners = (Listener(proxy_protocol=True), Listener(tls=True, proxy_protocol=True))
    return edges.start(origin.url, *listeners, certificates=[pair], keys=BELIEVED)


@pytest.fixture
def haproxy(tmp_path: Path) -> Iterator[Callable[[Mapping[str, str]], Haproxy]]:
    """Starts one."""
    started: list[Haproxy] = []

    def start(sections: Mapping[str, str]) -> Haproxy:
        started.append(Haproxy(tmp_path, sections))
        return started[-1]

    yield start
    for server in started:
        server.stop()


def is_named(edge: Edge, seen: Seen, target: str, scheme: str = "http") -> None:
    """The client's address is in the log and in what the upstream gets."""
    assert edge.line(target=target)["remote"] == CLIENT
    assert seen.values("x-forwarded-for") == [CLIENT]
    assert seen.values("x-real-ip") == [CLIENT]
    assert seen.values("x-forwarded-proto") == [scheme]
    (forwarded,) = seen.values("forwarded")
    assert forwarded.startswith(f"for={CLIENT};proto={scheme}")


def test_haproxy_sends(
    front: Edge,
    haproxy: Callable[[Mapping[str, str]], Haproxy],
    authority: Authority,
    pair: Pair,
    tmp_path: Path,
) -> None:
    """Each version, with what it may add, over TCP and in front of our TLS."""
    both = tmp_path / "both.pem"
    both.write_bytes(pair.chain.read_bytes() + pair.key.read_bytes())
    plain, secure = (f"    mode tcp\n    bind {{}}\n    server edge 127.0.0.1:{port}" for port in front.ports)
    sections = {
        option: f"{plain} {option} check check-send-proxy inter 200ms"
        for option in ("send-proxy", "send-proxy-v2")
    }
    for option in ("send-proxy-v2-ssl", "send-proxy-v2-ssl-cn"):
        sections[option] = plain.replace("{}", f"{{}} ssl crt {both}") + f" {option}"
    # Checksum, authority and a unique id as TLVs.
    options = "send-proxy-v2 proxy-v2-options crc32c,authority,unique-id,ssl,cert-cn"
    sections["tlv"] = f"    unique-id-format %ci\n{plain} {options}"
    for option in ("send-proxy", "send-proxy-v2"):
        sections[f"tls-{option}"] = f"{secure} {option}"
    server = haproxy(sections)
    tls = h2wire.context(str(authority.file), ["http/1.1"])
    for name, port in server.ports.items():
        is_tls = name.startswith("tls-") or "ssl" in name
        with dial(port, tls if is_tls else None) as wire:
            # What the client says of itself is nobody's business.
            seen = Seen.of(ask(wire, f"/{name}", "X-Forwarded-For: 1.2.3.4\r\n"))
            again = Seen.of(ask(wire, f"/{name}/again"))
        assert again.values("x-forwarded-for") == [CLIENT], name
        is_named(front, seen, f"/{name}", "https" if name.startswith("tls-") else "http")
    two = h2wire.context(str(authority.file), ["h2"])
    with h2wire.Connection(dial(server.ports["tls-send-proxy-v2"], two)) as connection:
        answers = [connection.ask("GET", b"/over-h2") for _ in range(3)]
    assert {tuple(Seen.of(bytes(answer.body)).values("x-forwarded-for")) for answer in answers} == {(CLIENT,)}


def test_whoever_is_not_believed_is_cut(front: Edge, origin: Origin, authority: Authority) -> None:
    """With a header or without; and nothing is answered, for it may be in the middle of TLS."""
    mark = len(origin.requests)
    request = f"GET /p HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()
    header = b"PROXY TCP4 192.0.2.1 192.0.2.2 1111 443\r\n"
    for port in front.ports:
        for sent in (header + request, request, header):
            with dial(port) as wire:
                wire.sendall(sent)
                assert ended(wire) == b""
    front.wait_for_diagnostics("not a trusted proxy")
    assert (front.lines(), origin.requests[mark:]) == ([], [])


def test_a_believed_sender_without_a_header_is_cut(front: Edge, origin: Origin) -> None:
    """The header is not optional: else whoever comes past the proxy could invent one."""
    mark = len(origin.requests)
    request = f"GET /p HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()
    for begin in (
        b"",
        b"PROXY TCP4 256.0.0.1 1.1.1.1 1 2\r\n",
        b"PROXY TCP4 1.1.1.1\r\n",
        b"\r\n\r\n\0\r\nQUIX\n",
    ):
        with dial(front.port, source="127.0.0.1") as wire:
            wire.sendall(begin + request)
            assert ended(wire) == b"", begin
    assert (front.lines(), origin.requests[mark:]) == ([], [])


def ended(wire: socket.socket) -> bytes:
    """What comes until the end; a reset is an end, for there were bytes left that nobody wanted."""
    try:
        return b"".join(iter(lambda: wire.recv(4096), b""))
    except ConnectionResetError:
        return b""


def test_curl_sends(front: Edge, authority: Authority) -> None:
    """`--haproxy-protocol` names curl's own address, here that of a believed proxy."""
    urls = [f"http://127.0.0.1:{front.ports[0]}/curl", f"https://127.0.0.1:{front.ports[1]}/curl-tls"]
    for url in urls:
        command: list[str | Path] = ["curl", "-sS", "--cacert", authority.file, url]
        done = subprocess.run([*command, "--haproxy-protocol"], capture_output=True, check=True)
        seen = Seen.of(done.stdout)
        assert front.line(target=seen.target)["remote"] == "127.0.0.1"
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode != 0, "without the header there is no connection"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nginx_reads(edges: Edges, origin: Origin, tmp_path: Path, version: str) -> None:
    """`listen … proxy_protocol` behind us: each request under its own client's address."""
    folder = tmp_path / "nginx"
    folder.mkdir()
    server = NginxEdge(folder, "proxy_protocol", f"location / {{ proxy_pass {origin.url}; }}")
    try:
        keys = f'{BELIEVED}\nupstream_proxy_protocol = "{version}"'
        edge = edges.start(f"http://127.0.0.1:{server.port}", keys=keys)
        sources = [f"127.0.0.{number}" for number in (9, 10, 11)]
        wires = {source: dial(edge.port, source=source) for source in sources}
        # In turns, so that a connection that two clients share would show.
        for turn in range(3):
            for source, wire in wires.items():
                ask(wire, f"/{source}/{turn}")
        # A client that comes and goes leaves no connection to the next.
        for source in sources:
            with dial(edge.port, source=source) as wire:
                ask(wire, f"/{source}/short")
        for wire in wires.values():
            wire.close()
        wait_until("nginx's log", lambda: len(server.access_log.read_text().splitlines()) >= 12)
        lines = [line.split(" ") for line in server.access_log.read_text().splitlines()]
        assert [line[0] for line in lines] == [line[3].split("/")[1] for line in lines]
        assert len(lines) == 12
    finally:
        server.stop()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_reads(
    edges: Edges,
    origin: Origin,
    haproxy: Callable[[Mapping[str, str]], Haproxy],
    pair: Pair,
    authority: Authority,
    version: str,
) -> None:
    """`accept-proxy` behind us; HTTP/2 and HTTP/1.1 in front."""
    section = "    mode http\n    bind {} accept-proxy\n    http-request set-header X-Source %[src]\n"
    server = haproxy({"reader": f"{section}    server origin 127.0.0.1:{origin.port}"})
    keys = f'{BELIEVED}\nupstream_proxy_protocol = "{version}"'
    edge = edges.start(
        f"http://127.0.0.1:{server.ports['reader']}", Listener(tls=True), certificates=[pair], keys=keys
    )
    for number in (9, 10):
        source = f"127.0.0.{number}"
        for protocol in ("http/1.1", "h2"):
            tls = h2wire.context(str(authority.file), [protocol])
            with dial(edge.port, tls, source) as wire:
                if protocol == "h2":
                    connection = h2wire.Connection(wire)
                    streams = [connection.begin("GET", b"/p") for _ in range(5)]
                    seen = [Seen.of(bytes(connection.wait(stream).body)) for stream in streams]
                else:
                    seen = [Seen.of(ask(wire)) for _ in range(3)]
            assert {tuple(one.values("x-source")) for one in seen} == {(source,)}, protocol


def test_from_haproxy_to_nginx(
    edges: Edges, origin: Origin, haproxy: Callable[[Mapping[str, str]], Haproxy], tmp_path: Path
) -> None:
    """In and out: the last one in the row still knows the client."""
    folder = tmp_path / "nginx"
    folder.mkdir()
    reader = NginxEdge(folder, "proxy_protocol", 'return 200 "$proxy_protocol_addr";')
    try:
        keys = f'{BELIEVED}\nupstream_proxy_protocol = "v2"'
        edge = edges.start(f"http://127.0.0.1:{reader.port}", Listener(proxy_protocol=True), keys=keys)
        sender = haproxy(
            {"sender": f"    mode tcp\n    bind {{}}\n    server edge 127.0.0.1:{edge.port} send-proxy-v2"}
        )
        with dial(sender.ports["sender"]) as wire:
            assert ask(wire, "/end-to-end") == CLIENT.encode()
        line = edge.line(target="/end-to-end")
        assert json.dumps(line["remote"]) == f'"{CLIENT}"'
    finally:
        reader.stop()
