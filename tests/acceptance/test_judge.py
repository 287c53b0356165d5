"""The judge itself: a judge that finds nothing would let every other test pass."""

import base64
import json

import pytest

import judge

TOKEN = "syt_ZmFrZQ_FAKEcanarySECRETtoke_1aB2cD"

DRESSED = {
    "plain": TOKEN,
    "percent": TOKEN.replace("_", "%5f"),
    "every byte": "".join(f"%{byte:02X}" for byte in TOKEN.encode()),
    "twice": TOKEN.replace("_", "%255F"),
    "json": json.dumps(TOKEN).replace("_", "\\u005f"),
    "json and percent": TOKEN.replace("_", "\\u00255f"),
    "masked at both ends": f"syt_ZmFrZQ_{TOKEN.split('_')[2]}***",
    "base64": base64.b64encode(TOKEN.encode()).decode(),
    "base64, one byte later": base64.b64encode(b":" + TOKEN.encode() + b":").decode(),
    "base64, two bytes later": base64.b64encode(b"u:" + TOKEN.encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(b"u:" + TOKEN.encode()).decode(),
}


@pytest.mark.parametrize("text", DRESSED.values(), ids=DRESSED.keys())
def test_finds_a_token(text: str) -> None:
    line = b'127.0.0.1 "GET /sync?a=1&x=' + text.encode() + b' HTTP/1.1" 200'
    assert judge.findings(line, {TOKEN})


def test_lets_a_fingerprint_pass() -> None:
    line = b'{"target":"/sync?access_token=***","token":"h:9f31c2ab","user_agent":"ZmFrZQ"}'
    assert judge.findings(line, {TOKEN}) == []


def test_knows_the_name_in_any_dress() -> None:
    for target in (
        b"/p?access_token=",
        b"/p?a;Access_Token=x",
        b"/p?%61ccess%5Ftoken",
        b"/p?access%255ftoken",
    ):
        assert judge.names_token(target), target
    assert not judge.names_token(b"/p?accesstoken=1&token=2")


def test_takes_out_only_the_bearer_field() -> None:
    head = f"GET / HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\nReferer: /?t={TOKEN}\r\n\r\n".encode()
    rest = judge.without_bearer(head)
    assert b"Authorization" not in rest and judge.findings(rest, {TOKEN})
