"""A real Synapse on SQLite, cut off from every other server.

Its configuration is written as JSON, which is YAML too, so nothing but the
standard library is needed here.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import wire
from processes import Child, free_port, python_of

SERVER_NAME = "localhost"
PASSWORD = "correct horse battery staple"
UNLIMITED = {"per_second": 100_000, "burst_count": 100_000}
APPSERVICE_USER = "_as_x"
UPLOAD_LIMIT = "200M"
# Seconds that a token lives, of a session that can renew it.
EXPIRES_AFTER = 6


@dataclass(frozen=True)
class Appservice:
    """A bridge that only talks to the homeserver; nothing is pushed to it."""

    as_token: str
    hs_token: str

    def registration(self) -> dict[str, object]:
        """What the homeserver loads."""
        return {
            "id": "acceptance",
            "url": None,
            "as_token": self.as_token,
            "hs_token": self.hs_token,
            "sender_localpart": "_as_bot",
            "rate_limited": False,
            "namespaces": {
                "users": [{"exclusive": True, "regex": "@_as_.*:localhost"}],
                "rooms": [],
                "aliases": [],
            },
        }


class Synapse:
    """The homeserver behind the shim."""

    def __init__(self, folder: Path, bridges: Sequence[dict[str, object]] = ()) -> None:
        self.port = free_port()
        self.folder = folder
        self.appservice = Appservice(secrets.token_hex(32), secrets.token_hex(32))
        self._secret = secrets.token_hex(16)
        self.log = folder / "homeserver.log"
        self._write(bridges)
        keys = self._run("synapse-keys", "--generate-keys")
        if keys.process.wait(180) != 0:
            raise RuntimeError(f"Synapse made no keys: {keys.tail()}")
        self.start()

    def start(self) -> None:
        """Again after `stop`, on the same port and with all that it knew."""
        self.child = self._run("synapse")
        self.child.wait_for("no answer on /health", self._healthy, 180)

    def register(self, name: str, *, admin: bool = False) -> str:
        """Makes an account with the shared secret and gives its full id.

        Straight to Synapse: this is scaffolding, and no part of what is tested.
        """
        path = "/_synapse/admin/v1/register"
        nonce = wire.send_json(self.port, "GET", path).json()["nonce"]
        signed = "\0".join([nonce, name, PASSWORD, "admin" if admin else "notadmin"])
        mac = hmac.new(self._secret.encode(), signed.encode(), hashlib.sha1).hexdigest()
        account = {"nonce": nonce, "username": name, "password": PASSWORD, "admin": admin, "mac": mac}
        answer = wire.send_json(self.port, "POST", path, {**account, "inhibit_login": True})
        assert answer.status == 200, answer.body
        return f"@{name}:{SERVER_NAME}"

    def stop(self) -> None:
        """Synapse needs about a second."""
        self.child.stop()

    def _run(self, name: str, *arguments: str) -> Child:
        command = [python_of("synapse"), "-m", "synapse.app.homeserver", "-c", "homeserver.yaml", *arguments]
        environment = {"SYNAPSE_CACHE_FACTOR": os.environ.get("SYNAPSE_CACHE_FACTOR", "0.5")}
        return Child(name, command, self.folder, environment)

    def _healthy(self) -> bool:
        try:
            return wire.request(self.port, "GET", "/health", timeout=2).status == 200
        except OSError:
            return False

    def _write(self, bridges: Sequence[dict[str, object]]) -> None:
        registrations = {f"appservice-{bridge['id']}.yaml": bridge for bridge in bridges}
        registrations["appservice.yaml"] = self.appservice.registration()
        limits = {
            "rc_message": UNLIMITED,
            "rc_registration": UNLIMITED,
            "rc_login": dict.fromkeys(("address", "account", "failed_attempts"), UNLIMITED),
            "rc_joins": dict.fromkeys(("local", "remote"), UNLIMITED),
            "rc_invites": dict.fromkeys(("per_room", "per_user", "per_issuer"), UNLIMITED),
            "rc_admin_redaction": UNLIMITED,
        }
        configuration = {
            "server_name": SERVER_NAME,
            "public_baseurl": f"http://127.0.0.1:{self.port}/",
            "listeners": [self._listener()],
            "database": {"name": "sqlite3", "args": {"database": str(self.folder / "homeserver.db")}},
            "log_config": str(self.folder / "log.yaml"),
            "media_store_path": str(self.folder / "media"),
            "signing_key_path": str(self.folder / "signing.key"),
            "registration_shared_secret": self._secret,
            "macaroon_secret_key": secrets.token_hex(16),
            "form_secret": secrets.token_hex(16),
            "report_stats": False,
            "trusted_key_servers": [],
            "federation_domain_whitelist": [],
            "url_preview_enabled": False,
            "presence": {"enabled": False},
            # The ids of room version 12 have no `:domain`, which old clients insist on.
            "default_room_version": "11",
            "max_upload_size": UPLOAD_LIMIT,
            "allow_guest_access": True,
            # Only for sessions that asked for a refresh token.
            "refreshable_access_token_lifetime": f"{EXPIRES_AFTER}s",
            # The accounts live for minutes; a login need not cost half a second.
            "bcrypt_rounds": 4,
            "app_service_config_files": [str(self.folder / name) for name in registrations],
            **limits,
        }
        self._save("homeserver.yaml", configuration)
        for name, registration in registrations.items():
            self._save(name, registration)
        self._save("log.yaml", self._logging())

    def _save(self, name: str, content: object) -> None:
        (self.folder / name).write_text(json.dumps(content, indent=1))

    def _listener(self) -> dict[str, object]:
        return {
            "port": self.port,
            "type": "http",
            "bind_addresses": ["127.0.0.1"],
            "tls": False,
            "x_forwarded": True,
            "resources": [{"names": ["client", "federation"], "compress": False}],
        }

    def _logging(self) -> dict[str, object]:
        handler = {
            "class": "logging.FileHandler",
            "filename": str(self.log),
            "formatter": "line",
            "encoding": "utf8",
        }
        return {
            "version": 1,
            "formatters": {"line": {"format": "%(asctime)s %(name)s %(levelname)s %(message)s"}},
            "handlers": {"file": handler},
            "root": {"level": "INFO", "handlers": ["file"]},
            "disable_existing_loggers": False,
        }
