"""nginx in the place of an upstream, with one server of a few lines."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

from processes import Child, SetupFailed, free_port

MAIN = """\
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    log_format peer '$proxy_protocol_addr $proxy_protocol_port $request';
    access_log {folder}/access.log peer;
    server {{
        listen 127.0.0.1:{port} {options};
        {server}
    }}
}}
"""


class NginxEdge:
    """`options` belong to `listen`, `server` is the rest of the block."""

    def __init__(self, folder: Path, options: str, server: str) -> None:
        program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if program is None:
            raise SetupFailed("nginx is missing: run tests/run, which installs it")
        self.port = free_port()
        self.access_log = folder / "access.log"
        # Workers of a root master change user, and could not read the test's folder.
        user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
        main = folder / "nginx.conf"
        main.write_text(MAIN.format(folder=folder, port=self.port, options=options, server=server, user=user))
        self.child = Child("nginx", [program, "-p", folder, "-c", main, "-e", folder / "start.log"], folder)
        self.child.wait_for_port(self.port, 10)

    def stop(self) -> None:
        """Ends the master, which ends its worker."""
        self.child.stop()
