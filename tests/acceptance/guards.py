"""tokenshim that knows tokens: a configuration for each test, and the judge looks at all of it."""

from __future__ import annotations

import secrets
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import wire
from processes import free_port
from shim import Shim
from synapse import PASSWORD

if TYPE_CHECKING:
    from conftest import Chain

API = "/_matrix/client/v3"
WHOAMI = f"{API}/account/whoami"
# What answers are told apart by: see `errcode`.
MISSING = (401, "M_MISSING_TOKEN")
UNKNOWN = (401, "M_UNKNOWN_TOKEN")
LOCKED = (401, "M_USER_LOCKED")
FORBIDDEN = (403, "M_FORBIDDEN")
NO_ANSWER = (503, "M_UNKNOWN")
WAIT = (429, "M_LIMIT_EXCEEDED")
IDENTITY = (b"x-matrix-user", b"x-matrix-device", b"x-token-scope", b"x-token-label")
# The host under which a test's tool is served, beside the homeserver under any other.
TOOL = "tool.localhost"
CONFIGURATION = """\
upstream = "http://127.0.0.1:{upstream}"
workers = {workers}
drain_timeout = "5s"

[verify]
{verify}

[[listen]]
address = "127.0.0.1:{port}"

[[listen]]
address = "127.0.0.1:{port_h2}"
http2 = true

[admin]
listen = "127.0.0.1:{admin}"

{routes}
[access_log]
format = "json"
file = "{access_log}"

[log]
level = "trace"
format = "text"
"""


def tool_route(upstream: int, *, host: str = TOOL, verify: str, more: str = "") -> str:
    """A tool that knows no users, beside the homeserver."""
    return f"""\
[[route]]
host = "{host}"
upstream = "http://127.0.0.1:{upstream}"
profile = "generic"
verify = "{verify}"
{more}
"""


class Guard(Shim):
    """One running `tokenshim serve`, at the most talkative level, with its metrics."""

    def __init__(
        self, folder: Path, *, upstream: int, verify: str, routes: str = "", workers: int = 1
    ) -> None:
        port, self.port_h2, self.admin = free_port(), free_port(), free_port()
        access_log = folder / f"guard-{port}.json"
        self.file = folder / f"guard-{port}.toml"
        self.scraped = folder / f"guard-{port}.metrics"
        self.file.write_text(
            CONFIGURATION.format(
                upstream=upstream,
                workers=workers,
                verify=verify,
                port=port,
                port_h2=self.port_h2,
                admin=self.admin,
                routes=routes,
                access_log=access_log,
            )
        )
        super().__init__(folder, port, ["--config", str(self.file)], access_log)

    def ask(
        self,
        token: str | None,
        target: str = "/",
        *,
        host: str = TOOL,
        method: str = "GET",
        fields: dict[str, str] | None = None,
        timeout: float = 60.0,
    ) -> wire.Answer:
        """A request to the tool, with the token in the header."""
        given = {"Host": host, **({"Authorization": f"Bearer {token}"} if token else {}), **(fields or {})}
        return wire.request(self.port, method, target, fields=given, timeout=timeout)

    def call(self, token: str | None, method: str, path: str, content: object = None) -> wire.Answer:
        """A request to the homeserver, below the client API unless the path says otherwise."""
        target = path if path.startswith("/_") else f"{API}{path}"
        return wire.send_json(self.port, method, target, content, token=token)

    def whoami(self, token: str) -> wire.Answer:
        """The cheapest request that needs a token."""
        return self.call(token, "GET", WHOAMI)

    def ask_h2(
        self,
        token: str,
        target: str,
        *,
        host: str = "localhost",
        method: str = "GET",
        fields: Sequence[str] = (),
    ) -> tuple[int, str]:
        """The status and the body of an answer in HTTP/2."""
        command = ["curl", "-sS", "--http2-prior-knowledge", "-X", method, "-w", "\n%{http_code}"]
        for line in (f"Host: {host}", f"Authorization: Bearer {token}", *fields):
            command += ["-H", line]
        command.append(f"http://127.0.0.1:{self.port_h2}{target}")
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        body, _, status = said.rpartition("\n")
        return int(status), body

    def reload(self) -> None:
        """SIGHUP, as `systemctl reload` sends it."""
        self.child.process.send_signal(signal.SIGHUP)

    def scrape(self) -> str:
        """The metrics, kept for the judge."""
        answer = wire.request(self.admin, "GET", "/metrics")
        assert answer.status == 200
        with self.scraped.open("ab") as kept:
            kept.write(answer.body)
        return answer.body.decode()

    def outputs(self) -> list[Path]:
        """Everything it writes, and what it says of itself."""
        return [*super().outputs(), self.scraped]

    def stop(self) -> None:
        """An orderly end, with a last look at the metrics."""
        if self.child.process.poll() is None:
            self.scrape()
        assert self.child.stop() == 0


