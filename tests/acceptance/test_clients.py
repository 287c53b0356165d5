"""Old and current clients as they were released, through the shim, against a real homeserver."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import wire
from conftest import Chain
from nginx import Nginx
from processes import INSTALLED, installed, python_of
from synapse import PASSWORD

CLIENTS = Path(__file__).parent / "clients"


@dataclass(frozen=True)
class Client:
    """How to run one release."""

    driver: str
    environment: str
    token_in: str

    def command(self) -> list[str]:
        """The interpreter and the driver."""
        driver = str(CLIENTS / self.driver)
        if self.environment == "npm":
            installed("npm", "node_modules", "matrix-js-sdk")
            return ["node", driver]
        return [str(python_of(self.environment)), driver]


RELEASES = {
    "matrix-client 0.3.2": Client("matrix_client_api.py", "matrix-client-0.3", "query"),
    "matrix-client 0.4.0": Client("matrix_client_api.py", "matrix-client-0.4", "header"),
    "matrix-nio 0.24.0 AsyncClient": Client("nio_async.py", "nio-0.24", "query"),
    "matrix-nio 0.26.0 HttpClient": Client("nio_http.py", "nio-0.26", "query"),
    "matrix-js-sdk 2.4.6": Client("js_sdk.js", "npm", "query"),
}


def run(command: list[str], extra: dict[str, str] | None = None) -> str:
    """What the program says on stdout; its stderr is part of a failure."""
    environment = {**os.environ, "NODE_PATH": str(INSTALLED / "npm" / "node_modules"), **(extra or {})}
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, env=environment, check=False)
    assert done.returncode == 0, f"{command[:2]} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("release", RELEASES)
def test_client_works(chain: Chain, release: str) -> None:
    client = RELEASES[release]
    name = f"old{secrets.token_hex(4)}"
    user_id = chain.synapse.register(name)
    text = f"grüße {secrets.token_hex(4)} & so on"
    seen, logged = chain.recorder.mark(), chain.shim.mark()

    result = drive(chain, client, name, text)

    assert result["user"] == user_id
    assert result["room"].startswith("!")
    assert text in result["synced"]
    assert text in result["read"]
    requests = chain.recorder.since(seen)
    lines = chain.shim.lines_after(logged, len(requests))
    # First of all: it is the old client that it is said to be.
    sources = [line["token_source"] for line in lines]
    assert sources.count(client.token_in) >= 5, sources
    if client.token_in == "header":
        assert "query" not in sources, sources
    # What followed the login arrived with the token in the header.
    bearer = b"Bearer " + result["token"].encode()
    assert [request.values(b"authorization") for request in requests].count([bearer]) >= 5


def drive(chain: Chain, client: Client, name: str, text: str) -> dict[str, Any]:
    """Runs a client's whole visit and tells the judge of its token."""
    url = f"http://127.0.0.1:{chain.shim.port}"
    output = run([*client.command(), url, name, PASSWORD, text])
    # The JavaScript SDK talks on stdout as well; the answer is the last line.
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    chain.secret(result["token"])
    return result


def test_login_with_bearer_none_is_left_alone(chain: Chain) -> None:
    """matrix-client 0.4.0 has no token yet and says so in the header."""
    name = f"old{secrets.token_hex(4)}"
    chain.synapse.register(name)
    seen = chain.recorder.mark()
    drive(chain, RELEASES["matrix-client 0.4.0"], name, "hello")
    login = next(r for r in chain.recorder.since(seen) if r.target.endswith(b"/login"))
    assert login.values(b"authorization") == [b"Bearer None"]


def test_login_with_an_empty_token_is_cleaned(chain: Chain) -> None:
    """matrix-js-sdk 2.4.6 sends `POST /login?access_token=`."""
    name = f"old{secrets.token_hex(4)}"
    chain.synapse.register(name)
    seen = chain.recorder.mark()
    drive(chain, RELEASES["matrix-js-sdk 2.4.6"], name, "hello")
    login = next(r for r in chain.recorder.since(seen) if b"/login" in r.target)
    assert login.target.endswith(b"/login")
    assert login.values(b"authorization") == []


