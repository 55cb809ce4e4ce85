"""Cookies and sessions that are forged, old, tossed, cached or misconfigured.

(OWASP ASVS 5.0, 3.3 and 7.2.1; CVE-2023-30861; CVE-2023-29019; RFC 6265bis §4.1.3.)
"""

from __future__ import annotations

import base64
import json
import logging
import secrets
import tracemalloc
import zlib
from typing import Any

import pytest
from attack import assert_refused, load_jar, pending, plant_cookie, save_jar, set_cookies
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


def _visit_everything(visitor: Visitor) -> None:
    """Guarded, status, login, callback, disconnect: refused or working, never broken."""
    assert visitor.get("/guarded").status_code == 303
    assert visitor.get("/openrouter/status").get_json()["connected"] is False
    assert visitor.get("/openrouter/callback?state=" + STATE + "&code=x").status_code == 400
    assert visitor.post("/openrouter/disconnect").status_code == 303
    assert visitor.post("/openrouter/save").status_code < 500
    assert visitor.get("/openrouter/login").status_code == 303


@pytest.mark.requirement("R19")
@pytest.mark.parametrize("name", ["session", "openrouter", "openrouter-unsaved"])
def test_a_garbage_cookie_is_no_cookie(stored_apps: Any, emulator: Emulator, name: str) -> None:
    app = stored_apps()
    for value in GARBAGE:
        visitor = Visitor(app)
        plant_cookie(visitor, name, value)
        _visit_everything(visitor)
        assert visitor.connect(emulator).status_code == 303
        assert visitor.key is not None


@pytest.mark.requirement("R19")
def test_a_session_of_another_salt_or_key_is_none(app: Flask, emulator: Emulator) -> None:
    secret = app.config["SECRET_KEY"]
    for cookie in (_signed(secret, "another-salt"), _signed(secret + "x", "cookie-session")):
        visitor = Visitor(app)
        visitor.client.set_cookie("session", cookie)
        _visit_everything(visitor)
        assert len(pending(visitor)) == 1


@pytest.mark.requirement("R19")
@pytest.mark.parametrize("name", ["session", "openrouter"])
def test_a_flipped_bit_anywhere_voids_the_cookie(
    stored_apps: Any, emulator: Emulator, name: str
) -> None:
    visitor = Visitor(stored_apps())
    visitor.connect(emulator)
    visitor.start()
    jar = save_jar(visitor)
    cookie = jar[name]
    for third in range(3):
        place = len(cookie) * third // 3 + len(cookie) // 7
        flipped = cookie[:place] + chr(ord(cookie[place]) ^ 1) + cookie[place + 1 :]
        load_jar(visitor, {**jar, name: flipped})
        assert visitor.get("/guarded").status_code == (303 if name == "openrouter" else 200)
        if name == "session":
            assert pending(visitor) == []
        assert visitor.get("/openrouter/login").status_code == 303


@pytest.mark.requirement("R19")
def test_of_two_session_cookies_the_first_counts(app: Flask, emulator: Emulator) -> None:
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
@pytest.mark.parametrize("name", ["session", "openrouter"])
@pytest.mark.parametrize("form", [".{}", ".{}.aaaaaa.{}", "x.{}", "{}"])
def test_nothing_is_decompressed_before_its_signature_is_checked(
    app: Flask, name: str, form: str
) -> None:
    visitor = Visitor(app)
    plant_cookie(visitor, name, form.format(_bomb(50), "A" * 27))
    visitor.get("/guarded")
    tracemalloc.start()
    try:
        _visit_everything(visitor)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * 2**20


