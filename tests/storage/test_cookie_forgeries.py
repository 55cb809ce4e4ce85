"""Cookies and sessions that are forged, damaged, planted or of another version.

(OWASP ASVS 5.0, 3.3 and 7.2.1.)
"""

from __future__ import annotations

import base64
import itertools
import json
import tracemalloc
import zlib
from typing import Any

import pytest
from attack import load_jar, pending, plant_cookie, save_jar, state_of, states
from flask import Flask
from itsdangerous import URLSafeTimedSerializer
from visitor import NAVIGATE, Visitor

from flask_openrouter.emulator import Emulator

STATE, VERIFIER, ISSUED_AT, BINDING = "A" * 22, "B" * 43, "6b49d200", "C" * 8
ENTRY = STATE + VERIFIER + ISSUED_AT + BINDING
SAMPLE = {"_openrouter": [ENTRY]}


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
    *(("cookie", name) for name in ("session", "openrouter-unsaved")),
    *(
        pytest.param(kind, name, marks=pytest.mark.every_variant)
        for kind in SERVER_SIDE
        for name in ("session", "openrouter-unsaved")
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
@pytest.mark.parametrize(("all_stored_apps", "name"), GARBAGE_COOKIES, indirect=["all_stored_apps"])
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
def test_a_session_signed_with_another_salt_or_key_counts_as_none(
    app: Flask, emulator: Emulator
) -> None:
    secret = app.config["SECRET_KEY"]
    for cookie in (_signed(secret, "another-salt"), _signed(secret + "x", "cookie-session")):
        visitor = Visitor(app)
        visitor.client.set_cookie("session", cookie)
        _visit_everything(visitor)
        assert len(pending(visitor)) == 1


@pytest.mark.requirement("R19")
def test_a_flipped_bit_invalidates_the_cookie(stored_apps: Any, emulator: Emulator) -> None:
    visitor = Visitor(stored_apps())
    visitor.connect(emulator)
    visitor.start()
    jar = save_jar(visitor)
    for name, status in (("session", 200), ("openrouter", 303)):
        cookie = jar[name]
        for third in range(3):
            place = len(cookie) * third // 3 + len(cookie) // 7
            flipped = cookie[:place] + chr(ord(cookie[place]) ^ 1) + cookie[place + 1 :]
            load_jar(visitor, {**jar, name: flipped})
            assert visitor.get("/guarded").status_code == status, (name, place)
            if name == "session":
                assert pending(visitor) == [], place
            assert visitor.get("/openrouter/login").status_code == 303, (name, place)


@pytest.mark.requirement("R19")
def test_the_first_of_two_session_cookies_counts(app: Flask, emulator: Emulator) -> None:
    one, two = Visitor(app), Visitor(app)
    callbacks = [emulator.approve(visitor.start()) for visitor in (one, two)]
    both = "; ".join(f"session={save_jar(visitor)['session']}" for visitor in (one, two))
    browser = app.test_client(use_cookies=False)
    statuses = [
        browser.get(callback, headers={**NAVIGATE, "Cookie": both}).status_code
        for callback in reversed(callbacks)
    ]
    assert statuses == [400, 303]


@pytest.mark.requirement("R19")
def test_nothing_is_decompressed_before_its_signature_is_checked(app: Flask) -> None:
    bomb = _bomb(50)
    for name, form in itertools.product(
        ("session", "openrouter"), (".{}", ".{}.aaaaaa.{}", "x.{}", "{}")
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


STRUCTURES = [
    *(None, 7, -1, "x", "", [], {}, True, 1.5, {"x": []}, {"v": 99}, [None], [[]], [[None] * 7]),
    *([[1, 2, 3]], ["abcdefg"], [{"state": STATE}], [[STATE, VERIFIER]], [[[[[]]]]], (1, 2), b"x"),
]
PLANTED = [
    *STRUCTURES,
    # Each character of each field is wrong once. Then entries that are cut, or have more fields.
    *(
        [ENTRY[:place] + wrong + ENTRY[place + 1 :]]
        for place in range(81)
        for wrong in "\ud800 é/\n"
    ),
    *([ENTRY[:cut]] for cut in range(len(ENTRY))),
    *([ENTRY + more] for more in ("0", "y", "xx", "px", "pp/", "xpz", " /", "https://x", "\ud800")),
    *([wrong] for wrong in (f"{{{ENTRY}}}", [ENTRY], {"v": ENTRY}, ENTRY.encode(), 10**400, -1)),
]


@pytest.mark.requirement("R20")
def test_what_another_version_wrote_into_the_session_is_ignored(
    app: Flask, emulator: Emulator
) -> None:
    for planted in PLANTED:
        visitor = Visitor(app)
        with visitor.client.session_transaction() as session:
            session["_openrouter"] = planted
        if planted in STRUCTURES:
            _visit_everything(visitor)
            assert visitor.connect(emulator).status_code == 303, planted
            continue
        # These pages read the entries.
        assert visitor.get(f"/openrouter/callback?state={STATE}&code=x").status_code == 400, planted
        assert state_of(visitor.start()) in states(visitor), planted


@pytest.mark.requirement("R20")
def test_the_session_holds_one_name_of_the_extension(visitor: Visitor, emulator: Emulator) -> None:
    """A new name in the session needs cases in the tests above."""
    visitor.connect(emulator)
    visitor.start()
    with visitor.client.session_transaction() as session:
        assert set(session) == {"_openrouter"}
