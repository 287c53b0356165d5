"""Programs of a chain with a log configuration of the test's own, and everything that they write."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import auth
from processes import Child, SetupFailed, free_port


@dataclass
class Hop:
    """One running program. `access_logs` have to show requests, `error_logs` need not."""

    port: int
    child: Child
    access_logs: list[Path]
    error_logs: list[Path] = field(default_factory=list)

    def content(self) -> bytes:
        """All it has written."""
        files = {*self.access_logs, *self.error_logs, self.child.stdout, self.child.stderr}
        return b"".join(file.read_bytes() for file in sorted(files) if file.exists())

    def arguments(self) -> list[str | Path]:
        """How `tokenshim probe` is told of its logs."""
        named: list[str | Path] = []
        for flag, files in (("--log", self.access_logs), ("--error-log", self.error_logs)):
            for file in files:
                named += [flag, file]
        return named

    def stop(self) -> None:
        """Open connections are not waited for."""
        self.child.stop()


Start = Callable[[Path, int, str], Hop]


def located(name: str) -> str:
    """A program of the system."""
    program = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        raise SetupFailed(f"{name} is missing: run tests/run, which installs it")
    return program


def ready(hop: Hop) -> Hop:
    """Takes connections."""
    hop.child.wait_for_port(hop.port, 30)
    return hop


NGINX = """\
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/main-error.log crit;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{logging}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://127.0.0.1:{upstream}; }}
    }}
}}
"""


def nginx(folder: Path, upstream: int, logging: str) -> Hop:
    """`logging` stands in the http block."""
    port = free_port()
    user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
    logging = logging.replace("/var/log/nginx/", f"{folder}/")
    main = folder / "nginx.conf"
    main.write_text(NGINX.format(folder=folder, port=port, upstream=upstream, user=user, logging=logging))
    child = Child("nginx", [located("nginx"), "-p", folder, "-c", main, "-e", folder / "start.log"], folder)
    return ready(Hop(port, child, [folder / "access.log"], [folder / "error.log", folder / "main-error.log"]))


APACHE = """\
ServerRoot "{folder}"
ServerName localhost
PidFile "{folder}/apache.pid"
DefaultRuntimeDir "{folder}"
Mutex posixsem default
Listen 127.0.0.1:{port}
{modules}
{user}
ErrorLog "{folder}/error.log"
AllowEncodedSlashes NoDecode
{logging}
ProxyPass "/" "http://127.0.0.1:{upstream}/" nocanon
"""


def apache(folder: Path, upstream: int, logging: str) -> Hop:
    """`logging` stands in the main configuration."""
    port = free_port()
    modules = "".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
        for name in ("mpm_event", "authz_core", "setenvif", "proxy", "proxy_http")
    )
    # Debian has mod_log_config and mod_unixd in the program itself.
    user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
    logging = logging.replace("/var/log/apache2/", f"{folder}/")
    main = folder / "apache.conf"
    text = APACHE.format(
        folder=folder, port=port, upstream=upstream, user=user, modules=modules, logging=logging
    )
    main.write_text(text)
    child = Child("apache", [located("apache2"), "-f", main, "-DFOREGROUND"], folder)
    return ready(Hop(port, child, [folder / "access.log"], [folder / "error.log"]))


def caddy(folder: Path, upstream: int, logging: str) -> Hop:
    """`logging` is a Caddyfile with a site `matrix.example.org`."""
    port = free_port()
    changes = {
        "{\n": "{\n\tadmin off\n\tauto_https off\n",
        "/var/log/caddy/": f"{folder}/",
        "matrix.example.org {": f"http://:{port} {{\n\tbind 127.0.0.1",
        "127.0.0.1:8009": f"127.0.0.1:{upstream}",
    }
    for printed, ours in changes.items():
        if printed not in logging:
            raise SetupFailed(f"the Caddyfile no longer has {printed!r}")
        # The global options are the first block.
        logging = logging.replace(printed, ours, 1)
    file = folder / "Caddyfile"
    file.write_text(logging)
    command: list[str | Path] = [auth.program("caddy"), "run", "--config", file, "--adapter", "caddyfile"]
    environment = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    child = Child("caddy", command, folder, environment)
    return ready(Hop(port, child, [folder / "access.log"], [child.stderr]))


TRAEFIK = """\
entryPoints:
  web:
    address: "127.0.0.1:{port}"
providers:
  file:
    filename: "{folder}/routes.yaml"
log:
  level: INFO
