"""TLS as OpenSSL sees it: versions, names, protocols, tickets, client certificates."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import openssl
import pytest
from certificates import Authority, Pair
from edge import NAME, Edge, Edges, Listener
from origin import BLOCK, Origin, Seen

# The clients of an edge are no proxies, although the test's are on loopback.
STRANGERS = "trusted_proxies = []"


@pytest.fixture
def front(edges: Edges, origin: Origin, pair: Pair, authority: Authority) -> Iterator[Edge]:
    """Three certificates, of which the first is for everybody else."""
    certificates = [pair, authority.issue("admin.example.org"), authority.issue("*.wild.example.org")]
    listeners = (Listener(tls=True), Listener(tls=True, http2=False))
    yield edges.start(origin.url, *listeners, certificates=certificates, keys=STRANGERS)


def test_versions(front: Edge, authority: Authority) -> None:
    for option, version in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
        session = openssl.connect(front.port, option, "-CAfile", authority.file, "-verify_return_error")
        assert (session.protocol, session.is_verified) == (version, True), session.text
        assert "HTTP/1.1 200 OK" in session.text
    # Debian's OpenSSL speaks 1.1 at security level 0 alone.
    for option in ("-tls1_1", "-tls1"):
        session = openssl.connect(front.port, option, "-cipher", "ALL:@SECLEVEL=0")
        assert not session.is_open, session.text
        assert "alert handshake failure" in session.text, session.text
    front.wait_for_diagnostics("client and server have nothing in common")


def test_minimum_can_be_raised(edges: Edges, origin: Origin, pair: Pair) -> None:
    edge = edges.start(origin.url, Listener(tls=True), certificates=[pair], tables='[tls]\nminimum = "1.3"')
    assert not openssl.connect(edge.port, "-tls1_2").is_open
    assert openssl.connect(edge.port, "-tls1_3").protocol == "TLSv1.3"


def test_name_picks_the_certificate(front: Edge) -> None:
    cases = {
        "its own": (NAME, NAME),
        "another's": ("admin.example.org", "admin.example.org"),
        "in capitals": ("ADMIN.example.ORG", "admin.example.org"),
        "one label in place of the star": ("hs.wild.example.org", "*.wild.example.org"),
        "two labels are not the star's": ("a.b.wild.example.org", NAME),
        "the star is not nothing": ("wild.example.org", NAME),
        "nobody's": ("other.example.net", NAME),
        "none": (None, NAME),
    }
    for case, (asked, shown) in cases.items():
        for version in ("-tls1_2", "-tls1_3"):
            session = openssl.connect(front.port, version, name=asked)
            assert session.subject == shown, (case, version)
            assert "HTTP/1.1 200 OK" in session.text, (case, version)


def test_protocol_is_agreed_on(front: Edge) -> None:
    both, old = front.ports
    cases = {
        "both": (both, ["-alpn", "h2,http/1.1"], "h2"),
        "both, the old one first": (both, ["-alpn", "http/1.1,h2"], "h2"),
        "h2": (both, ["-alpn", "h2"], "h2"),
        "the old one": (both, ["-alpn", "http/1.1"], "http/1.1"),
        "none is asked for": (both, [], None),
        "h2 is not offered": (old, ["-alpn", "h2,http/1.1"], "http/1.1"),
    }
    for case, (port, options, agreed) in cases.items():
        session = openssl.connect(port, *options)
        assert session.alpn == agreed, (case, session.text)
        # A client that agreed on HTTP/2 and speaks HTTP/1.1 gets no answer in either.
        assert ("HTTP/1.1 200 OK" in session.text) == (agreed != "h2"), (case, session.text)
    for port, options in ((both, ["-alpn", "spdy/3"]), (old, ["-alpn", "h2"])):
        session = openssl.connect(port, *options)
        assert "alert no application protocol" in session.text, session.text


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_sessions_are_resumed(front: Edge, tmp_path: Path, version: str) -> None:
    kept = tmp_path / "session.pem"
    first = openssl.connect(front.port, version, "-sess_out", kept)
    assert first.is_open and not first.is_resumed
    again = openssl.connect(front.port, version, "-sess_in", kept)
    assert again.is_resumed, again.text
    assert "HTTP/1.1 200 OK" in again.text


def test_reconnecting_resumes(front: Edge) -> None:
    """`-reconnect` makes five more connections with the session of the first."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{front.port}", "-reconnect", "-tls1_2"]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=20, check=False)
    assert done.stdout.count(b"\nReused, ") == 5, done.stdout


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("wanted", ["optional", "required"])
def test_client_certificates(
    edges: Edges, origin: Origin, pair: Pair, tmp_path: Path, wanted: str, version: str
) -> None:
    staff, strangers = Authority(tmp_path / "staff"), Authority(tmp_path / "strangers")
    tables = f'[tls]\nclient_certificates = "{wanted}"\nclient_ca_file = "{staff.file}"'
    edge = edges.start(origin.url, Listener(tls=True), certificates=[pair], tables=tables)

    def served(certificate: Pair | None) -> bool:
        options: list[str | Path] = []
        if certificate:
            options = ["-cert", certificate.chain, "-key", certificate.key]
        return "HTTP/1.1 200 OK" in openssl.connect(edge.port, version, *options).text

    assert served(staff.issue("alice", client=True))
    assert served(None) == (wanted == "optional")
    assert not served(strangers.issue("mallory", client=True))
    assert not served(staff.issue("bob", client=True, expired=True))
    assert not served(staff.issue("server.example.org")), "a server's certificate is no client's"


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_curl(front: Edge, authority: Authority, edges: Edges, version: str) -> None:
    url = f"https://{NAME}:{front.port}"
    token = edges.secret()
    option = "--http2" if version == "2" else "--http1.1"
    command: list[str | Path] = [
        "curl",
        "-sS",
        option,
        "--cacert",
        authority.file,
        "--resolve",
        f"{NAME}:{front.port}:127.0.0.1",
    ]
    command += ["-w", "%{stderr}%{http_version} %{ssl_verify_result}"]
    done = subprocess.run([*command, f"{url}/p?access_token={token}"], capture_output=True, check=True)
    assert done.stderr.decode() == f"{version} 0"
    seen = Seen.of(done.stdout)
    assert (seen.target, seen.values("authorization")) == ("/p", [f"Bearer {token}"])
    assert (seen.values("host"), seen.values("x-forwarded-proto")) == ([f"{NAME}:{front.port}"], ["https"])
    # Two requests on one connection, with bodies both ways.
    upload = ["-H", "Content-Type: application/octet-stream", "--data-binary", "@-"]
    both = [*command, *upload, f"{url}/a", f"{url}/blob/300000"]
    done = subprocess.run(both, input=BLOCK, capture_output=True, check=True)
    assert f'"length": {len(BLOCK)}'.encode() in done.stdout[:2000]
    assert done.stdout.endswith(BLOCK[:300000])


def test_curl_does_not_believe_another(front: Edge, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other").file
    command: list[str | Path] = [
        "curl",
        "-sS",
        "--cacert",
        other,
        "--resolve",
        f"{NAME}:{front.port}:127.0.0.1",
    ]
    done = subprocess.run([*command, f"https://{NAME}:{front.port}/"], capture_output=True, check=False)
    assert done.returncode == 60, done.stderr
    front.wait_for_diagnostics("client refused the TLS handshake")


def test_plain_http_on_the_tls_port(front: Edge) -> None:
    done = subprocess.run(
        ["curl", "-sS", f"http://127.0.0.1:{front.port}/"], capture_output=True, check=False
    )
    assert done.returncode != 0
    front.wait_for_diagnostics("client does not speak TLS")
    assert front.lines() == []
