"""Each way in which a session of a real homeserver ends."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

import wire
from guards import Guard, Session, password_of
from synapse import PASSWORD


@dataclass(frozen=True)
class Scene:
    """An account with two sessions, and an administrator."""

    guard: Guard
    victim: Session
    # Another session of the same account.
    other: Session
    admin: str

    def as_admin(self, method: str, path: str, content: object = None) -> wire.Answer:
        """By the admin API."""
        return self.guard.call(self.admin, method, f"/_synapse/admin/{path}", content)

    def interactive(self, token: str, method: str, path: str, content: dict[str, object]) -> wire.Answer:
        """Asked for a password first, which is a 401 that ends nothing."""
        asked = self.guard.call(token, method, path, content)
        assert asked.status == 401 and "flows" in asked.json(), asked.body
        auth = {**password_of(self.victim.user), "session": asked.json()["session"]}
        return self.guard.call(token, method, path, {**content, "auth": auth})

    @property
    def escaped_user(self) -> str:
        """For a path."""
        return wire.escaped(self.victim.user)


def new_password() -> str:
    """Not the one that a test may still log in with."""
    return f"FAKE {secrets.token_hex(8)}"


# What it proves: the call that ends the session of `victim`.
ENDINGS: dict[str, Callable[[Scene], wire.Answer]] = {
    "logout": lambda it: it.guard.call(it.victim.token, "POST", "/logout", {}),
    "logout of an old client": lambda it: wire.send_json(
        it.guard.port, "POST", wire.with_token("/_matrix/client/r0/logout", it.victim.token), {}
    ),
    "logout/all from another device": lambda it: it.guard.call(it.other.token, "POST", "/logout/all", {}),
    "own device deleted by another": lambda it: it.interactive(
        it.other.token, "DELETE", f"/devices/{it.victim.device}", {}
    ),
    "several devices deleted": lambda it: it.interactive(
        it.other.token, "POST", "/delete_devices", {"devices": [it.victim.device]}
    ),
    "password changed from another device": lambda it: it.interactive(
        it.other.token, "POST", "/account/password", {"new_password": PASSWORD, "logout_devices": True}
    ),
    "account deactivated from another device": lambda it: it.interactive(
        it.other.token, "POST", "/account/deactivate", {}
    ),
    "deactivated by an administrator": lambda it: it.as_admin(
        "POST", f"v1/deactivate/{it.escaped_user}", {"erase": False}
    ),
    "deactivated as an account's property": lambda it: it.as_admin(
        "PUT", f"v2/users/{it.escaped_user}", {"deactivated": True}
    ),
    "password reset by an administrator": lambda it: it.as_admin(
        "POST", f"v1/reset_password/{it.escaped_user}", {"new_password": new_password()}
    ),
    "password set as an account's property": lambda it: it.as_admin(
        "PUT", f"v2/users/{it.escaped_user}", {"password": new_password(), "logout_devices": True}
    ),
    "device deleted by an administrator": lambda it: it.as_admin(
        "DELETE", f"v2/users/{it.escaped_user}/devices/{it.victim.device}"
    ),
    "devices deleted by an administrator": lambda it: it.as_admin(
        "POST", f"v2/users/{it.escaped_user}/delete_devices", {"devices": [it.victim.device]}
    ),
}
