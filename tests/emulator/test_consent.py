"""``GET /auth``: refused and accepted parameters, and the consent page."""

from __future__ import annotations

import pytest
import requests
from cases import case
from protocol_steps import (
    CALLBACK_URL,
    CODE_CHALLENGE,
    CODE_VERIFIER,
    S256,
    ask,
    authorization_url,
    consent_on,
    decide,
)

from flask_openrouter.emulator import Emulator


def test_approval_returns_to_the_callback_and_keeps_its_query(emulator: Emulator) -> None:
    callback = emulator.approve(authorization_url(emulator, **S256))
    assert callback.startswith(f"{CALLBACK_URL}&code=auth_code_")


def test_approval_adds_the_first_parameter_of_a_bare_callback(emulator: Emulator) -> None:
    url = authorization_url(emulator, callback_url="http://127.0.0.1:5000/callback/nonce", **S256)
    assert emulator.approve(url).startswith("http://127.0.0.1:5000/callback/nonce?code=auth_code_")


def test_callbacks_on_this_machine_are_accepted(emulator: Emulator) -> None:
    for callback_url in [
        "http://localhost:3000/cb",
        "http://LOCALHOST/cb",
        "https://localhost/cb",
        "http://127.0.0.1:1/",
        "http://127.9.8.7:65535/cb",
        "http://[::1]:3000/cb",
    ]:
        with case(callback_url):
            url = authorization_url(emulator, callback_url=callback_url, **S256)
            assert emulator.approve(url).startswith(callback_url.lower())


@pytest.mark.requirement("R104")
def test_a_foreign_callback_is_refused_without_redirect(
    emulator: Emulator, http: requests.Session
) -> None:
    for callback_url in [
        "https://evil.example",
        "https://evil.example/localhost",
        "javascript:alert(1)",
        "//evil.example/",
        "//localhost/cb",
        "/cb",
        "localhost:3000/cb",
        "",
        "http://",
        "http://localhost@evil.example/",
        "http://evil.example@localhost/",
        "http://@localhost/",
        "http://localhost.evil.example/",
        "http://127.0.0.1.nip.io/",
        "http://0.0.0.0:3000/",
        "http://[::]:3000/",
        "http://[::1/",
        "http://[::1].evil.example/",
        "https://[::1].evil.example/",
        "http://[::1]evil.example/",
        "http://[::1]:3000.evil.example/",
        "http://[::1]:/",
        "http://localhost%2eevil.example/",
        "http://localhost;evil.example/",
        "http://localhost,evil.example/",
        "http://local_host.evil.example/",
        "http://localhost:0/",
        "http://localhost:99999/",
        "http://localhost:port/",
        "http://localhost\\@evil.example/",
        "http://localhost/\r\nX-Header: 1",
        "http://localhost/ space",
        "http://localhost/\u00e9",
        "http://localhost/cb#fragment",
        "http://localhost/cb#",
        "ftp://localhost/",
        "http://2130706433/",
        "http://127.1/",
        "http://localhost/" + "x" * 10_240,
    ]:
        with case(callback_url):
            page = ask(http, authorization_url(emulator, callback_url=callback_url, **S256))
            assert page.status_code == 400
            assert "Location" not in page.headers
            assert "<form" not in page.text
            assert page.headers["X-OpenRouter-Emulator"] == "1"


def test_a_callback_of_2048_characters_is_the_longest(
    emulator: Emulator, http: requests.Session
) -> None:
    stem = "http://localhost/"
    longest = stem + "x" * (2048 - len(stem))
    assert ask(http, authorization_url(emulator, callback_url=longest)).status_code == 200
    assert ask(http, authorization_url(emulator, callback_url=longest + "x")).status_code == 400


def test_bad_parameters_are_refused(emulator: Emulator, http: requests.Session) -> None:
    for parameters in [
        {"code_challenge": ""},
        {"code_challenge": CODE_CHALLENGE, "code_challenge_method": "s256"},
        {"code_challenge": CODE_CHALLENGE, "code_challenge_method": "PLAIN"},
        {"code_challenge": CODE_CHALLENGE, "code_challenge_method": ""},
        {"code_challenge": CODE_CHALLENGE + "=", "code_challenge_method": "S256"},
        {"code_challenge": CODE_CHALLENGE[:-1], "code_challenge_method": "S256"},
        {"code_challenge": "x" * 42, "code_challenge_method": "plain"},
        {"code_challenge": "x" * 129, "code_challenge_method": "plain"},
        {"code_challenge_method": "S256"},
        {"limit": "-1"},
        {"limit": "nan"},
        {"limit": "inf"},
        {"limit": "1e99"},
        {"limit": "1000000001"},
        {"state": "x" * 4097},
        {"workspace_id": "not-a-uuid"},
        {"workspace_id": ""},
        {"required_workspace_id": "not-a-uuid"},
        {"limit": "1_0"},
        {"limit": " 5"},
        {"limit": ""},
        {"limit": "five"},
        {"limit": "\u0665"},
        {"key_label": "x" * 101},
    ]:
        with case(parameters):
            page = ask(http, authorization_url(emulator, **parameters))
            assert page.status_code == 400


