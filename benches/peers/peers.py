"""The proxies that are compared: how each is configured, started and asked for its version.

Each has the fastest configuration we know that does the job: the token goes from the query
to `Authorization`, and the access log is on and holds no token.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from settings import HERE, TOKENSHIM, TOOLS, program

UPSTREAM = 28900
ADMIN = 28998

# What tokenshim answers to a request without a token, field by field.
REFUSAL = '{"errcode":"M_MISSING_TOKEN","error":"Missing access token"}'
REFUSAL_FIELDS = {
    "WWW-Authenticate": 'Bearer realm="matrix"',
    "Cache-Control": "no-store",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "X-Requested-With, Content-Type, Authorization",
}


@dataclass(frozen=True)
class Features:
    """What a scenario wants of every peer."""

    workers: int = 1
    tls: bool = False
    http2: bool = False
    # Every request is answered with a 401 by the proxy itself. (tokenshim needs no
    # setting for that: the scenarios send a request that has to bring a token.)
    refuse: bool = False
    # Bodies are large: buffers of 256 KiB, where they can be set. For small requests they
    # would cost memory; here they halve what nginx needs.
    large_bodies: bool = False
    # Client connections that it has to hold at once.
    connections: int = 1024


@dataclass(frozen=True)
class Peer:
    """One proxy."""

    title: str
    port: int
    argv: Callable[[Path, Features], list[str]]
    version: Callable[[], list[str]]
    config: str | None = None
    # The access log, in the peer's folder.
    log: str | None = None
    values: Callable[[Features], dict[str, str]] = lambda _: {}

    def configure(self, folder: Path, features: Features) -> Path:
        """Writes the configuration with its ports and numbers into `folder`."""
        path = folder / (self.config or "none")
        if self.config:
            common = {
                "PORT": self.port,
                "UPSTREAM": UPSTREAM,
                "ADMIN": ADMIN,
                "WORKERS": features.workers,
                "CONNECTIONS": features.connections + 100,
                # Two for each; and nginx closes idle ones when a sixteenth is all it has left.
                "SOCKETS": features.connections * 5 // 2,
                "SCHEME": "https" if features.tls else "http",
            }
            text = (HERE / "config" / self.config).read_text()
            for key, value in {**common, **self.values(features)}.items():
                text = text.replace(f"@{key}@", str(value))
            path.write_text(text)
        return path

    def version_line(self) -> str:
        """Name and version, as the tables show them."""
        argv = self.version()
        if not argv:
            return self.title
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        words = (done.stdout + done.stderr).replace("/", " ").split()
        found = next((word for word in words if word.lstrip("v")[:1].isdigit() and "." in word), "?")
        return f"{self.title} {found.lstrip('v').split('-')[0]}"


def nginx_values(features: Features) -> dict[str, str]:
    tls = "ssl_certificate cert.pem; ssl_certificate_key key.pem; ssl_protocols TLSv1.2 TLSv1.3;"
    buffers = "proxy_buffers 4 256k; proxy_buffer_size 256k; proxy_busy_buffers_size 512k; client_body_buffer_size 256k;"
    fields = " ".join(f"add_header {name} '{value}' always;" for name, value in REFUSAL_FIELDS.items())
    return {
        "LISTEN": (" ssl" if features.tls else "") + (" http2" if features.http2 else ""),
        "BUFFERS": buffers if features.large_bodies else "",
        "TLS": tls if features.tls else "",
        "ANSWER": f"default_type application/json; {fields} return 401 '{REFUSAL}';" if features.refuse else "",
    }


def haproxy_values(features: Features) -> dict[str, str]:
    fields = " ".join(f"hdr {name} '{value}'" for name, value in REFUSAL_FIELDS.items())
    answer = f"http-request return status 401 content-type application/json {fields} string '{REFUSAL}'"
    return {
        "LISTEN": (" ssl crt both.pem" if features.tls else "") + (" alpn h2" if features.http2 else ""),
        "BUFFERS": f"tune.bufsize {256 * 1024}" if features.large_bodies else "",
        "ANSWER": answer if features.refuse else "",
    }


def tokenshim_values(features: Features) -> dict[str, str]:
    certificate = '\n[[certificate]]\nchain = "cert.pem"\nkey = "key.pem"' if features.tls else ""
    return {"LISTEN": ("tls = true\n" if features.tls else "") + certificate}


def nginx_argv(config: Path, _: Features) -> list[str]:
    return [program("nginx"), "-p", str(config.parent), "-c", str(config), "-g", "daemon off;"]


def envoy_argv(config: Path, features: Features) -> list[str]:
    threads = ["--concurrency", str(features.workers)]
    # An id of its own, for its shared memory.
    return [program("envoy"), "-l", "off", *threads, "--base-id", "77", "-c", str(config)]


PEERS = {
    "nginx": Peer(
        "nginx", 28901, nginx_argv, lambda: [program("nginx"), "-v"], "nginx.conf", "nginx.log", nginx_values
    ),
    "haproxy": Peer(
        "HAProxy",
        28902,
        lambda config, _: [program("haproxy"), "-db", "-f", str(config)],
        lambda: [program("haproxy"), "-v"],
        "haproxy.cfg",
        "haproxy.out",
        haproxy_values,
    ),
    "envoy": Peer("Envoy", 28903, envoy_argv, lambda: [program("envoy"), "--version"], "envoy.yaml", "envoy.log"),
    "caddy": Peer(
        "Caddy",
        28904,
        lambda config, _: [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(config)],
        lambda: [program("caddy"), "version"],
        "Caddyfile",
        "caddy.log",
    ),
    "relay": Peer(
        "epoll relay",
        28905,
        lambda _config, _features: [str(TOOLS / "epoll_relay"), f"127.0.0.1:{28905}", f"127.0.0.1:{UPSTREAM}"],
        lambda: [],
    ),
    "tokenshim": Peer(
        "tokenshim",
        28906,
        lambda config, _: [str(TOKENSHIM), "serve", "--config", str(config)],
        lambda: [str(TOKENSHIM), "--version"],
        "tokenshim.toml",
        "tokenshim.log",
        tokenshim_values,
    ),
}