global:
  checkNewVersion: false
  sendAnonymousUsage: false
{logging}
"""
ROUTES = """\
http:
  routers:
    matrix:
      rule: "PathPrefix(`/`)"
      service: matrix
  services:
    matrix:
      loadBalancer:
        servers:
          - url: "http://127.0.0.1:{upstream}"
"""


def traefik(folder: Path, upstream: int, logging: str) -> Hop:
    """`logging` stands in the static configuration."""
    port = free_port()
    (folder / "routes.yaml").write_text(ROUTES.format(upstream=upstream))
    main = folder / "traefik.yaml"
    logging = logging.replace("/var/log/traefik/", f"{folder}/")
    main.write_text(TRAEFIK.format(folder=folder, port=port, logging=logging))
    child = Child("traefik", [auth.program("traefik"), f"--configFile={main}"], folder)
    hop = ready(Hop(port, child, [folder / "access.log"], [child.stdout, child.stderr]))
    # It listens before it has read its routes.
    child.wait_for("no answer of the upstream", lambda: b" 404 " not in ask(port), 30)
    return hop


def ask(port: int) -> bytes:
    """The first line of an answer."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return connection.recv(64).partition(b"\r\n")[0]


HAPROXY = """\
global
    maxconn 500
    log stdout format raw local0
defaults
    mode http
    log global
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    retries 0
    {default}
frontend matrix
    bind 127.0.0.1:{port}
    default_backend matrix
{logging}
backend matrix
    server matrix 127.0.0.1:{upstream}
"""


def haproxy(folder: Path, upstream: int, logging: str) -> Hop:
    """`logging` stands in the frontend; `defaults` have the usual format all the same."""
    port = free_port()
    file = folder / "haproxy.cfg"
    text = HAPROXY.format(port=port, upstream=upstream, logging=logging, default="option httplog")
    file.write_text(text)
    child = Child("haproxy", [located("haproxy"), "-db", "-f", file], folder)
    return ready(Hop(port, child, [child.stdout], [child.stderr]))


ENVOY = """\
static_resources:
  listeners:
  - name: matrix
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: matrix
{logging}
          route_config:
            virtual_hosts:
            - name: matrix
              domains: ["*"]
              routes:
              - match: {{ prefix: "/" }}
                route: {{ cluster: matrix }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
  clusters:
  - name: matrix
    connect_timeout: 5s
    type: STATIC
    load_assignment:
      cluster_name: matrix
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {upstream} }} }} }}
"""


def envoy(folder: Path, upstream: int, logging: str) -> Hop:
    """`logging` stands in the connection manager."""
    port = free_port()
    logging = textwrap.indent(logging, 10 * " ").replace("/var/log/envoy/", f"{folder}/")
    file = folder / "envoy.yaml"
    file.write_text(ENVOY.format(port=port, upstream=upstream, logging=logging))
    command: list[str | Path] = [auth.program("envoy"), "-c", file, "--concurrency", "1"]
    # Several on one machine would share a segment of memory by default; a log is
    # written every ten seconds by default.
    command += ["--disable-hot-restart", "--log-level", "warn", "--file-flush-interval-msec", "100"]
    child = Child("envoy", command, folder)
    return ready(Hop(port, child, [folder / "access.log"], [child.stderr]))


PROGRAMS: dict[str, Start] = {
    "nginx": nginx,
    "apache": apache,
    "caddy": caddy,
    "traefik": traefik,
    "haproxy": haproxy,
    "envoy": envoy,
}
# What people have: each logs the query.
USUAL = {
    "nginx": "    access_log /var/log/nginx/access.log;\n    error_log /var/log/nginx/error.log;\n",
    "apache": 'LogFormat "%h %l %u %t \\"%r\\" %>s %O \\"%{Referer}i\\" \\"%{User-Agent}i\\"" combined\n'
    'CustomLog "/var/log/apache2/access.log" combined\n',
    "caddy": "{\n}\nmatrix.example.org {\n\tlog {\n\t\toutput file /var/log/caddy/access.log\n\t}\n"
    "\treverse_proxy 127.0.0.1:8009\n}\n",
    "traefik": "accessLog:\n  filePath: /var/log/traefik/access.log\n",
    "haproxy": "    capture request header User-Agent len 128\n",
    "envoy": "access_log:\n- name: envoy.access_loggers.file\n  typed_config:\n"
    '    "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog\n'
    "    path: /var/log/envoy/access.log\n",
}
