"""A homeserver of the next kind: specification v1.20 has no query tokens any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import judge
import wire
from shim import Shim

TOKEN = "syt_c3RyaWN0_FAKEcanarySECRETtoke_1aB2cD"
MISSING = b'{"errcode":"M_MISSING_TOKEN","error":"Missing access token"}'


class Strict(BaseHTTPRequestHandler):
    """401 for a token in the query, 200 for the one in the header."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Looks at the header only."""
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        good = known and not judge.names_token(self.path.encode())
        body = b'{"user_id":"@strict:localhost"}' if good else MISSING
        self.send_response(200 if good else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


@pytest.fixture
def strict() -> Iterator[int]:
    """Its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Strict)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_old_client_meets_a_strict_homeserver(strict: int, tmp_path: Path) -> None:
    target = wire.with_token("/_matrix/client/v3/account/whoami", TOKEN)
    assert wire.request(strict, "GET", target).status == 401
    shim = Shim.with_file(tmp_path, strict)
    try:
        answer = wire.request(shim.port, "GET", target)
        assert (answer.status, answer.json()["user_id"]) == (200, "@strict:localhost")
        assert shim.lines_after(0, 1)[0]["token_source"] == "query"
    finally:
        shim.child.stop()
    for file in shim.outputs():
        assert judge.findings(file.read_bytes(), {TOKEN}) == [], file.name
