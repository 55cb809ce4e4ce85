"""The search for secrets, on which the security tests rely, finds them in every spelling."""

from __future__ import annotations

import base64
import itertools
import secrets
from collections.abc import Callable
from urllib.parse import quote

import pytest
from flask import Flask, session
from leaks import leaks_in, response_bytes, session_text, without_logins

SECRET = "sk-or-v1-" + secrets.token_hex(8) + "/+"
CANARIES = {"key": SECRET}


SPELLINGS: list[tuple[str, Callable[[str], bytes]]] = [
    ("clear", str.encode),
    ("hexadecimal", lambda text: text.encode().hex().encode()),
    ("hexadecimal", lambda text: text.encode().hex().upper().encode()),
    ("base64", lambda text: base64.b64encode(text.encode())),
    ("base64url", lambda text: base64.urlsafe_b64encode(text.encode()).rstrip(b"=")),
    ("percent-encoding", lambda text: quote(text, safe="").encode()),
    ("percent-encoding", lambda text: "".join(f"%{b:02x}" for b in text.encode()).encode()),
]


def test_a_secret_is_found_in_every_spelling_and_at_every_place() -> None:
    for before, (spelling, spell) in itertools.product(("", "a", "ab", "abc"), SPELLINGS):
        text = spell(f"{before}{SECRET} and more")
        assert f"key in {spelling}" in leaks_in(b"something " + text, CANARIES), before
        assert leaks_in([text.decode()], CANARIES) != [], (before, spelling)


@pytest.mark.parametrize("filler", ["", "A" * 500])
def test_a_secret_is_found_inside_a_session_cookie(filler: str) -> None:
    app = Flask("host")
    app.secret_key = secrets.token_hex()

    @app.get("/")
    def home() -> str:
        session["kept"] = [SECRET, filler]
        return "home"

    response = app.test_client().get("/")
    cookie = response.headers["Set-Cookie"].split(";")[0].partition("=")[2]
    assert cookie.startswith(".") is bool(filler), "long sessions are compressed"
    assert SECRET in session_text(cookie)
    assert leaks_in(response_bytes(response), CANARIES) != []
    as_login = response_bytes(response).replace(b"session=", b"openrouter.12345678=")
    assert leaks_in(as_login, CANARIES) != []
    assert leaks_in(without_logins(as_login), CANARIES) == []


def test_no_secret_is_found_in_other_text() -> None:
    innocent = [
        "",
        b"",
        "sk-or-v1-",
        "x." + "A" * 6 + "." + "B" * 27,
        ".AAAAAAAAA.AAAAAA." + "B" * 27,
    ]
    assert leaks_in(innocent, CANARIES) == []
