"""Certificates that are renewed while we run, and a configuration that is read anew."""

from __future__ import annotations

import os
from http.client import HTTPResponse
from pathlib import Path

import h2wire
import openssl
import pytest
from certificates import Authority, Pair
from edge import NAME, Edge, Edges, Listener
from origin import Origin
from processes import wait_until

# How often the files are looked at, and some patience.
LOOK = 12.0


class Live:
    """`live/`, as certbot keeps it: links into `archive/`, which are moved at a renewal."""

    def __init__(self, folder: Path, pair: Pair) -> None:
        self.folder = folder / "live"
        self.folder.mkdir()
        self.pair = Pair(self.folder / "fullchain.pem", self.folder / "privkey.pem")
        self.renew(pair)

    def renew(self, pair: Pair) -> None:
        """One link after the other, as certbot does it: for a moment they do not match."""
        for link, target in ((self.pair.chain, pair.chain), (self.pair.key, pair.key)):
            fresh = link.with_suffix(".new")
            fresh.symlink_to(target)
            os.replace(fresh, link)


@pytest.fixture
def live(tmp_path: Path, authority: Authority) -> Live:
    """With a first certificate."""
    return Live(tmp_path, authority.issue("first.example.org", NAME))


@pytest.fixture
def front(edges: Edges, origin: Origin, live: Live) -> Edge:
    """An edge whose certificate is renewed."""
    return edges.start(origin.url, Listener(tls=True), certificates=[live.pair])


def shown(edge: Edge) -> str:
    """The certificate that a new client gets."""
    return openssl.connect(edge.port).subject


class KeepAlive:
    """A connection that is there before and after, in either version of HTTP."""

    def __init__(self, edge: Edge, authority: Authority) -> None:
        file = str(authority.file)
        self.old = h2wire.dial(edge.port, h2wire.context(file, ["http/1.1"]))
        self.new = h2wire.Connection(h2wire.dial(edge.port, h2wire.context(file, ["h2"])))

    def __enter__(self) -> KeepAlive:
        return self

    def __exit__(self, *_: object) -> None:
        self.old.close()
        self.new.wire.close()

    def check(self) -> None:
        """Both still answer."""
        self.old.sendall(b"GET /p HTTP/1.1\r\nHost: " + NAME.encode() + b"\r\n\r\n")
        response = HTTPResponse(self.old)
        response.begin()
        assert (response.status, response.read() != b"") == (200, True)
        assert self.new.ask("GET", b"/p").status == 200


def test_renewal_is_seen_without_a_signal(front: Edge, live: Live, authority: Authority) -> None:
    assert shown(front) == "first.example.org"
    with KeepAlive(front, authority) as connections:
        connections.check()
        live.renew(authority.issue("second.example.org", NAME))
        wait_until("the new certificate", lambda: shown(front) == "second.example.org", LOOK)
        connections.check()
    front.wait_for_diagnostics("certificates reloaded")


def test_renewal_is_seen_at_once_by_sighup(front: Edge, live: Live, authority: Authority) -> None:
    with KeepAlive(front, authority) as connections:
        connections.check()
        live.renew(authority.issue("second.example.org", NAME))
        front.reload()
        wait_until("the new certificate", lambda: shown(front) == "second.example.org", 2)
        connections.check()


def test_a_file_replaced_in_place(edges: Edges, origin: Origin, tmp_path: Path, authority: Authority) -> None:
    """As `cp` does it, with the same names."""
    own = Pair(tmp_path / "own.pem", tmp_path / "own.key")
    for name in ("first.example.org", "second.example.org"):
        made = authority.issue(name)
        own.chain.write_bytes(made.chain.read_bytes())
        own.key.write_bytes(made.key.read_bytes())
        if name == "first.example.org":
            edge = edges.start(origin.url, Listener(tls=True), certificates=[own])
            assert shown(edge) == name
    wait_until("the new certificate", lambda: shown(edge) == "second.example.org", LOOK)


@pytest.mark.parametrize("way", ["signal", "look"])
def test_a_bad_file_changes_nothing(front: Edge, live: Live, authority: Authority, way: str) -> None:
    good = live.pair.chain.resolve()
    broken = good.with_name("broken.pem")
    broken.write_text("-----BEGIN CERTIFICATE-----\nnot base64\n-----END CERTIFICATE-----\n")
    with KeepAlive(front, authority) as connections:
        connections.check()
        live.renew(Pair(broken, live.pair.key.resolve()))
        if way == "signal":
            front.reload()
        front.wait_for_diagnostics(str(live.pair.chain), LOOK)
        assert shown(front) == "first.example.org"
        connections.check()
    live.renew(authority.issue("third.example.org"))
    front.reload()
    wait_until("the good certificate", lambda: shown(front) == "third.example.org", 2)


def test_a_key_of_another_certificate_changes_nothing(front: Edge, live: Live, authority: Authority) -> None:
    other = authority.issue("other.example.org")
    live.renew(Pair(other.chain, live.pair.key.resolve()))
    front.reload()
    front.wait_for_diagnostics("nothing has changed")
    assert str(live.pair.key) in front.diagnostics() or str(live.pair.chain) in front.diagnostics()
    assert shown(front) == "first.example.org"


def test_other_certificates_of_another_configuration(
    front: Edge, origin: Origin, authority: Authority
) -> None:
    """SIGHUP takes up what the file says now, not the files that it named at the start."""
    second = authority.issue("second.example.org")
    text = front.file.read_text()
    front.file.write_text(text.replace("[access_log]", f"{second.toml}\n[access_log]", 1))
    front.reload()

    def named() -> str:
        return openssl.connect(front.port, name="second.example.org").subject

    wait_until("the second certificate", lambda: named() == "second.example.org", 2)
    # A file that is not there is an error, and the rest of the new file has no effect either.
    front.file.write_text(text.replace("privkey.pem", "missing.pem"))
    front.reload()
    front.wait_for_diagnostics("missing.pem")
    assert (shown(front), named()) == ("first.example.org", "second.example.org")
