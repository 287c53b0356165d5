"""Real programs that write real logs of requests with made-up tokens."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import socket
import string
import threading
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import auth
import nginx
import wire
from processes import Child, SetupFailed, free_port, wait_until
from synapse import Synapse

SYNC = "/_matrix/client/v3/sync"
WHOAMI = "/_matrix/client/v3/account/whoami"
DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase

# What nginx is given, and the audit too.
CUSTOM = (
    "log_format custom '$msec|$remote_addr|$request_method|$request_uri|$status|"
    "$http_referer|$http_user_agent|$http_authorization';"
)
JSON = (
    'log_format json escape=json \'{"at":"$time_iso8601","ip":"$remote_addr","line":"$request",'
    '"answer":$status,"from":"$http_referer","with":"$http_user_agent"}\';'
)


def token(localpart: str) -> str:
    """One as Synapse makes them, with the checksum right; it tells whose it is."""
    letters = "".join(secrets.choice(string.ascii_letters) for _ in range(20))
    name = base64.b64encode(localpart.encode()).decode().rstrip("=")
    signed = f"syt_{name}_{letters}"
    rest, digits = zlib.crc32(signed.encode()), ""
    while rest:
        rest, digit = divmod(rest, 62)
        digits = DIGITS[digit] + digits
    return f"{signed}_{digits:0>6}"


@dataclass(frozen=True)
class Spelling:
    """Where a request has its token, and who makes it."""

    target: str
    agent: str = "Element X/24.07.2 (iPhone14,5; iOS 17.5.1; Scale/3.00)"
    family: str = "element-x"
    fields: dict[str, str] = field(default_factory=dict)
    place: str = "request"

    @property
    def status(self) -> int:
        """What our servers answer."""
        return 401 if WHOAMI in self.target else 200


CURL = {"agent": "curl/8.5.0", "family": "curl"}
SPELLINGS = {
    "plain": Spelling(SYNC + "?timeout=0&access_token={}"),
    "letter": Spelling(SYNC + "?%61ccess_token={}&a=1"),
    "underscore": Spelling(WHOAMI + "?access%5Ftoken={}", **CURL),
    "semicolon": Spelling(WHOAMI + "?a=1;access_token={}"),
    "case": Spelling(SYNC + "?Access_Token={}"),
    "nested": Spelling("/login?next=%2Fp%3Faccess_token%3D{}%26b%3D1", **CURL),
    "twice": Spelling("/login?next=%252Fp%253Faccess_token%253D{}"),
    "shape": Spelling(SYNC + "?since={}"),
    "quote": Spelling(SYNC + '?a="b"&access_token={}'),
    "referer": Spelling(
        SYNC, fields={"Referer": "https://app.example/?access_token={}&b=1"}, place="referer"
    ),
}


@dataclass
class Written:
    """One log, and what must be found in it."""

    name: str
    file: Path
    format: str
    # By spelling.
    tokens: dict[str, str]
    statuses: dict[str, int]


def ask(port: int, name: str, hidden: frozenset[str]) -> tuple[dict[str, str], dict[str, int]]:
    """Each spelling once; `hidden` are those that this program does not log."""
    tokens, statuses = {}, {}
    for place, (spelling, request) in enumerate(SPELLINGS.items()):
        if spelling in hidden:
            continue
        secret = token(f"{name}-{place}")
        fields = {key: value.format(secret) for key, value in request.fields.items()}
        target = request.target.format(secret)
        answer = wire.request(port, "GET", target, fields={"User-Agent": request.agent, **fields})
        tokens[spelling], statuses[spelling] = secret, answer.status
    return tokens, statuses


def wait_for_lines(file: Path, tokens: dict[str, str]) -> None:
    """Until the log has them all."""

    def are_there() -> bool:
        text = file.read_text("utf-8", "replace") if file.exists() else ""
        return all(secret in text for secret in tokens.values())

    wait_until(f"{len(tokens)} tokens in {file.name}", are_there, 20)


def of_nginx(folder: Path) -> list[Written]:
    """Four logs of one process: combined, custom, JSON, and the errors of a dead upstream."""
    folder.mkdir()
    port, broken, dead = free_port(), free_port(), free_port()
    (folder / "matrix.conf").write_text(f"""
        {CUSTOM}
        {JSON}
        server {{
            listen 127.0.0.1:{port};
            access_log {folder}/combined.log;
            access_log {folder}/custom.log custom;
            access_log {folder}/json.log json;
            location = {WHOAMI} {{ return 401; }}
            location / {{ return 200; }}
        }}
        server {{
            listen 127.0.0.1:{broken};
            access_log off;
            error_log {folder}/errors.log;
            location / {{ proxy_pass http://127.0.0.1:{dead}; }}
        }}
    """)
    child = Child("nginx", nginx.command(folder), folder)
    child.wait_for_port(port, 10)
    tokens, statuses = ask(port, "nginx", frozenset())
    failed, _ = ask(broken, "errors", frozenset())
    for name in ("combined", "custom", "json"):
        wait_for_lines(folder / f"{name}.log", tokens)
    wait_for_lines(folder / "errors.log", failed)
    child.stop()
    formats = {"combined": "combined", "custom": "custom", "json": "custom"}
    written = [
        Written(name, folder / f"{name}.log", format, tokens, statuses) for name, format in formats.items()
    ]
    return [*written, Written("errors", folder / "errors.log", "nginx-error", failed, {})]


def of_caddy(folder: Path) -> list[Written]:
    """Its JSON."""
    folder.mkdir()
    port, log = free_port(), folder / "access.log"
    file = folder / "Caddyfile"
    file.write_text(f"""{{
	admin off
	auto_https off
}}
http://:{port} {{
	bind 127.0.0.1
	log {{
		output file {log}
	}}
	respond {WHOAMI} 401
	respond 200
}}
""")
    command: list[str | Path] = [auth.program("caddy"), "run", "--config", file, "--adapter", "caddyfile"]
    environment = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    child = Child("caddy", command, folder, environment)
    child.wait_for_port(port, 30)
    tokens, statuses = ask(port, "caddy", frozenset())
    wait_for_lines(log, tokens)
    child.stop()
    return [Written("caddy", log, "caddy", tokens, statuses)]


class Syslog:
    """Appends each datagram to a file, as a syslog daemon that keeps lines as they come."""

    def __init__(self, file: Path) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = int(self.socket.getsockname()[1])
        self._file = file
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """An empty datagram ends it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(10)
        self.socket.close()

    def _run(self) -> None:
        with self._file.open("ab", buffering=0) as log:
            while datagram := self.socket.recv(65_536):
                log.write(datagram.rstrip(b"\n") + b"\n")


