"""A real OAuth server, which gives tokens to machines and says what they are worth."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote_plus, urlencode

import wire
from processes import INSTALLED, Child, free_port, installed

PROGRAM = Path(__file__).parent / "clients" / "oauth_server.js"
# Who we are there.
CLIENT_ID = "shim:one"


@dataclass(frozen=True)
class Account:
    """A machine that may have tokens."""

    scope: str = ""
    # Seconds that a token lives.
    ttl: int = 600
    # What the server says of each of its tokens, beside the standard's.
    claims: Mapping[str, str] = field(default_factory=dict)
    # With all that makes trouble in Basic authentication.
    secret: str = field(default_factory=lambda: f"FAKE %:+&= {secrets.token_hex(12)}")


class OAuthServer:
    """oidc-provider from npm; its store is its memory."""

    def __init__(self, folder: Path, accounts: Mapping[str, Account]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.accounts = {CLIENT_ID: Account(), **accounts}
        self.folder = folder
        self.start()

    def start(self) -> None:
        """Also after `stop`: on the same port, with no token left."""
        installed("npm", "node_modules", "oidc-provider")
        told = {name: vars(account) for name, account in self.accounts.items()}
        environment = {"NODE_PATH": str(INSTALLED / "npm" / "node_modules")}
        command: list[str | Path] = ["node", PROGRAM, str(self.port), json.dumps(told)]
        self.child = Child("oauth", command, self.folder, environment)
        self.child.wait_for_port(self.port, 60)

    @property
    def endpoint(self) -> str:
        """For `introspection_endpoint`."""
        return f"http://127.0.0.1:{self.port}/token/introspection"

    @property
    def secret(self) -> str:
        """For `client_secret_file`."""
        return self.accounts[CLIENT_ID].secret

    def token(self, name: str, scope: str = "") -> str:
        """A new one, by the grant for machines."""
        form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
        answer = self._post(name, "/token", form)
        assert answer.status == 200, answer.body
        return str(answer.json()["access_token"])

    def revoke(self, name: str, token: str) -> None:
        """As its owner may (RFC 7009)."""
        assert self._post(name, "/token/revocation", {"token": token}).status == 200

    def asked(self) -> int:
        """How often somebody wanted to know what a token is worth."""
        return int(wire.request(self.port, "GET", "/asked").json()["asked"])

    def stop(self) -> None:
        """It forgets all."""
        self.child.stop()

    def _post(self, name: str, path: str, form: Mapping[str, str]) -> wire.Answer:
        pair = f"{quote_plus(name)}:{quote_plus(self.accounts[name].secret)}"
        fields = {
            "Authorization": "Basic " + base64.b64encode(pair.encode()).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return wire.request(self.port, "POST", path, body=urlencode(form).encode(), fields=fields)
