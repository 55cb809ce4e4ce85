"""PKCE with S256 and nothing else, no mix-up of providers, and nothing from the request upstream.

(RFC 7636; RFC 9700 §2.1.1, §4.4, §4.5 and §4.8; RFC 9207; OWASP ASVS 5.0, 10.2 and 10.4.6.)
"""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from attack import (
    EXCHANGE,
    assert_refused,
    browser_with,
    exchanges,
    parameter,
    pending,
    save_jar,
    state_of,
)
from flask import Flask
from visitor import NAVIGATE, Visitor
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from flask_openrouter import OpenRouterAuth
from flask_openrouter.emulator import Emulator, run_in_thread
from flask_openrouter.errors import ConfigurationError

CALLBACK = "http://localhost/openrouter/callback"


@pytest.mark.requirement("R14")
def test_a_code_without_a_challenge_cannot_be_injected(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    """The provider takes any code_verifier for such a code: the state alone has to stop it."""
    attacker = Visitor(app)
    attackers_state = state_of(attacker.start())
    visitor.start("/own")
    with emulator.configured(lenient_pkce=True):

        def attackers_code() -> str:
            asked = urlencode({"callback_url": CALLBACK})
            return parameter(emulator.approve(f"{emulator.url}/auth?{asked}"), "code")

        for state in ("", "&state=", f"&state={attackers_state}", f"&state={'A' * 43}", "&state=*"):
            assert_refused(visitor, emulator, f"{CALLBACK}?code={attackers_code()}{state}")
        assert exchanges(emulator) == 0
        assert len(pending(visitor)) == 1
        # The provider is as lenient as this test says: with the state, the code would do.
        own = state_of(visitor.start("/own"))
        landed = visitor.get(f"{CALLBACK}?code={attackers_code()}&state={own}")
        assert landed.status_code == 303


@pytest.mark.requirement("R15")
@pytest.mark.parametrize(
    "query",
    [
        "",
        "?code_challenge_method=plain&code_challenge=x",
        "?code_challenge_method=&code_challenge=",
        "?code_challenge_method=plain&code_challenge_method=S512",
        "?code_verifier=" + "A" * 43,
    ],
)
def test_every_login_uses_s256(visitor: Visitor, emulator: Emulator, query: str) -> None:
    location = visitor.get(f"/openrouter/login{query}").location
    sent = parse_qs(urlsplit(location).query)
    (challenge,) = sent["code_challenge"]
    assert sent["code_challenge_method"] == ["S256"]
    assert len(challenge) == 43

    assert visitor.get(emulator.approve(location)).status_code == 303

    (exchange,) = [record for record in emulator.requests if record.path == EXCHANGE]
    assert set(exchange.body) == {"code", "code_verifier", "code_challenge_method"}
    assert exchange.body["code_challenge_method"] == "S256"
    # The emulator records the SHA-256 of the code_verifier: the challenge, spelled differently.
    algorithm, _, digest = exchange.body["code_verifier"].partition(":")
    assert algorithm == "sha256"
    assert base64.urlsafe_b64encode(bytes.fromhex(digest)).rstrip(b"=").decode() == challenge


@pytest.mark.requirement("R15")
def test_no_setting_weakens_pkce(make_app: Any) -> None:
    visitor = Visitor(
        make_app(
            OPENROUTER_CODE_CHALLENGE_METHOD="plain",
            OPENROUTER_PKCE=False,
            OPENROUTER_USE_PKCE=False,
            OPENROUTER_CODE_CHALLENGE="x" * 43,
        )
    )
    assert parameter(visitor.start(), "code_challenge_method") == "S256"
    assert parameter(visitor.start(), "code_challenge") != "x" * 43


@pytest.mark.requirement("R15", "F5", "F6")
@pytest.mark.parametrize(
    ("status", "message"), [(400, "Invalid code_challenge_method"), (405, "Method Not Allowed")]
)
def test_a_refusal_of_the_method_brings_no_second_try(
    visitor: Visitor, emulator: Emulator, status: int, message: str
) -> None:
    callback = emulator.approve(visitor.start())
    body = {"error": {"code": status, "message": message}}
    with emulator.faults(status=status, body=body, path=EXCHANGE, times=None):
        answer = visitor.get(callback)
        assert answer.status_code in (400, 502)
        assert message not in answer.text
        assert exchanges(emulator) == 1
        assert_refused(visitor, emulator, callback)
    assert visitor.key is None


@pytest.mark.requirement("R16")
def test_a_stolen_code_is_worthless_in_the_thiefs_browser(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    stolen = parameter(emulator.approve(visitor.start()), "code")
    thief = Visitor(app)
    answer = thief.get(thief.callback_url(thief.start(), code=stolen))
    assert answer.status_code == 400
    assert thief.key is None
    assert exchanges(emulator) == 1


@pytest.mark.requirement("F4")
def test_the_visitor_is_not_told_which_of_code_and_verifier_was_wrong(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    pages = []
    for code in ("no-such-code", parameter(emulator.approve(Visitor(app).start()), "code")):
        page = visitor.get(visitor.callback_url(visitor.start(), code=code)).text
        pages.append(page.partition("reference")[0].partition("<h1")[2])
    assert pages[0] == pages[1] != ""


@pytest.mark.requirement("R17")
def test_a_login_is_finished_only_where_it_began(make_app: Any, emulator: Emulator) -> None:
    secret = "the secret key outlives the restart"
    visitor = Visitor(make_app(SECRET_KEY=secret))
    callback = emulator.approve(visitor.start())
    with run_in_thread() as other:
        after = browser_with(
            make_app(SECRET_KEY=secret, OPENROUTER_BASE_URL=other.url), save_jar(visitor)
        )
        assert_refused(after, emulator, callback)
        assert other.requests == []
    back = browser_with(make_app(SECRET_KEY=secret), save_jar(after))
    assert back.get(callback).status_code == 303


@pytest.mark.requirement("R17")
def test_two_extensions_in_one_app_are_an_error(app: Flask) -> None:
    with pytest.raises(ConfigurationError, match="already"):
        OpenRouterAuth(app, url_prefix="/second")


@pytest.mark.requirement("R17")
def test_two_apps_of_one_site_do_not_finish_each_others_logins(
    make_app: Any, emulator: Emulator
) -> None:
    """One host, one cookie jar, one SECRET_KEY; each app has a provider of its own."""
    secret = "the same key for both of the apps"
    with run_in_thread() as other:
        one = make_app(SECRET_KEY=secret)
        two = make_app(SECRET_KEY=secret, OPENROUTER_BASE_URL=other.url)
        browser = Client(DispatcherMiddleware(one, {"/two": two}))
        location = browser.get("/openrouter/login", headers=NAVIGATE).headers["Location"]
        callback = urlsplit(emulator.approve(location))
        for prefix, status in (("/two", 400), ("", 303)):
            answer = browser.get(f"{prefix}{callback.path}?{callback.query}", headers=NAVIGATE)
            assert answer.status_code == status
        assert other.requests == []


HOSTILE = urlencode(
    {
        "callback_url": "https://evil.example/",
        "redirect_uri": "https://evil.example/",
        "base_url": "https://evil.example/",
        "key_label": "<script>",
        "limit": "1000000",
        "state": "x" * 43,
        "code_verifier": "x" * 43,
        "api_key": "sk-or-v1-evil",
        "key": "sk-or-v1-evil",
    }
)
HOSTILE_HEADERS = {
    "X-OpenRouter-Base": "https://evil.example",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Original-URL": "/evil",
    "Forwarded": "host=evil.example",
    "Referer": "https://evil.example/",
    "Authorization": "Bearer sk-or-v1-evil",
}


@pytest.mark.requirement("R18")
def test_nothing_in_the_request_steers_the_login(visitor: Visitor, emulator: Emulator) -> None:
    plain = urlsplit(visitor.get("/openrouter/login").location)
    hostile = urlsplit(visitor.get(f"/openrouter/login?{HOSTILE}", **HOSTILE_HEADERS).location)
    assert hostile[:3] == plain[:3]
    assert "evil" not in hostile.query
    assert set(parse_qs(hostile.query)) == set(parse_qs(plain.query))
    (callback,) = parse_qs(hostile.query)["callback_url"]
    assert callback.startswith(f"{CALLBACK}?state=")
    assert "x" * 43 not in hostile.query


@pytest.mark.requirement("R18")
def test_nothing_in_the_request_steers_the_callback(visitor: Visitor, emulator: Emulator) -> None:
    callback = emulator.approve(visitor.start())
    hostile = HOSTILE.replace(f"&state={'x' * 43}", "")
    landed = visitor.get(f"{callback}&{hostile}", **HOSTILE_HEADERS)
    assert (landed.status_code, landed.location) == (303, "/")
    (exchange,) = [record for record in emulator.requests if record.path == EXCHANGE]
    assert set(exchange.body) == {"code", "code_verifier", "code_challenge_method"}
    assert "evil" not in str(exchange)
    assert exchange.api_key_hash is None
