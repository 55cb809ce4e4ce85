"""Attacks on a whole login: stolen and injected codes, and other providers.

(RFC 7636; RFC 9700 §2.1.1, §4.4, §4.5 and §4.8; OWASP ASVS 5.0, 10.2 and 10.4.6.)
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from attack import (
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
    """The provider accepts any code_verifier for such a code, so only the state stops it."""
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
        # With the state, the provider accepts the code.
        own = state_of(visitor.start("/own"))
        landed = visitor.get(f"{CALLBACK}?code={attackers_code()}&state={own}")
        assert landed.status_code == 303


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


@pytest.mark.requirement("R17")
def test_a_login_is_finished_only_at_the_provider_where_it_began(
    make_app: Any, emulator: Emulator
) -> None:
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
