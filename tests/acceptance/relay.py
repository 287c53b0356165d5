"""`tokenshim relay`, and an nginx that logs to it."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Event, Thread

from nginx import command
from processes import BINARY, REPOSITORY, Child, SetupFailed

PAGE = REPOSITORY / "docs" / "relay.md"


class Relay:
    """One running relay with a place and a file of its own."""

    def __init__(self, folder: Path, name: str, kind: str = "unixgram") -> None:
        self.name = name
        self.kind = kind
        self.folder = folder
        self.place = folder / f"{name}.sock"
        self.log = folder / f"{name}.log"
        self.child = self.start()

    def start(self) -> Child:
        """It, or one more in its place."""
        argv: list[str | Path] = [BINARY, "relay", "--listen", f"{self.kind}:{self.place}"]
        # Workers of nginx may be another user.
        argv += ["--output", self.log, "--format", "message", "--mode", "0666"]
        self.child = Child(f"relay-{self.name}", argv, self.folder)
        is_ready = f"place={self.kind}:{self.place}"
        self.child.wait_for("its place", lambda: is_ready in self.told() and self.place.exists(), 10)
        return self.child

    def told(self) -> str:
        """What it says of itself."""
        return self.child.stderr.read_text("utf-8", "replace")

    def lines(self) -> list[str]:
        """What it has written."""
        return self.log.read_text("utf-8").split("\n")[:-1]

    def reopen(self) -> None:
        """As logrotate's postrotate does."""
        self.child.process.send_signal(signal.SIGUSR1)

    def stop(self) -> None:
        """An orderly end."""
        assert self.child.stop() == 0, self.told()


class Nginx:
    """nginx with a server block of the test's own."""

    def __init__(self, folder: Path, port: int, block: str) -> None:
        self.port = port
        self.folder = folder
        (folder / "matrix.conf").write_text(block)
        self.child = Child("nginx", command(folder), folder)
        self.child.wait_for_port(port, 10)

    def reopen(self) -> None:
        """What `nginx -s reopen` sends."""
        self.child.process.send_signal(signal.SIGUSR1)

    def stop(self) -> None:
        """Ends the master, which ends its worker."""
        self.child.stop()


def published(changes: Mapping[str, str]) -> str:
    """The page's block with only ports and paths changed; each of them must be there."""
    _, fence, rest = PAGE.read_text("utf-8").partition("```nginx\n")
    if not fence:
        raise SetupFailed(f"{PAGE.name} no longer has a block of nginx")
    text = rest.partition("```")[0]
    for printed, ours in changes.items():
        if printed not in text:
            raise SetupFailed(f"{PAGE.name} no longer has {printed!r}")
        text = text.replace(printed, ours)
    return text


def canary() -> str:
    """A token that must be in no file."""
    return f"syt_RkFLRQ_FAKEcanarySECRET{secrets.token_hex(8)}_1aB2cD"


def spellings(token: str) -> list[tuple[str, dict[str, str]]]:
    """Targets and fields in which a client may have it."""
    encoded = "".join(f"%{byte:02X}" for byte in token.encode())
    twice = encoded.replace("%", "%25")
    return [
        (f"/p?access_token={token}", {}),
        (f"/p?a=1&Access_Token={token}&b=2", {}),
        (f"/p?access%5Ftoken={token}", {}),
        (f"/p?%61ccess_token={encoded}", {}),
        (f"/p?access_token={encoded}", {}),
        (f"/p?next=%2Fq%3Faccess_token%3D{token}%26b", {}),
        (f"/p?u=access%255Ftoken%253D{twice}", {}),
        (f"/p?access_token[]={token}", {}),
        (f"/{token}/p", {}),
        ("/p", {"Referer": f"https://client/?loginToken={token}&x"}),
        ("/p", {"Referer": f"https://client/#/x?access_token={encoded}"}),
        ("/p", {"User-Agent": f"Bearer {token}", "Authorization": f"Bearer {token}"}),
        (f"/p?access_token={token}" + 3000 * "x", {}),
        (f"/p?{2020 * 'x'}&access_token={token}", {}),
    ]


@contextmanager
def requests(port: int, targets: list[tuple[str, dict[str, str]]]) -> Iterator[list[int]]:
    """Sends them over and over while the block runs; the list has how many there were in the end."""
    sent = [0]
    is_over = Event()

    def send() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        while not is_over.is_set():
            target, fields = targets[sent[0] % len(targets)]
            connection.request("GET", target, headers=fields)
            connection.getresponse().read()
            sent[0] += 1
        connection.close()

    thread = Thread(target=send)
    thread.start()
    try:
        yield sent
    finally:
        is_over.set()
        thread.join()


def ask(port: int, target: str, fields: Mapping[str, str]) -> int:
    """One request; its status."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", target, headers=dict(fields))
        return connection.getresponse().status
    except HTTPException as error:
        raise AssertionError(f"{target[:80]}: {error!r}") from error
    finally:
        connection.close()
