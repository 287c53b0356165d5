"""Writes an access log of an imagined homeserver, and beside it what is known of it.

The same arguments give the same bytes. Secrets are random; none was ever valid. They are
spelled in all the ways that logs have them, and some lines only look like a leak.
"""

from __future__ import annotations

import base64
import json
import random
import string
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable

DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
LOGIN = "/_matrix/client/v3/login/sso/redirect?redirectUrl="
WIDGET = "https://widget.example/"
WHOLE_NAME = "".join(f"%{ord(letter):02X}" for letter in "access_token")

# What a form makes of target and secret: target and Referer. The weight is how often.
FORMS: tuple[tuple[int, Callable[[str, str], tuple[str, str]]], ...] = (
    (45, lambda target, secret: (put(target, "access_token", secret), "-")),
    (30, lambda target, secret: (target + sign(target) + "access_token=" + secret, "-")),
    (2, lambda target, secret: (target + sign(target) + "access%5Ftoken=" + secret, "-")),
    (1, lambda target, secret: (target + sign(target) + "acce%73s_token=" + secret, "-")),
    (1, lambda target, secret: (target + sign(target) + WHOLE_NAME + "=" + secret, "-")),
    (5, lambda target, secret: (put(target, "access_token", every_mark(secret)), "-")),
    (4, lambda _, secret: (LOGIN + quote(f"{WIDGET}?access_token={secret}", safe=""), "-")),
    (
        1,
        lambda _, secret: (
            LOGIN + quote(quote(f"{WIDGET}?access_token={secret}", safe=""), safe=""),
            "-",
        ),
    ),
    (9, lambda target, secret: (target, f"{WIDGET}?access_token={secret}&theme=dark")),
    (
        2,
        lambda target, secret: (
            target + sign(target) + r"f={\x22access_token\x22:\x22" + secret + r"\x22}",
            "-",
        ),
    ),
)

DECOYS = (
    "/_matrix/client/v3/sync?access_token=<redacted>",
    "/_matrix/client/v3/sync?access_token=",
    "/docs/access_token.html",
    "/blog/?q=access_token+leak",
    "/x?not_an_access_tokens=1",
)

AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Element/1.11.71 Chrome/124.0.6367.243 Electron/30.1.2 Safari/537.36",
    "Element/1.6.18 (Google Pixel 7; Android 14; Flavour GooglePlay; MatrixAndroidSdk2 1.6.18)",
    "Element X/24.07.2 (iPhone14,5; iOS 17.5.1; Scale/3.00)",
    "Synapse/1.111.0",
    "matrix-nio/0.24.0",
)


def sign(target: str) -> str:
    return "&" if "?" in target else "?"


def put(target: str, name: str, value: str) -> str:
    """As the first parameter."""
    path, _, query = target.partition("?")
    return f"{path}?{name}={value}" + (f"&{query}" if query else "")


def every_mark(secret: str) -> str:
    return quote(secret, safe="").replace("_", "%5F")


@dataclass
class Dice:
    """The same throws for the same seed."""

    seed: int
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def word(self, length: int, letters: str = DIGITS) -> str:
        return "".join(self.random.choices(letters, k=length))


def checksum(body: str, *, is_reversed: bool) -> str:
    """CRC-32 in base 62: Synapse writes the most significant digit first, MAS last."""
    number = zlib.crc32(body.encode())
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = digits + DIGITS[digit] if is_reversed else DIGITS[digit] + digits
    return digits.rjust(6, "0")


def secret(dice: Dice, number: int) -> str:
    """Of Synapse mostly, of MAS, or of a server whose tokens have no shape."""
    if number % 10 < 7:
        name = base64.b64encode(dice.word(8, string.ascii_lowercase).encode()).decode().rstrip("=")
        body = f"syt_{name}_{dice.word(20, string.ascii_letters)}"
        return f"{body}_{checksum(body, is_reversed=False)}"
    if number % 10 < 9:
        body = "mct_" + dice.word(30)
        return f"{body}_{checksum(body, is_reversed=True)}"
    return dice.word(32)


def targets(dice: Dice) -> list[str]:
    """What clients and servers ask for."""
    made = []
    for _ in range(4000):
        room = f"%21{dice.word(18, string.ascii_letters)}%3A{dice.word(6)}.example"
        event = f"%24{dice.word(43)}"
        since = "_".join(str(dice.random.randint(1, 10**8)) for _ in range(9))
        client = "/_matrix/client/v3"
        made += [
            f"{client}/sync?filter=1&timeout=30000&since=s{since}",
            f"{client}/rooms/{room}/messages?limit=30&from=t1-{since}&dir=b",
            f"{client}/rooms/{room}/send/m.room.message/m{dice.random.randint(10**12, 10**13)}.7",
            f"{client}/rooms/{room}/receipt/m.read/{event}",
            f"{client}/profile/%40{dice.word(7, string.ascii_lowercase)}%3Aexample.org",
            f"{client}/rooms/{room}/context/{event}?limit=0",
            f"/_matrix/media/v3/download/{dice.word(6)}.example/{dice.word(24)}",
            f"/_matrix/federation/v1/backfill/{room}?v={event}&limit=100",
        ]
    return made


def write(path: Path, size: int, rate: float, seed: int, distinct: int) -> dict[str, int]:
    """About `size` bytes, of whose lines that part has one of so many secrets."""
    dice = Dice(seed)
    roll = dice.random.random
    pick = dice.random.choice
    secrets = [secret(dice, number) for number in range(distinct)]
    known = targets(dice)
    forms = [form for weight, form in FORMS for _ in range(weight)]
    addresses = [f"192.0.2.{last}" for last in range(1, 255)]
    statuses = ["200"] * 90 + ["404"] * 4 + ["401"] * 3 + ["429"] * 2 + ["502"]
    seen: set[str] = set()
    written = lines = leaking = 0
    with path.open("w", encoding="ascii", buffering=1 << 20) as out:
        while written < size:
            target, referer = pick(known), "-"
            throw = roll()
            if throw < rate:
                # Some clients leak far more often than others.
                one = secrets[int(roll() ** 3 * distinct)]
                target, referer = pick(forms)(target, one)
                seen.add(one)
                leaking += 1
            elif throw > 1 - 0.0002:
                target = pick(DECOYS)
            second = lines // 50
            stamp = (
                f"{second // 86400 % 28 + 1:02}/Nov/2026:{second // 3600 % 24:02}"
                f":{second // 60 % 60:02}:{second % 60:02} +0000"
            )
            written += out.write(
                f'{pick(addresses)} - - [{stamp}] "GET {target} HTTP/2.0" {pick(statuses)}'
                f' {second % 60000} "{referer}" "{pick(AGENTS)}"\n'
            )
            lines += 1
    truth = {"bytes": written, "lines": lines, "leaking": leaking, "secrets": len(seen)}
    path.with_suffix(".truth.json").write_text(json.dumps(truth))
    return truth
