"""What `tokenshim emit` prints, in the real programs, against every spelling of a token."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import hops
import judge
import pytest
from hops import Hop
from origin import Origin
from processes import BINARY, free_port, python_of, wait_until

PATH = "/_matrix/client/v3/rooms/!r%3Ah/state"
# `<T>` is the token, `<E>` the same with every byte encoded.
TARGETS = {
    "plain": f"{PATH}?access_token=<T>",
    "in the middle": f"{PATH}?a=1&access_token=<T>&b=2",
    "first of two": f"{PATH}?access_token=<T>&access_token=other",
    "second of two": f"{PATH}?access_token=other&access_token=<T>",
    "encoded underscore": f"{PATH}?access%5Ftoken=<T>",
    "encoded letter": f"{PATH}?%61ccess_token=<T>",
    "encoded whole": f"{PATH}?%61%63%63%65%73%73%5f%74%6f%6b%65%6e=<T>",
    "encoded twice": f"{PATH}?access%255Ftoken=<T>",
    "other case": f"{PATH}?Access_Token=<T>",
    "encoded value": f"{PATH}?access_token=<E>",
    "semicolon": f"{PATH}?a=1;access_token=<T>",
    "nested": f"{PATH}?redirectUrl=https%3A%2F%2Fc.invalid%2F%3Faccess_token%3D<T>",
    "nested, raw": f"{PATH}?next=/q?access_token=<T>",
    "nested twice": f"{PATH}?u=https%3A%2F%2Fa%2F%3Fv%3Dhttps%253A%252F%252Fb%252F%253Faccess_token%253D<T>",
    "JSON": f"{PATH}?filter=%7B%22access_token%22%3A%22<T>%22%7D",
    "raw JSON": f'{PATH}?filter={{"access_token":"<T>"}}',
    "login token": f"{PATH}?loginToken=<T>",
    "glued": f"{PATH}&access_token=<T>",
    "glued, question mark encoded": f"{PATH}%3Faccess_token%3D<T>",
    "glued, encoded twice": f"{PATH}%253Faccess_token%253D<T>",
    "glued, name encoded": f"{PATH}&access%5Ftoken%3d<T>",
    "path parameter": f"{PATH};access_token=<T>",
    "broken escape": f"{PATH}?access_token=<T>%zz",
    "line break": f"{PATH}?access_token=<T>%0d%0aX:%20y",
    "space": f"{PATH}?access_token=<T> x",
    "absolute form": f"http://localhost{PATH}?access_token=<T>",
    "too long": f"{PATH}?access_token=<T>&pad={20_000 * 'a'}",
    "asked of nobody": "/favicon.ico?access_token=<T>",
}
FIELDS = {
    "Referer": "Referer: https://c.invalid/?access_token=<T>",
    "Referer, glued": "Referer: https://c.invalid/p&access_token=<T>",
    "Referer, site glued": "Referer: https://c.invalid%3Faccess_token%3D<T>",
    "Referer, fragment": "Referer: https://c.invalid/#/?%61ccess_token=<T>",
    "Authorization": "Authorization: Bearer <T>",
    "original URI": f"X-Original-URI: {PATH}?access_token=<T>",
}
METHODS = ("GET", "POST", "HEAD", "OPTIONS", "DELETE")


def requests(token: str) -> Iterator[bytes]:
    """Every target, field and method."""
    encoded = "".join(f"%{byte:02x}" for byte in token.encode())

    def head(method: str, target: str, field: str = "X-Nothing: 1") -> bytes:
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", field, "Connection: close"]
        lines += ["Content-Length: 0", "User-Agent: spelling", "", ""]
        return "\r\n".join(lines).replace("<T>", token).replace("<E>", encoded).encode()

    yield from (head("GET", target) for target in TARGETS.values())
    yield from (head("GET", PATH, field) for field in FIELDS.values())
    yield from (head(method, TARGETS["plain"]) for method in METHODS)


def broken(token: str) -> Iterator[bytes]:
    """Request lines that no parser takes apart as it was meant."""
    fields = "Host: localhost\r\nUser-Agent: broken\r\nConnection: close\r\n\r\n"
    for line in (
        "/p?access_token=<T> HTTP/1.1",
        "GET /p HTTP/1.1?access_token=<T>",
        "GET x?access_token=<T> HTTP/1.1",
        "access_token=<T> /p HTTP/1.1",
    ):
        yield f"{line}\r\n{fields}".replace("<T>", token).encode()


def send(port: int, request: bytes) -> bytes:
    """All that comes back; who refuses may do so before the end."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        try:
            connection.sendall(request)
            while piece := connection.recv(1 << 16):
                received += piece
        except ConnectionError:
            pass
    return received


def emitted(program: str) -> str:
    """What the command prints."""
    command = [str(BINARY), "emit", program]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout


def probe(hop: Hop, *more: str) -> subprocess.CompletedProcess[str]:
    """`tokenshim probe` of one hop."""
    command = [str(BINARY), "probe", f"http://127.0.0.1:{hop.port}", *map(str, hop.arguments()), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_every_token_is_sent() -> None:
    """A placeholder that is not filled in would test nothing."""
    token = f"FAKEcanarySECRET{secrets.token_hex(8)}"
    for request in requests(token):
        assert judge.findings(request, {token}) != [], request[:200]
    assert len(TARGETS) + len(FIELDS) >= 30


@pytest.mark.parametrize("program", hops.PROGRAMS)
def test_no_spelling_gets_into_the_log(
    program: str, origin: Origin, tmp_path: Path, afterwards: ExitStack
) -> None:
    """With an upstream that answers, with one that is away, and with one that says nothing."""
    token = f"FAKEcanarySECRET{secrets.token_hex(8)}"
    for name, upstream in (("there", origin.port), ("away", free_port()), ("mute", mute(afterwards))):
        (tmp_path / name).mkdir()
        hop = hops.PROGRAMS[program](tmp_path / name, upstream, emitted(program))
        afterwards.callback(hop.stop)
        for request in broken(token):
            send(hop.port, request)
        answers = [send(hop.port, request) for request in requests(token)]
        assert all(answer.startswith(b"HTTP/1.") for answer in answers)
        if name == "there":
            assert sum(b" 200 OK" in answer for answer in answers) > 15

        def shown(hop: Hop = hop) -> int:
            return sum(file.read_bytes().count(b"spelling") for file in hop.access_logs if file.exists())

        # Not clean by being empty: malformed requests are not logged by all.
        wait_until(f"{program}'s log", lambda shown=shown: shown() >= len(TARGETS) - 6, 20)  # type: ignore[misc]
        hop.stop()
        assert judge.findings(hop.content(), {token}) == []


def mute(afterwards: ExitStack) -> int:
    """The port of an upstream that closes each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    afterwards.callback(listener.close)

    def serve() -> None:
        try:
            while True:
                connection, _ = listener.accept()
                connection.recv(1 << 16)
                connection.close()
        except OSError:
            return

    threading.Thread(target=serve, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def test_captures_above_the_haproxy_text(origin: Origin, tmp_path: Path, afterwards: ExitStack) -> None:
    """Captured fields have numbers, and those of others come first."""
    token = f"FAKEcanarySECRET{secrets.token_hex(8)}"
    logging = "    capture request header Referer len 100\n" + emitted("haproxy")
    hop = hops.haproxy(tmp_path, origin.port, logging)
    afterwards.callback(hop.stop)
    for request in requests(token):
        send(hop.port, request)

    def shown() -> bool:
        return b"spelling" in hop.access_logs[0].read_bytes()

    wait_until("HAProxy's log", shown, 20)
    hop.stop()
    assert judge.findings(hop.content(), {token}) == []


@pytest.mark.parametrize("program", hops.PROGRAMS)
def test_the_probe_agrees(program: str, origin: Origin, tmp_path: Path, afterwards: ExitStack) -> None:
    """The usual configuration leaks, and the printed one does not."""
    (tmp_path / "usual").mkdir()
    (tmp_path / "clean").mkdir()
    usual = hops.PROGRAMS[program](tmp_path / "usual", origin.port, hops.USUAL[program])
    afterwards.callback(usual.stop)
    clean = hops.PROGRAMS[program](tmp_path / "clean", origin.port, emitted(program))
    afterwards.callback(clean.stop)
    told = probe(clean, "--wait", "3s")
    assert told.returncode == 0, told.stdout + told.stderr
    assert "0 leaking" in told.stdout
    told = probe(usual, "--wait", "3s", "--format", "json")
    assert told.returncode == 1, told.stdout + told.stderr
    report = json.loads(told.stdout)
    leaking = next(log for log in report["logs"] if log["file"] == str(usual.access_logs[0]))
    names = {case["name"] for case in leaking["leaks"]}
    assert {"plain", "name encoded twice", "behind a semicolon", "in a nested URL"} <= names
    commands = leaking["fix"]["commands"]
    assert f"tokenshim emit {program}" in commands, leaking


def test_vector(tmp_path: Path) -> None:
    """Vector's own language, without Vector around it, over lines as the programs write them."""
    token = f"FAKEcanarySECRET{secrets.token_hex(8)}"
    text = emitted("vector")
    _, _, rest = text.partition("    source: |\n")
    source = "".join(line[6:] for line in rest.splitlines(True) if line.startswith("      "))
    source = source.partition("sinks:")[0]
    lines = list(log_lines(token))
    (tmp_path / "input.json").write_text(json.dumps({"source": source, "lines": lines}))
    script = (
        "import json, sys; from vrl_python import VRLRuntime\n"
        "given = json.load(open(sys.argv[1])); runtime = VRLRuntime()\n"
        "run = lambda line: runtime.execute(given['source'], {'message': line}).processed_event\n"
        "print(json.dumps([run(line) for line in given['lines']]))\n"
    )
    command = [str(python_of("proxies")), "-c", script, str(tmp_path / "input.json")]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert told.returncode == 0, told.stderr
    cleaned = json.loads(told.stdout)
    assert len(cleaned) == len(lines)
    for line, event in zip(lines, cleaned, strict=True):
        assert judge.findings(event["message"].encode(), {token}) == [], line[:200]
        assert "spelling" in event["message"], "the rest of the line stays"


def log_lines(token: str) -> Iterator[str]:
    """Each request as nginx, Caddy and HAProxy would write it."""
    for request in requests(token):
        head, *rest = request.decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in rest if line)
        referer = fields.get("Referer", "-")
        escaped = head.replace('"', "\\x22")
        if "Authorization" in fields:
            referer = fields["Authorization"]
        yield f'127.0.0.1 - - [22/Nov/2026:09:00:00 +0000] "{escaped}" 200 5 "{referer}" "spelling"'
        uri = head.split(" ", 1)[1].rsplit(" ", 1)[0]
        yield json.dumps({"uri": uri, "Referer": referer, "User-Agent": "spelling"})
        yield f'127.0.0.1:4711 [22/Nov/2026:09:00:00.123] f b/s 0/0/0/1/1 200 9 {{spelling}} "{head}"'
