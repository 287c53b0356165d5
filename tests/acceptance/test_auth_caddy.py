"""Caddy with `forward_auth`, in the configuration of docs/external-auth.md: a verdict, and no more."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import auth
import wire
from edge import Edges
from origin import Origin, Seen
from processes import Child, free_port

WHOAMI = "/_matrix/client/v3/account/whoami"


class Caddy:
    """The published site, without TLS, which has nothing to do with it."""

    def __init__(self, folder: Path, origin: Origin, shim: Path) -> None:
        folder.mkdir()
        self.port = free_port()
        changes = {
            "matrix.example.org {": f"http://:{self.port} {{\n\tbind 127.0.0.1",
            "unix//run/tokenshim/auth.sock": f"unix/{shim}",
            "reverse_proxy 127.0.0.1:8008": f"reverse_proxy 127.0.0.1:{origin.port}",
        }
        text = "{\n\tadmin off\n\tauto_https off\n}\n" + auth.changed(auth.block("Caddy", "caddyfile"), changes)
        file = folder / "Caddyfile"
        file.write_text(text)
        command: list[str | Path] = [auth.program("caddy"), "run", "--config", file, "--adapter", "caddyfile"]
        environment = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        self.child = Child("caddy", command, folder, environment)
        self.child.wait_for_port(self.port, 30)


def test_verdict(
    edges: Edges, origin: Origin, tmp_path: Path, knowing: tuple[str, auth.Whoami], afterwards: ExitStack
) -> None:
    token, whoami = knowing
    edge, shim = auth.start(edges, origin, "auth", whoami.toml)
    caddy = Caddy(tmp_path / "caddy", origin, shim)
    afterwards.callback(caddy.child.stop)
    for target in (WHOAMI, f"/p?access_token={token}&access_token={edges.secret()}", "/p?access_token=%00"):
        direct, through = (wire.request(port, "GET", target) for port in (edge.port, caddy.port))
        assert (through.status, through.body) == (direct.status, direct.body)
        for name in ("www-authenticate", "access-control-allow-origin", "content-type", "cache-control"):
            assert through.fields[name] == direct.fields[name], name
    forged = {"X-Matrix-User": "@eve:h", "X-Matrix-Device": "EVE"}
    target = wire.with_token(WHOAMI, token)
    seen = Seen.of(wire.request(caddy.port, "GET", target, fields=forged).body)
    assert seen.values("x-matrix-user") == ["@alice:h"]
    assert seen.target == target, "the URL is not cleaned, as the page says"
    unasked = Seen.of(wire.request(caddy.port, "GET", "/_matrix/client/versions", fields=forged).body)
    assert unasked.values("x-matrix-user") == []
    method = wire.request(caddy.port, "PUT", "/_matrix/client/v3/profile/%40a%3Ah/displayname")
    assert method.json()["errcode"] == "M_MISSING_TOKEN"
    # The client's own word for what is asked about is nobody's.
    for name in ("X-Original-URI", "X-Original-Host"):
        answer = wire.request(caddy.port, "GET", WHOAMI, fields={name: "/"})
        assert 400 <= answer.status < 404, name
    overwritten = {"X-Forwarded-Uri": "/_matrix/client/versions", "X-Forwarded-Method": "OPTIONS"}
    assert wire.request(caddy.port, "GET", WHOAMI, fields=overwritten).status == 401
    edge.child.stop()
    assert wire.request(caddy.port, "GET", "/p").status == 502, "no answer is no 401"
    caddy.child.stop()
