"""`openssl s_client` as a client that shows what was agreed on."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from edge import NAME

ASK = f"GET /p HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode()


@dataclass(frozen=True)
class Session:
    """What the program printed."""

    status: int
    text: str

    @property
    def is_open(self) -> bool:
        """Whether the handshake came to its end."""
        return "Verify return code" in self.text and "Cipher is (NONE)" not in self.text

    @property
    def protocol(self) -> str:
        """`TLSv1.3`."""
        return self._behind("New, ") or self._behind("Reused, ")

    @property
    def is_resumed(self) -> bool:
        """Whether the session was an old one."""
        return "\nReused, " in self.text

    @property
    def subject(self) -> str:
        """The name of the certificate that was shown."""
        return self._behind("subject=CN = ")

    @property
    def alpn(self) -> str | None:
        """The protocol that the server chose."""
        return self._behind("ALPN protocol: ") or None

    @property
    def is_verified(self) -> bool:
        """Whether the client believes the server."""
        return "Verify return code: 0 (ok)" in self.text

    def _behind(self, words: str) -> str:
        lines = (line for line in self.text.split("\n") if line.startswith(words))
        return next(lines, words)[len(words) :].split(",")[0].strip()


def connect(port: int, *options: str | Path, name: str | None = NAME, ask: bytes = ASK) -> Session:
    """One connection, on which `ask` is sent; it lasts until the server closes it."""
    naming = ["-servername", name] if name else ["-noservername"]
    command = [
        "openssl",
        "s_client",
        "-connect",
        f"127.0.0.1:{port}",
        *naming,
        "-ign_eof",
        *map(str, options),
    ]
    done = subprocess.run(command, input=ask, capture_output=True, timeout=20, check=False)
    return Session(done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace"))