def test_js_sdk_upload_keeps_its_filename(chain: Chain, alice: str) -> None:
    name = f"old{secrets.token_hex(4)}"
    chain.synapse.register(name)
    seen = chain.recorder.mark()
    result = drive(chain, RELEASES["matrix-js-sdk 2.4.6"], name, "the content")
    upload = next(r for r in chain.recorder.since(seen) if b"/upload" in r.target)
    assert upload.target.endswith(b"?filename=n%C3%A4me%20%26%20more.txt"), upload.target
    media = result["media"].removeprefix("mxc://")
    path = f"/_matrix/client/v1/media/download/{media}"
    answer = wire.request(chain.shim.port, "GET", wire.with_token(path, alice))
    assert (answer.status, answer.body) == (200, b"the content")


def test_curl_as_in_the_old_documentation(chain: Chain) -> None:
    """Log in and ask who one is, with the query token that every old tutorial shows."""
    name = f"old{secrets.token_hex(4)}"
    user_id = chain.synapse.register(name)
    base = f"http://127.0.0.1:{chain.shim.port}/_matrix/client"
    for version in ("r0", "v3"):
        content = json.dumps({"type": "m.login.password", "user": name, "password": PASSWORD})
        login = run(["curl", "-sS", "-XPOST", "-d", content, f"{base}/{version}/login"])
        token = chain.secret(json.loads(login)["access_token"])
        seen = chain.recorder.mark()
        answer = run(["curl", "-sS", f"{base}/{version}/account/whoami?access_token={token}"])
        assert json.loads(answer)["user_id"] == user_id
        (request,) = chain.recorder.since(seen)
        assert request.line == f"GET /_matrix/client/{version}/account/whoami HTTP/1.1".encode()
        assert request.values(b"authorization") == [f"Bearer {token}".encode()]


def test_synadm_lists_users(chain: Chain, alice: str, tmp_path: Path) -> None:
    settings = {
        "user": "alice",
        "token": alice,
        "base_url": f"http://127.0.0.1:{chain.shim.port}",
        "admin_path": "/_synapse/admin",
        "matrix_path": "/_matrix",
        "format": "json",
        "timeout": 30,
        "homeserver": "localhost",
        "ssl_verify": False,
        "server_discovery": "well-known",
    }
    file = tmp_path / "synadm.yaml"
    file.write_text(json.dumps(settings))
    logged = chain.shim.mark()
    program = str(installed("venv-synadm", "bin", "synadm"))
    users = json.loads(run([program, "-c", str(file), "-o", "json", "user", "list"]))
    assert "@alice:localhost" in [user["name"] for user in users["users"]]
    (line,) = chain.shim.lines_after(logged, 1)
    assert line["token_source"] == "header"


def test_matrixctl_lists_users_through_nginx(chain: Chain, nginx: Nginx, alice: str, tmp_path: Path) -> None:
    """It speaks nothing but https, and HTTP/2 where it can: the whole chain at once."""
    api = {
        "domain": f"localhost:{nginx.port}",
        "auth_type": "token",
        "auth_token": {"username": "alice", "token": alice},
        "concurrent_limit": 4,
    }
    # Its -c option takes a path apart into letters, so the folder is named instead.
    file = tmp_path / "matrixctl" / "config.yaml"
    file.parent.mkdir()
    file.write_text(json.dumps({"servers": {"default": {"api": api}}}))
    logged = chain.shim.mark()
    command = [str(python_of("matrixctl")), str(CLIENTS / "matrixctl_loopback.py")]
    places = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    output = run([*command, "user", "users"], {"SSL_CERT_FILE": str(nginx.certificate), **places})
    assert "alice" in output, output
    lines = chain.shim.lines_after(logged, 1)
    assert {line["token_source"] for line in lines} == {"header"}
