"""Cookies and sessions that are forged, damaged, planted or of another version.

(OWASP ASVS 5.0, 3.3 and 7.2.1.)
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import tracemalloc
import zlib
from typing import Any

import pytest
from attack import load_jar, pending, plant_cookie, save_jar, state_of
from flask import Flask
from itsdangerous import URLSafeTimedSerializer
from visitor import NAVIGATE, Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.login.logins import part_of

STATE = "A" * 22
SAMPLE = "C" * 16 + "B" * 43


def _unsigned(payload: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=").decode()


def _signed(secret: str, salt: str) -> str:
    text = URLSafeTimedSerializer(secret, salt, signer_kwargs={"key_derivation": "hmac"})
    signed: str = text.dumps(SAMPLE)
    return signed


def _bomb(megabytes: int) -> str:
    squeeze = zlib.compressobj(9)
    data = b"".join(squeeze.compress(bytes(2**20)) for _ in range(megabytes)) + squeeze.flush()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


GARBAGE = [
    _unsigned(SAMPLE),
    _signed("another secret key of 32 bytes..", "cookie-session"),
    *("", "..", "...", "a.b.c", ".eJw" + "!" * 40, ".eJw" + "A" * 40 + ".x.y", '"', "é", "\x7f"),
    "A" * 100_000,
    "browser:" + "A" * 300 + ".x",
    "." + "A" * 60,
    "~" + "0" * 12 + "." + "A" * 60,
]


SERVER_SIDE = ("memory", "sqlite", "postgresql", "redis")
#: A server-side storage is asked for the owner that the cookie ``openrouter`` names. The other
#: cookies concern no storage.
GARBAGE_COOKIES = [
    *((kind, "openrouter") for kind in ("cookie", *SERVER_SIDE)),
    *(("cookie", name) for name in ("openrouter.12345678", "openrouter~unsaved")),
    *(
        pytest.param(kind, name, marks=pytest.mark.every_variant)
        for kind in SERVER_SIDE
        for name in ("openrouter.12345678", "openrouter~unsaved")
    ),
]


def _visit_everything(visitor: Visitor) -> None:
    """Check that each page is refused or works, and that none breaks."""
    assert visitor.get("/guarded").status_code == 303
    assert visitor.get("/openrouter/status").get_json()["connected"] is False
    assert visitor.get("/openrouter/callback?state=" + STATE + "&code=x").status_code == 400
    assert visitor.post("/openrouter/disconnect").status_code == 303
    assert visitor.post("/openrouter/save").status_code < 500
    assert visitor.get("/openrouter/login").status_code == 303


@pytest.mark.requirement("R19")
@pytest.mark.parametrize(("stored_kind", "name"), GARBAGE_COOKIES, indirect=["stored_kind"])
def test_a_garbage_cookie_counts_as_no_cookie(
    all_stored_apps: Any, emulator: Emulator, name: str
) -> None:
    app = all_stored_apps()
    for value in GARBAGE:
        visitor = Visitor(app)
        plant_cookie(visitor, name, value)
        _visit_everything(visitor)
        assert visitor.connect(emulator).status_code == 303, value[:99]
        assert visitor.key is not None, value[:99]


@pytest.mark.requirement("R19")
def test_a_flipped_bit_invalidates_the_cookie(stored_apps: Any, emulator: Emulator) -> None:
    visitor = Visitor(stored_apps())
    visitor.connect(emulator)
    done = save_jar(visitor)
    visitor.start()
    jar = save_jar(visitor)
    (login,) = [name for name in jar if "." in name and jar[name] != done.get(name)]
    for name, status in ((login, 200), ("openrouter", 303)):
        cookie = jar[name]
        for third in range(3):
            place = len(cookie) * third // 3 + len(cookie) // 7
            flipped = cookie[:place] + chr(ord(cookie[place]) ^ 1) + cookie[place + 1 :]
            load_jar(visitor, {**jar, name: flipped})
            assert visitor.get("/guarded").status_code == status, (name, place)
            if name == login:
                assert pending(visitor) == [], place
            assert visitor.get("/openrouter/login").status_code == 303, (name, place)


@pytest.mark.requirement("R19")
def test_the_first_of_two_cookies_of_one_login_counts(app: Flask, emulator: Emulator) -> None:
    """Browsers put the one with the longer path first, so a planted one can only break a login."""
    one, two = Visitor(app), Visitor(app)
    url = one.start()
    name = f"openrouter{part_of(state_of(url))}"
    (other,) = (two.start() and save_jar(two)).values()
    browser = app.test_client(use_cookies=False)
    callback = emulator.approve(url)
    values = (other, save_jar(one)[name])
    statuses = [
        browser.get(
            callback,
            headers={**NAVIGATE, "Cookie": "; ".join(f"{name}={value}" for value in order)},
        ).status_code
        for order in (values, values[::-1])
    ]
    assert statuses == [400, 303]


@pytest.mark.requirement("R19")
def test_nothing_is_decompressed_before_its_signature_is_checked(app: Flask) -> None:
    bomb = _bomb(50)
    for name, form in itertools.product(
        ("openrouter.12345678", "openrouter"), (".{}", ".{}.aaaaaa.{}", "x.{}", "{}")
    ):
        visitor = Visitor(app)
        plant_cookie(visitor, name, form.format(bomb, "A" * 27))
        visitor.get("/guarded")
        tracemalloc.start()
        try:
            _visit_everything(visitor)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 10 * 2**20, (name, form)


@pytest.mark.requirement("R20")
def test_the_cookies_of_the_extension_have_known_names(
    visitor: Visitor, emulator: Emulator
) -> None:
    """A new name needs cases in the tests above."""
    visitor.connect(emulator)
    visitor.start()
    names = sorted(re.sub(r"\.[A-Za-z0-9_-]{8}$", ".part", name) for name in save_jar(visitor))
    assert names == ["openrouter", "openrouter.part", "openrouter.part"]
