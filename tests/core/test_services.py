"""States that are spent, and the door to what an app has."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from flask import Flask

from flask_openrouter.login.spent import SpentStates
from flask_openrouter.web import get_services


def test_a_state_is_claimed_once_while_it_may_live() -> None:
    spent = SpentStates(600)
    assert spent.claim("a", 1_000)
    assert not spent.claim("a", 1_000)
    assert not spent.claim("a", 1_599)
    assert spent.claim("b", 1_599)
    assert spent.claim("a", 1_600), "too old to be accepted anywhere, so it need not be kept"
    assert not spent.claim("b", 1_600)


def test_of_many_claims_at_once_one_wins() -> None:
    spent = SpentStates(600)
    for number in range(50):
        with ThreadPoolExecutor(8) as pool:
            claims = pool.map(lambda _, n=number: spent.claim(f"state {n}", 0.0), range(16))
        assert sum(claims) == 1


def test_the_number_of_states_is_bounded() -> None:
    spent = SpentStates(600, most=3)
    for state in "abcd":
        assert spent.claim(state, 0)
    assert [spent.claim(state, 0) for state in "dcb"] == [False, False, False]
    assert spent.claim("a", 0), "the oldest had to go"


def test_an_app_without_the_extension_says_what_is_missing() -> None:
    app = Flask("bare")
    with app.app_context(), pytest.raises(RuntimeError, match=r"OpenRouterAuth\(app\)") as caught:
        get_services()
    assert caught.value.__cause__ is None


def test_what_an_app_has_is_frozen_and_shows_no_secret(make_app: Any) -> None:
    secret = "a secret key to be looked for"
    uri = "postgresql+psycopg://me:hunter2@db.example/keys"
    app = make_app(SECRET_KEY=secret)
    services = app.extensions["openrouter"]
    with pytest.raises(FrozenInstanceError):
        services.settings = None
    with pytest.raises(FrozenInstanceError):
        services.settings.base_url = "https://evil.example"
    assert secret not in repr(services)
    settings = make_app(SECRET_KEY=secret, OPENROUTER_STORAGE_URI=uri).extensions["openrouter"]
    assert "hunter2" not in repr(settings)
