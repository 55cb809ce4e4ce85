"""The search for secrets finds them: what it does not find, the security tests do not see."""

from __future__ import annotations

import base64
import secrets
from urllib.parse import quote

import pytest
from flask import Flask, session
from leaks import leaks_in, response_bytes, session_text, without_session

SECRET = "sk-or-v1-" + secrets.token_hex(8) + "/+"
CANARIES = {"key": SECRET}


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
@pytest.mark.parametrize(
    ("spelling", "spell"),
    [
        ("clear", str.encode),
        ("hexadecimal", lambda text: text.encode().hex().encode()),
        ("hexadecimal", lambda text: text.encode().hex().upper().encode()),
        ("base64", lambda text: base64.b64encode(text.encode())),
        ("base64url", lambda text: base64.urlsafe_b64encode(text.encode()).rstrip(b"=")),
        ("percent-encoding", lambda text: quote(text, safe="").encode()),
        ("percent-encoding", lambda text: "".join(f"%{b:02x}" for b in text.encode()).encode()),
    ],
)
def test_a_secret_is_found_in_every_spelling_wherever_it_stands(
    before: str, spelling: str, spell: object
) -> None:
    text: bytes = spell(f"{before}{SECRET} and more")  # type: ignore[operator]
    assert f"key in {spelling}" in leaks_in(b"something " + text, CANARIES)
    assert leaks_in([text.decode()], CANARIES) != []


@pytest.mark.parametrize("filler", ["", "A" * 500])
def test_a_secret_is_found_inside_a_session_cookie(filler: str) -> None:
    app = Flask("host")
    app.secret_key = secrets.token_hex()

    @app.get("/")
    def home() -> str:
        session["kept"] = [SECRET, filler]
        return "home"

    answer = app.test_client().get("/")
    cookie = answer.headers["Set-Cookie"].split(";")[0].partition("=")[2]
    assert cookie.startswith(".") is bool(filler), "long sessions are compressed"
    assert SECRET in session_text(cookie)
    assert leaks_in(response_bytes(answer), CANARIES) != []
    assert leaks_in(without_session(response_bytes(answer)), CANARIES) == []


def test_nothing_is_found_where_nothing_is() -> None:
    innocent = [
        "",
        b"",
        "sk-or-v1-",
        "x." + "A" * 6 + "." + "B" * 27,
        ".AAAAAAAAA.AAAAAA." + "B" * 27,
    ]
    assert leaks_in(innocent, CANARIES) == []