def of_haproxy(folder: Path) -> list[Written]:
    """`option httplog`, by syslog, with two fields captured."""
    folder.mkdir()
    program = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        raise SetupFailed("haproxy is missing: run tests/run, which installs it")
    log = folder / "haproxy.log"
    syslog, port = Syslog(log), free_port()
    file = folder / "haproxy.cfg"
    file.write_text(f"""\
global
    log 127.0.0.1:{syslog.port} len 8192 local0
defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend matrix
    bind 127.0.0.1:{port}
    capture request header User-Agent len 200
    capture request header Referer len 500
    http-request return status 401 if {{ path {WHOAMI} }}
    http-request return status 200
""")
    child = Child("haproxy", [program, "-db", "-f", file], folder)
    child.wait_for_port(port, 10)
    # HAProxy refuses a raw quote in a target.
    tokens, statuses = ask(port, "haproxy", frozenset({"quote"}))
    wait_for_lines(log, tokens)
    child.stop()
    syslog.stop()
    return [Written("haproxy", log, "haproxy", tokens, statuses)]


def of_envoy(folder: Path) -> list[Written]:
    """Its default format, which has no Referer; written when it stops."""
    folder.mkdir()
    port, log = free_port(), folder / "envoy.log"
    kinds = "type.googleapis.com/envoy.extensions"
    (folder / "envoy.yaml").write_text(f"""
static_resources:
  listeners:
    - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": {kinds}.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: matrix
                use_remote_address: true
                access_log:
                  - name: envoy.access_loggers.file
                    typed_config:
                      "@type": {kinds}.access_loggers.file.v3.FileAccessLog
                      path: {log}
                route_config:
                  virtual_hosts:
                    - name: matrix
                      domains: ["*"]
                      routes:
                        - match: {{ path: {WHOAMI} }}
                          direct_response: {{ status: 401 }}
                        - match: {{ prefix: "/" }}
                          direct_response: {{ status: 200 }}
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": {kinds}.filters.http.router.v3.Router
""")
    command: list[str | Path] = [auth.program("envoy"), "-c", folder / "envoy.yaml", "--concurrency", "1"]
    child = Child("envoy", [*command, "--disable-hot-restart", "--log-level", "warn"], folder)
    child.wait_for_port(port, 30)
    tokens, statuses = ask(port, "envoy", frozenset({"referer", "quote"}))
    child.stop()
    wait_for_lines(log, tokens)
    return [Written("envoy", log, "envoy", tokens, statuses)]


def of_synapse(folder: Path) -> list[Written]:
    """It masks the common spellings, knows none of the tokens, and logs no Referer."""
    folder.mkdir()
    synapse = Synapse(folder)
    hidden = {"plain", "underscore", "semicolon", "quote", "referer"}
    tokens, statuses = ask(synapse.port, "synapse", frozenset(hidden))
    wait_for_lines(synapse.log, tokens)
    synapse.stop()
    return [Written("synapse", synapse.log, "synapse", tokens, statuses)]


WRITERS = {
    "nginx": of_nginx,
    "caddy": of_caddy,
    "haproxy": of_haproxy,
    "envoy": of_envoy,
    "synapse": of_synapse,
}