PLANTED = [
    *(None, 7, -1, "x", "", [], {}, True, 1.5, {"x": []}, {"v": 99}, [None], [[]], [[None] * 7]),
    *([[1, 2, 3]], ["abcdefg"], [{"state": STATE}], [[STATE, VERIFIER]], [[[[[]]]]], (1, 2), b"x"),
    # Each field in turn out of its bounds; and versions with other fields.
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
def test_what_another_version_wrote_is_nothing(app: Flask, emulator: Emulator) -> None:
    for planted in PLANTED:
        visitor = Visitor(app)
        with visitor.client.session_transaction() as session:
            session["_openrouter"] = planted
        _visit_everything(visitor)
        assert visitor.connect(emulator).status_code == 303


@pytest.mark.requirement("R20")
def test_the_one_key_in_the_session_is_known(visitor: Visitor, emulator: Emulator) -> None:
    """A new key in the session needs a place in the tests above."""
    visitor.connect(emulator)
    visitor.start()
    with visitor.client.session_transaction() as session:
        assert set(session) == {"_openrouter"}


@pytest.mark.requirement("R26")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_our_cookies_are_locked_down(stored_apps: Any, emulator: Emulator, scheme: str) -> None:
    visitor = Visitor(stored_apps(), base_url=f"{scheme}://localhost")
    answers = [visitor.connect(emulator), visitor.post("/openrouter/disconnect")]
    name = "__Host-openrouter" if scheme == "https" else "openrouter"
    for answer, is_set in zip(answers, (True, False), strict=True):
        value, attributes = set_cookies(answer)[name]
        assert bool(value) is is_set
        assert attributes["path"] == "/"
        assert attributes["samesite"] == "Lax"
        assert "httponly" in attributes
        assert "domain" not in attributes
        assert ("secure" in attributes) is (scheme == "https")
        assert (int(attributes["max-age"]) > 0) is is_set
    assert visitor.key is None


@pytest.mark.requirement("R26")
def test_what_the_app_demands_of_its_session_our_cookie_keeps(
    make_app: Any, emulator: Emulator
) -> None:
    """A proxy speaks https for the app, which sees http: the browser must not send it in clear."""
    app = make_app(
        SESSION_COOKIE_SECURE=True,
        OPENROUTER_CALLBACK_URL="https://localhost/openrouter/callback",
    )
    # The browser talks to the proxy by https, and the proxy to the app by http.
    app.wsgi_app = _PlainHTTP(app.wsgi_app)
    visitor = Visitor(app, base_url="https://localhost")
    landed = visitor.connect(emulator)
    assert landed.status_code == 303
    assert "secure" in set_cookies(landed)["__Host-openrouter"][1]
    assert visitor.key is not None


@pytest.mark.requirement("R26")
def test_an_https_callback_address_makes_our_cookies_secure(
    make_app: Any, emulator: Emulator
) -> None:
    """Behind a proxy that ends TLS, without ProxyFix, the setting alone knows what visitors use."""
    app = make_app(OPENROUTER_CALLBACK_URL="https://localhost/openrouter/callback")
    app.wsgi_app = _PlainHTTP(app.wsgi_app)
    visitor = Visitor(app, base_url="https://localhost")
    cookies = set_cookies(visitor.connect(emulator))
    ours = {name for name in cookies if "openrouter" in name}
    assert {"__Host-openrouter"} <= ours
    for name in ours:
        assert name.startswith("__Host-")
        assert "secure" in cookies[name][1]
    assert visitor.key is not None


class _PlainHTTP:
    """What reaches an app behind a proxy that ends TLS, without ProxyFix."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        return self._app({**environ, "wsgi.url_scheme": "http"}, start_response)


@pytest.mark.requirement("R26")
def test_a_settings_domain_does_not_widen_our_cookie(make_app: Any, emulator: Emulator) -> None:
    app = make_app(
        SESSION_COOKIE_DOMAIN="localhost",
        SESSION_COOKIE_PATH="/sub",
        SESSION_COOKIE_HTTPONLY=False,
        APPLICATION_ROOT="/",
    )
    visitor = Visitor(app, base_url="https://localhost")
    authorization_url = visitor.start()
    # The session of this app is sent to /sub only; the test lends it to the callback.
    cookie = visitor.client.get_cookie("session", domain="localhost", path="/sub")
    assert cookie is not None
    visitor.client.set_cookie("session", cookie.value, domain="localhost", secure=True)
    landed = visitor.get(emulator.approve(authorization_url))
    ours = {n: c for n, c in set_cookies(landed).items() if n.startswith("__Host-openrouter-")}
    assert len(ours) == 2
    for _, attributes in ours.values():
        assert attributes["path"] == "/"
        assert {"secure", "httponly"} <= set(attributes)
        assert "domain" not in attributes


@pytest.mark.requirement("R27")
def test_a_sibling_subdomain_cannot_finish_a_login_with_tossed_cookies(
    make_app: Any, emulator: Emulator
) -> None:
    """The example's advice: name the session ``__Host-…``, which no other host can set."""
    app = make_app(SESSION_COOKIE_NAME="__Host-session", SESSION_COOKIE_SECURE=True)
    at = {"base_url": "https://localhost"}
    attacker, victim = Visitor(app, **at), Visitor(app, **at)
    planted = emulator.approve(attacker.start())
    attacker.get(emulator.approve(attacker.start()))
    own = emulator.approve(victim.start("/own"))
    for name in ("__Host-session", "__Host-openrouter"):
        cookie = attacker.client.get_cookie(name, domain="localhost")
        assert cookie is not None
        for tossed in (name.removeprefix("__Host-"), name.lower()):
            victim.client.set_cookie(tossed, cookie.value, domain="localhost", path="/openrouter")
    assert_refused(victim, emulator, planted)
    assert victim.key is None
    assert victim.get(own).location == "/own"


@pytest.mark.requirement("R28", "F23")
def test_a_strict_session_cookie_is_named_at_start(
    make_app: Any, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "flask_openrouter"):
        app = make_app(SESSION_COOKIE_SAMESITE="Strict")
    assert "SESSION_COOKIE_SAMESITE" in caplog.text
    assert "Lax" in caplog.text
    visitor = Visitor(app)
    callback = emulator.approve(visitor.start())
    # A browser keeps the cookie back on the way from another site, and sends it on a reload.
    page = app.test_client(use_cookies=False).get(callback, headers=NAVIGATE)
    assert page.status_code == 400
    assert "SameSite=Strict" in page.text
    assert "attack" not in page.text
    assert page.location is None
    assert visitor.get(callback).status_code == 303


@pytest.mark.requirement("R28", "F24")
@pytest.mark.parametrize("url", ["http://localhost/openrouter/callback", None])
def test_a_secure_session_cookie_on_http_is_named(
    make_app: Any, emulator: Emulator, caplog: pytest.LogCaptureFixture, url: str | None
) -> None:
    """At start where the address is configured; else when the first login begins."""
    with caplog.at_level(logging.WARNING, "flask_openrouter"):
        app = make_app(SESSION_COOKIE_SECURE=True, OPENROUTER_CALLBACK_URL=url)
        if url is None:
            Visitor(app).start()
    assert "SESSION_COOKIE_SECURE" in caplog.text
    visitor = Visitor(app)
    callback = emulator.approve(visitor.start())
    # Some browsers do not keep such a cookie on http; the test client does.
    page = app.test_client(use_cookies=False).get(callback, headers=NAVIGATE)
    assert page.status_code == 400
    assert "Secure" in page.text
    assert page.location is None


@pytest.mark.requirement("F26")
def test_another_app_on_this_host_may_use_the_same_cookie_names(
    make_app: Any, emulator: Emulator
) -> None:
    """Ports do not separate cookies: the other app's session replaces ours in mid-login."""
    visitor = Visitor(make_app())
    callback = emulator.approve(visitor.start())
    neighbour = Visitor(make_app(SECRET_KEY=secrets.token_hex()))
    neighbour.start()
    load_jar(visitor, save_jar(neighbour))
    assert_refused(visitor, emulator, callback)
    assert visitor.connect(emulator).status_code == 303
