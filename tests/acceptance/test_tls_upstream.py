"""An upstream behind https: believed with the right authority and name, and never otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wire
from certificates import Authority, Pair
from edge import Edge, Edges, Listener
from nginx_edge import NginxEdge
from origin import Origin, Seen

NAME = "hs.example.org"


@pytest.fixture(scope="module")
def backstage(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority of the upstreams."""
    return Authority(tmp_path_factory.mktemp("authority") / "upstreams")


@pytest.fixture
def serve() -> Iterator[Callable[[Pair], Origin]]:
    """Starts upstreams with a certificate."""
    started: list[Origin] = []

    def start(pair: Pair) -> Origin:
        started.append(Origin(pair))
        return started[-1]

    yield start
    for origin in started:
        origin.stop()


def upstream_tls(authority: Authority, name: str = "") -> str:
    """The section of the configuration."""
    return f'[upstream_tls]\nca_file = "{authority.file}"\nserver_name = "{name}"\n'


def is_refused(edge: Edge, cause: str, token: str) -> None:
    """A 502 that every client understands, and for the operator the cause."""
    answer = wire.request(edge.port, "GET", wire.with_token("/_matrix/client/v3/sync", token))
    assert answer.status == 502
    assert answer.json()["errcode"] == "M_UNKNOWN"
    assert answer.fields["access-control-allow-origin"] == "*"
    assert int(answer.fields["retry-after"]) > 0
    assert answer.fields["content-type"] == "application/json"
    assert edge.line(status=502)["target"] == "/_matrix/client/v3/sync?access_token=<redacted>"
    edge.wait_for_diagnostics(cause)


def test_right_authority_and_name(
    edges: Edges, serve: Callable[[Pair], Origin], backstage: Authority
) -> None:
    origin = serve(backstage.issue(NAME))
    edge = edges.start(origin.url, tables=upstream_tls(backstage, NAME))
    token = edges.secret()
    # Twice, for the second is on a connection that was kept.
    for _ in range(2):
        answer = wire.request(edge.port, "GET", wire.with_token("/p", token))
        assert answer.status == 200, answer.body
        assert Seen.of(answer.body).values("authorization") == [f"Bearer {token}"]


def test_an_address_is_a_name_too(
    edges: Edges, serve: Callable[[Pair], Origin], backstage: Authority
) -> None:
    origin = serve(backstage.issue("127.0.0.1"))
    edge = edges.start(origin.url, tables=upstream_tls(backstage))
    assert wire.request(edge.port, "GET", "/p").status == 200


def test_localhost_by_name(edges: Edges, serve: Callable[[Pair], Origin], backstage: Authority) -> None:
    origin = serve(backstage.issue("localhost"))
    edge = edges.start(f"https://localhost:{origin.port}", tables=upstream_tls(backstage))
    assert wire.request(edge.port, "GET", "/p").status == 200


def test_through_nginx(edges: Edges, backstage: Authority, origin: Origin, tmp_path: Path) -> None:
    """nginx in the upstream's place: its TLS, its idea of keep-alive, and a large body."""
    pair = backstage.issue(NAME)
    folder = tmp_path / "nginx"
    folder.mkdir()
    tls = f"ssl_certificate {pair.chain}; ssl_certificate_key {pair.key};"
    server = NginxEdge(folder, "ssl", f"{tls} location / {{ proxy_pass {origin.url}; }}")
    try:
        edge = edges.start(f"https://127.0.0.1:{server.port}", tables=upstream_tls(backstage, NAME))
        body = bytes(range(256)) * 4096
        for _ in range(3):
            fields = {"Content-Type": "application/octet-stream"}
            answer = wire.request(edge.port, "POST", "/p", body=body, fields=fields)
            assert Seen.of(answer.body).told["length"] == len(body)
            assert len(wire.request(edge.port, "GET", "/blob/3000000").body) == 3_000_000
    finally:
        server.stop()


def test_another_name(edges: Edges, serve: Callable[[Pair], Origin], backstage: Authority) -> None:
    origin = serve(backstage.issue("other.example.org"))
    edge = edges.start(origin.url, tables=upstream_tls(backstage, NAME))
    is_refused(edge, "is for other names (other.example.org)", edges.secret())
    assert origin.requests == []


def test_unknown_authority(
    edges: Edges, serve: Callable[[Pair], Origin], backstage: Authority, authority: Authority
) -> None:
    origin = serve(authority.issue(NAME))
    edge = edges.start(origin.url, tables=upstream_tls(backstage, NAME))
    is_refused(edge, "is signed by no trusted authority", edges.secret())
    assert origin.requests == []


def test_authorities_of_the_system_do_not_know_ours(
    edges: Edges, serve: Callable[[Pair], Origin], backstage: Authority
) -> None:
    origin = serve(backstage.issue(NAME))
    edge = edges.start(origin.url, tables=f'[upstream_tls]\nserver_name = "{NAME}"\n')
    is_refused(edge, "is signed by no trusted authority", edges.secret())


def test_expired(edges: Edges, serve: Callable[[Pair], Origin], backstage: Authority) -> None:
    origin = serve(backstage.issue(NAME, expired=True))
    edge = edges.start(origin.url, tables=upstream_tls(backstage, NAME))
    is_refused(edge, "has expired on 2020-02-01", edges.secret())
    assert origin.requests == []


def test_no_tls_there(edges: Edges, backstage: Authority, tmp_path: Path) -> None:
    folder = tmp_path / "nginx"
    folder.mkdir()
    server = NginxEdge(folder, "", "return 200;")
    try:
        edge = edges.start(f"https://127.0.0.1:{server.port}", tables=upstream_tls(backstage, NAME))
        is_refused(edge, "does not speak TLS", edges.secret())
    finally:
        server.stop()


def test_nobody_there(edges: Edges, backstage: Authority) -> None:
    edge = edges.start(f"https://127.0.0.1:{Listener().port}", tables=upstream_tls(backstage, NAME))
    is_refused(edge, "refused", edges.secret())


def test_it_can_be_repaired_without_a_restart(
    edges: Edges, serve: Callable[[Pair], Origin], backstage: Authority, authority: Authority
) -> None:
    origin = serve(backstage.issue(NAME))
    edge = edges.start(origin.url, tables=upstream_tls(authority, NAME))
    is_refused(edge, "is signed by no trusted authority", edges.secret())
    edge.file.write_text(edge.file.read_text().replace(str(authority.file), str(backstage.file)))
    edge.reload()
    edge.wait_for_diagnostics("configuration reloaded")
    assert wire.request(edge.port, "GET", "/p").status == 200
