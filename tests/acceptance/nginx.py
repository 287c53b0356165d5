"""The published nginx example, run as it is printed."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import ssl
import subprocess
from http.client import HTTPSConnection
from pathlib import Path

from processes import REPOSITORY, Child, SetupFailed, free_port, wait_until
from wire import Answer

EXAMPLE = REPOSITORY / "config" / "nginx.conf.example"
NAME = "matrix.localhost"

# What the operator's own main file would hold; all paths are inside the test's folder.
MAIN = """\
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/main-error.log;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/matrix.conf;
}}
"""


def command(folder: Path) -> list[str | Path]:
    """How nginx is started with the `matrix.conf` in `folder`."""
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        raise SetupFailed("nginx is missing: run tests/run, which installs it")
    main = folder / "nginx.conf"
    # Workers of a root master change user, and could not read the test's folder.
    user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
    main.write_text(MAIN.format(folder=folder, user=user))
    return [program, "-p", folder, "-c", main, "-e", folder / "start.log"]


class Nginx:
    """nginx with `config/nginx.conf.example` in front of `upstream`."""

    def __init__(self, folder: Path, upstream: int) -> None:
        self.port = free_port()
        self.access_log = folder / "access.log"
        self.error_log = folder / "error.log"
        self.certificate = folder / "certificate.pem"
        self._certify(folder / "key.pem")
        (folder / "matrix.conf").write_text(self._example(folder, upstream))
        argv = command(folder)
        self.verdict = subprocess.run([*argv, "-t"], capture_output=True, text=True, check=False)
        self.child = Child("nginx", argv, folder)
        self.child.wait_for_port(self.port, 10)

    def request(
        self, method: str, target: str, body: bytes | None = None, fields: dict[str, str] | None = None
    ) -> Answer:
        """One request over TLS, the certificate checked."""
        with self.connection() as connection:
            connection.request(method, target, body=body, headers=fields or {})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())

    def connection(self) -> Connection:
        """For a request that needs more than `request` offers."""
        trust = ssl.create_default_context(cafile=str(self.certificate))
        return Connection(NAME, self.port, trust)

    def lines(self) -> list[str]:
        """The access log so far."""
        return self.access_log.read_text("utf-8").split("\n")[:-1]

    def line_after(self, mark: int) -> str:
        """The line behind the first `mark`; nginx writes it when the answer has gone."""
        wait_until("a line in nginx's access log", lambda: len(self.lines()) > mark)
        return self.lines()[mark]

    def stop(self) -> None:
        """Ends the master, which ends its worker."""
        self.child.stop()

    def _example(self, folder: Path, upstream: int) -> str:
        """The example with only ports and paths changed; each of them must be there."""
        text = EXAMPLE.read_text()
        changes = {
            "listen 443 ": f"listen 127.0.0.1:{self.port} ",
            # A machine without IPv6 can still run the test.
            "listen [::]:443 ": f"listen 127.0.0.1:{free_port()} ",
            "matrix.example.org;": f"{NAME};",
            "/etc/letsencrypt/live/matrix.example.org/fullchain.pem": str(self.certificate),
            "/etc/letsencrypt/live/matrix.example.org/privkey.pem": str(folder / "key.pem"),
            "/var/log/nginx/matrix_access.log": str(self.access_log),
            "/var/log/nginx/matrix_error.log": str(self.error_log),
            "http://127.0.0.1:8009;": f"http://127.0.0.1:{upstream};",
        }
        for printed, ours in changes.items():
            if printed not in text:
                raise SetupFailed(f"{EXAMPLE.name} no longer has {printed!r}")
            text = text.replace(printed, ours)
        return text

    def _certify(self, key: Path) -> None:
        """A certificate for the name, good for a day."""
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
            + ["-nodes", "-days", "1", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
            + ["-keyout", str(key), "-out", str(self.certificate)],
            check=True,
            capture_output=True,
        )


class Connection(HTTPSConnection):
    """TLS to a name that no resolver needs to know."""

    def __init__(self, name: str, port: int, trust: ssl.SSLContext) -> None:
        super().__init__(name, port, context=trust, timeout=60)
        self._trust = trust

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self) -> None:
        """To loopback, with the name in the handshake."""
        plain = socket.create_connection(("127.0.0.1", self.port), self.timeout)
        self.sock = self._trust.wrap_socket(plain, server_hostname=self.host)
