"""``POST /auth``: approving and denying, by the right form only."""

from __future__ import annotations

import pytest
import requests
from cases import case
from protocol_steps import (
    CALLBACK_URL,
    CODE_CHALLENGE,
    CODE_VERIFIER,
    PLAIN,
    S256,
    ask,
    authorization_url,
    code_in,
    consent_on,
    decide,
)

from flask_openrouter.emulator import Emulator


def test_a_consent_page_works_once(emulator: Emulator, http: requests.Session) -> None:
    consent = consent_on(ask(http, authorization_url(emulator, **S256)))
    assert decide(http, emulator, consent, "approve").status_code == 303
    again = decide(http, emulator, consent, "approve")
    assert again.status_code == 400
    assert "Location" not in again.headers


def test_an_approval_needs_a_pending_consent(emulator: Emulator, http: requests.Session) -> None:
    for consent in ["", "made-up", "\u00e9", "x" * 5000]:
        with case(consent):
            response = decide(http, emulator, consent, "approve")
            assert response.status_code == 400
            assert "Location" not in response.headers


def test_a_form_of_another_site_decides_nothing(emulator: Emulator, http: requests.Session) -> None:
    for headers in [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ]:
        with case(headers):
            consent = consent_on(ask(http, authorization_url(emulator, **S256)))
            assert decide(http, emulator, consent, "approve", **headers).status_code == 403
            own = {"Origin": emulator.url, "Sec-Fetch-Site": "same-origin"}
            assert decide(http, emulator, consent, "approve", **own).status_code == 303


def test_an_unknown_decision_does_not_spend_the_consent(
    emulator: Emulator, http: requests.Session
) -> None:
    consent = consent_on(ask(http, authorization_url(emulator, **S256)))
    assert decide(http, emulator, consent, "perhaps").status_code == 400
    assert decide(http, emulator, consent, "deny").status_code == 303


def test_a_denial_returns_to_the_bare_callback(emulator: Emulator) -> None:
    assert emulator.deny(authorization_url(emulator, state="x", **S256)) == CALLBACK_URL


def test_a_denial_can_carry_an_error_instead(emulator: Emulator) -> None:
    with emulator.configured(deny_style="error", echo_state=True):
        callback = emulator.deny(authorization_url(emulator, state="top", **S256))
    assert callback.startswith(f"{CALLBACK_URL}&error=access_denied&error_description=")
    assert "top" not in callback


@pytest.mark.requirement("E8")
def test_a_top_level_state_comes_back_on_approval_only(emulator: Emulator) -> None:
    url = authorization_url(emulator, state="top level", **S256)
    assert emulator.approve(url).endswith("&state=top+level")
    assert emulator.deny(url) == CALLBACK_URL
    assert "state=top" not in emulator.approve(authorization_url(emulator, **S256))
    with emulator.configured(echo_state=False):
        assert "top" not in emulator.approve(url)
        assert code_in(emulator.approve(url))


@pytest.mark.requirement("E8")
def test_a_denial_returns_the_state_only_when_switched_on(emulator: Emulator) -> None:
    url = authorization_url(emulator, state="top", **S256)
    with emulator.configured(echo_state_on_denial=True):
        assert emulator.deny(url) == f"{CALLBACK_URL}&state=top"
        with emulator.configured(deny_style="error"):
            callback = emulator.deny(url)
    assert "error=access_denied" in callback
    assert callback.endswith("&state=top")


@pytest.mark.requirement("E8")
def test_a_headless_page_shows_no_state(emulator: Emulator, http: requests.Session) -> None:
    url = f"{emulator.url}/auth?code_challenge={CODE_VERIFIER}&state=top-level-state"
    response = decide(http, emulator, consent_on(ask(http, url)), "approve")
    assert response.status_code == 200
    assert "top-level-state" not in response.text


def test_a_conflict_is_shown_on_the_page_without_redirect(
    emulator: Emulator, http: requests.Session
) -> None:
    consent = consent_on(ask(http, authorization_url(emulator, **S256)))
    with emulator.configured(create_code_conflict=True):
        response = decide(http, emulator, consent, "approve")
    assert response.status_code == 409
    assert "Error granting auth" in response.text
    assert "Location" not in response.headers


def test_headless_needs_a_code_challenge(emulator: Emulator, http: requests.Session) -> None:
    assert ask(http, f"{emulator.url}/auth").status_code == 400
    url = f"{emulator.url}/auth?code_challenge={CODE_VERIFIER}"
    assert ask(http, url).status_code == 200


def test_headless_shows_the_code(emulator: Emulator, http: requests.Session) -> None:
    url = f"{emulator.url}/auth?code_challenge={CODE_CHALLENGE}&code_challenge_method=S256"
    page = ask(http, url)
    assert page.headers["Content-Security-Policy"].endswith("form-action 'self'")
    assert emulator.approve_headless(url).startswith("auth_code_")


def test_headless_denial_ends_on_a_page(emulator: Emulator, http: requests.Session) -> None:
    url = f"{emulator.url}/auth?code_challenge={PLAIN['code_challenge']}"
    response = decide(http, emulator, consent_on(ask(http, url)), "deny")
    assert response.status_code == 200
    assert "No key was created" in response.text
