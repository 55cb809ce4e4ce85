"""What an attacker does with browsers, and how a test tells that nothing came of it."""

from __future__ import annotations

import re
import warnings
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from leaks import leaks_in, response_bytes, without_logins
from visitor import STATES, Visitor
from werkzeug.test import TestResponse

from flask_openrouter.emulator import Emulator
from flask_openrouter.login.cookies import read_login
from flask_openrouter.login.logins import Login

EXCHANGE = "/api/v1/auth/keys"


def exchanges(emulator: Emulator) -> int:
    """How many codes were sent to OpenRouter."""
    return emulator.count("POST", EXCHANGE)


def parameter(url: str, name: str) -> str:
    """Return the one parameter of this name."""
    (value,) = parse_qs(urlsplit(url).query)[name]
    return value


def state_of(url: str) -> str:
    """Return the state in a callback address, or in the authorization URL that holds one."""
    query = parse_qs(urlsplit(url).query)
    return (
        parameter(query["callback_url"][0], "state")
        if "callback_url" in query
        else (query["state"][0])
    )


def logins(visitor: Visitor) -> list[Login]:
    """Return the logins that are in this browser's cookies, however old.

    Without a request to the app, whose hooks may count them.
    """
    cookies = visitor.app.extensions["openrouter"].login_cookies
    flasks = SecureCookieSessionInterface()
    signer = cookies._make_signer((flasks.key_derivation, flasks.digest_method))
    prefix = cookies._cookie.name(is_https=visitor.base_url.startswith("https:")) + "."
    jar = save_jar(visitor).items()
    found = [
        read_login(signer, f".{name.removeprefix(prefix)}", value)
        for name, value in jar
        if name.startswith(prefix)
    ]
    return [login for login in found if login is not None]


def pending(visitor: Visitor) -> list[tuple[str, str]]:
    """Return state and code_verifier of the logins that wait in this browser."""
    return [
        (STATES[login.part], login.code_verifier)
        for login in logins(visitor)
        if login.code_verifier is not None
    ]


def states(visitor: Visitor) -> list[str]:
    return [state for state, _ in pending(visitor)]


def save_jar(visitor: Visitor) -> dict[str, str]:
    """Return a copy of this browser's cookies."""
    domain = urlsplit(visitor.base_url).hostname or ""
    # The client has no public list of them.
    cookies = (visitor.client._cookies or {}).values()
    return {cookie.key: cookie.value for cookie in cookies if cookie.domain == domain}


def load_jar(visitor: Visitor, jar: dict[str, str]) -> None:
    """Replace this browser's cookies."""
    domain = urlsplit(visitor.base_url).hostname or ""
    for name in save_jar(visitor):
        visitor.client.delete_cookie(name, domain=domain)
    for name, value in jar.items():
        visitor.client.set_cookie(name, value, domain=domain)


def plant_cookie(visitor: Visitor, name: str, value: str) -> None:
    """Give this browser a cookie of any size; no real one would keep more than 4 kB."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        visitor.client.set_cookie(name, value)


def browser_with(app: Flask, jar: dict[str, str]) -> Visitor:
    """Return another browser, or the same one at a restarted app, with these cookies."""
    visitor = Visitor(app)
    load_jar(visitor, jar)
    return visitor


def assert_refused(
    visitor: Visitor, emulator: Emulator, url: str, *, spends: str | None = None
) -> TestResponse:
    """Visit ``url``, a callback that must be refused: 4xx, no exchange, nothing changed or shown.

    ``spends``: the state of the login that the refusal takes out; the others all stay.
    """
    before = (exchanges(emulator), visitor.key)
    waiting = states(visitor)
    answer = visitor.get(url)
    assert 400 <= answer.status_code < 500, (answer.status, answer.location)
    assert (exchanges(emulator), visitor.key) == before
    assert states(visitor) == [state for state in waiting if state != spends]
    assert_shows_nothing_of(url, answer)
    return answer


def assert_shows_nothing_of(url: str, answer: TestResponse) -> None:
    """No code and no state of this callback address is in the answer."""
    query = parse_qs(urlsplit(url).query)
    values = {
        f"{name} {number}": value
        for name in ("code", "state")
        for number, value in enumerate(query.get(name, []))
        if len(value) >= 8
    }
    assert leaks_in(without_logins(response_bytes(answer)), values) == []


def set_cookies(answer: TestResponse) -> dict[str, tuple[str, dict[str, str]]]:
    """Return what the answer sets: name -> (value, attributes in lower case)."""
    found = {}
    for header in answer.headers.getlist("Set-Cookie"):
        pair, *rest = re.split(r";\s*", header)
        name, _, value = pair.partition("=")
        attributes = {key.lower(): text for key, _, text in (part.partition("=") for part in rest)}
        found[name] = (value, attributes)
    return found