def test_a_repeated_parameter_is_refused(emulator: Emulator, http: requests.Session) -> None:
    for name in ["callback_url", "code_challenge", "state", "anything"]:
        with case(name):
            url = authorization_url(emulator, anything="1", state="1", **S256)
            assert ask(http, f"{url}&{name}=http://localhost/").status_code == 400


def test_a_limit_of_zero_or_more_is_granted(emulator: Emulator, http: requests.Session) -> None:
    for limit in ["0", "0.5", "100", "1e2", "2.5E-1", "7.4e+8", "1" + "0" * 9]:
        with case(limit):
            assert ask(http, authorization_url(emulator, limit=limit)).status_code == 200


def test_unknown_parameters_are_ignored(emulator: Emulator, http: requests.Session) -> None:
    url = authorization_url(emulator, spawn_agent="a", spawn_cloud="b", usage_limit_type="never")
    assert ask(http, url).status_code == 200


def test_the_page_names_the_app_and_its_request(emulator: Emulator, http: requests.Session) -> None:
    url = authorization_url(emulator, limit="12.5", key_label="Poem writer", **S256)
    page = ask(http, url).text
    for words in (
        "EMULATOR",
        "localhost:3000",
        "Poem writer",
        "$12.50",
        "PKCE with S256",
        ">Approve</button>",
        ">Deny</button>",
        "10 minutes",
    ):
        assert words in page
    assert "<script" not in page


def test_small_limits_are_shown_exactly(emulator: Emulator, http: requests.Session) -> None:
    for limit, shown in [("0", "$0.00"), ("0.0005", "$0.0005")]:
        with case(limit, shown):
            assert f"<dd>{shown}</dd>" in ask(http, authorization_url(emulator, limit=limit)).text


def test_the_page_points_out_a_missing_limit_and_missing_protection(
    emulator: Emulator, http: requests.Session
) -> None:
    page = ask(http, authorization_url(emulator)).text
    assert "none asked for" in page
    assert "the app sent no code challenge" in page


@pytest.mark.requirement("R104")
def test_the_page_escapes_the_values_of_the_app(emulator: Emulator, http: requests.Session) -> None:
    url = authorization_url(
        emulator,
        callback_url="http://localhost/cb?x=\"'><script>alert(1)</script>",
        key_label="<img src=x onerror=alert(1)>\"'",
        **S256,
    )
    page = ask(http, url).text
    assert "<img" not in page
    assert "<script" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


@pytest.mark.requirement("R104")
def test_the_page_can_neither_be_framed_nor_read_by_others(
    emulator: Emulator, http: requests.Session
) -> None:
    page = http.get(authorization_url(emulator, **S256), headers={"Origin": "https://evil.example"})
    policy = page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "form-action 'self' http://localhost:3000" in policy
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in page.headers


def test_addresses_that_csp_cannot_name_are_allowed_by_scheme(
    emulator: Emulator, http: requests.Session
) -> None:
    for callback_url, target in [
        ("http://[::1]:3000/cb", "'self' http:"),
        ("https://127.0.0.2/cb", "'self' https:"),
    ]:
        with case(callback_url, target):
            page = ask(http, authorization_url(emulator, callback_url=callback_url))
            assert page.headers["Content-Security-Policy"].endswith(f"form-action {target}")


@pytest.mark.requirement("R107")
def test_no_response_sets_a_cookie(emulator: Emulator, http: requests.Session) -> None:
    page = ask(http, authorization_url(emulator, **S256))
    response = decide(http, emulator, consent_on(page), "approve")
    assert response.status_code == 303
    assert not http.cookies
    assert "Set-Cookie" not in page.headers
    assert "Set-Cookie" not in response.headers


def test_errors_and_the_front_page_are_marked_as_well(
    emulator: Emulator, http: requests.Session
) -> None:
    for response in (
        http.put(f"{emulator.url}/auth"),
        http.get(f"{emulator.url}/nowhere"),
        http.get(f"{emulator.url}/"),
    ):
        assert "EMULATOR" in response.text
        assert response.headers["X-OpenRouter-Emulator"] == "1"
        assert "script" not in response.text


def test_a_405_response_lists_the_allowed_methods(
    emulator: Emulator, http: requests.Session
) -> None:
    """RFC 9110 section 15.5.6."""
    response = http.put(f"{emulator.url}/auth")
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, POST")


def test_the_front_page_lists_the_keys_without_showing_them(
    emulator: Emulator, http: requests.Session
) -> None:
    assert "None yet." in http.get(emulator.url).text
    api_key = emulator.issue_key(key_label="<b>bold</b>")
    page = http.get(emulator.url).text
    assert api_key not in page
    assert api_key[-3:] in page
    assert "&lt;b&gt;bold" in page


def test_the_visitor_reports_why_it_was_stopped(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match=r"answered 400 .* on localhost"):
        emulator.approve(f"{emulator.url}/auth?callback_url=https://evil.example")
    headless = f"{emulator.url}/auth?code_challenge={CODE_VERIFIER}"
    with pytest.raises(ValueError, match=r"answered 200 instead: .*Approved"):
        emulator.approve(headless)
    with pytest.raises(ValueError, match="answered 303"):
        emulator.approve_headless(authorization_url(emulator))