def by_synapse(chain: Chain, more: str = "") -> str:
    """`[verify]` that asks Synapse, by way of the recorder."""
    return f'homeserver = "http://127.0.0.1:{chain.recorder.port}"\nbad_tokens = 0\n{more}'


def account(chain: Chain, *, admin: bool = False) -> str:
    """The name of a fresh one."""
    name = f"user{secrets.token_hex(4)}"
    chain.synapse.register(name, admin=admin)
    return name


def questions(chain: Chain, mark: int) -> int:
    """How often Synapse has been asked since `mark` whose a token is."""
    return sum(request.target == WHOAMI.encode() for request in chain.recorder.since(mark))


@dataclass(frozen=True)
class Session:
    """What a login gives."""

    user: str
    device: str
    token: str
    refresh: str | None = None


@dataclass
class Guards:
    """Starts them, and hands what they wrote to the judge of the chain."""

    chain: Chain
    started: list[Guard] = field(default_factory=list)

    def start(
        self, verify: str = "", *, upstream: int | None = None, routes: str = "", workers: int = 1
    ) -> Guard:
        """One more, in front of the homeserver unless told otherwise."""
        guard = Guard(
            self.chain.folder,
            upstream=upstream or self.chain.recorder.port,
            verify=verify,
            routes=routes,
            workers=workers,
        )
        self.started.append(guard)
        self.chain.shims.append(guard)
        return guard

    def login(self, guard: Guard, name: str, *, refreshable: bool = False) -> Session:
        """One more session of an account, begun through the shim."""
        content = {
            "type": "m.login.password",
            "user": name,
            "password": PASSWORD,
            "refresh_token": refreshable,
        }
        answer = guard.call(None, "POST", "/login", content)
        assert answer.status == 200, answer.body
        return self.session(answer)

    def session(self, answer: wire.Answer) -> Session:
        """From the answer to a login or a registration."""
        said = answer.json()
        refresh = said.get("refresh_token")
        if refresh:
            self.chain.refresh_token(refresh)
        return Session(said["user_id"], said["device_id"], self.chain.secret(said["access_token"]), refresh)

    def guest(self, guard: Guard) -> Session:
        """An account that asked for nothing."""
        answer = guard.call(None, "POST", "/register?kind=guest", {})
        assert answer.status == 200, answer.body
        return self.session(answer)

    def stop(self) -> None:
        """All of them; the judge comes afterwards."""
        for guard in self.started:
            guard.stop()


def password_of(user: str) -> dict[str, object]:
    """What user-interactive authentication wants of him."""
    return {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user},
        "password": PASSWORD,
    }


def errcode(answer: wire.Answer) -> tuple[int, str | None]:
    """Status and errcode, by which most answers are told apart."""
    try:
        said = answer.json()
    except AssertionError:
        return answer.status, None
    return answer.status, said.get("errcode") if isinstance(said, dict) else None
