from __future__ import annotations

import uuid
from urllib.parse import parse_qsl, urlsplit

import pytest
from cases import case
from hypothesis import given
from hypothesis import strategies as st

from flask_openrouter.client import OpenRouterClient
from flask_openrouter.errors import ConfigurationError

CALLBACK = "https://app.example/openrouter/callback"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
WORKSPACE = "0b5f0c9e-2c6e-4f2a-9e1b-0d9a2d6b7c11"
client = OpenRouterClient()


def parameters(url: str) -> dict[str, str]:
    pairs = parse_qsl(urlsplit(url).query, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


@pytest.mark.requirement("R112")
def test_default_address_is_openrouters_consent_page():
    assert client.authorization_url(CALLBACK, CHALLENGE).startswith("https://openrouter.ai/auth?")


def test_s256_is_the_default_with_a_challenge():
    assert parameters(client.authorization_url(CALLBACK, CHALLENGE)) == {
        "callback_url": CALLBACK,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }


def test_plain_and_no_challenge_are_possible():
    plain = client.authorization_url(CALLBACK, "~" * 128, "plain")
    assert parameters(plain)["code_challenge_method"] == "plain"
    assert parameters(client.authorization_url(CALLBACK)) == {"callback_url": CALLBACK}


def test_headless_sends_no_callback():
    url = client.authorization_url(code_challenge=CHALLENGE, key_label="My laptop")
    assert parameters(url) == {
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "key_label": "My laptop",
    }


def test_headless_needs_a_challenge():
    with pytest.raises(ValueError, match="headless"):
        client.authorization_url()


def test_state_is_added_to_the_query_of_the_callback():
    url = client.authorization_url(CALLBACK, CHALLENGE, state="a b&c=d")
    assert "state" not in parameters(url)
    assert parameters(url)["callback_url"] == f"{CALLBACK}?state=a%20b%26c%3Dd"


def test_the_callbacks_own_query_is_unchanged():
    for callback, expected in [
        (f"{CALLBACK}?x=1&y", f"{CALLBACK}?x=1&y&state=S"),
        (f"{CALLBACK}?x=%26", f"{CALLBACK}?x=%26&state=S"),
        (f"{CALLBACK}?", f"{CALLBACK}?state=S"),
        (f"{CALLBACK}?x&", f"{CALLBACK}?x&state=S"),
        ("https://app.example", "https://app.example?state=S"),
    ]:
        with case(callback, expected):
            assert (
                parameters(client.authorization_url(callback, state="S"))["callback_url"]
                == expected
            )


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=80))
def test_any_printable_state_survives_two_encodings(state):
    callback = parameters(client.authorization_url(CALLBACK + "?x=1", state=state))["callback_url"]
    assert parse_qsl(urlsplit(callback).query) == [("x", "1"), ("state", state)]


def test_https_and_loopback_callbacks_are_accepted():
    for callback in [
        "http://localhost:3000/callback",
        "http://127.0.0.1:51423/callback",
        "http://[::1]:3000/callback",
        "https://app.example:8443/callback/~x;y,z(1)",
        "https://xn--bcher-kva.example/callback",
    ]:
        with case(callback):
            assert parameters(client.authorization_url(callback))["callback_url"] == callback


@pytest.mark.requirement("R73")
def test_other_callbacks_are_refused():
    for callback in [
        "http://app.example/callback",
        "http://localhost.evil.example/callback",
        "http://127.0.0.1.nip.io/callback",
        "http://0.0.0.0/callback",
        "http://2130706433/callback",
        "http:///callback",
        "https://app.example:99999/callback",
        "https://app.example:0/callback",
        "https://user@app.example/callback",
        "https://app.example/callback#fragment",
        "https://app.example/callback#",
        "https://app.example/a b",
        "https://app.example/\\evil",
        "https://app.example\\@evil.example/",
        "https://app.example, evil.example/callback",
        "https://app.example/caf\u00e9",
        "https://app.example/callback\n",
        "/callback",
        "app.example/callback",
        "//app.example/callback",
        "myapp://callback",
        "javascript:alert(1)",
        "",
        7,
    ]:
        with case(callback), pytest.raises(ValueError, match="callback_url must"):
            client.authorization_url(callback, CHALLENGE)


def test_callback_must_not_have_a_code_or_state():
    """With two of either, the app would refuse the callback as ambiguous."""
    for query in ["?code=x", "?a&code", "?state=x", "?a=b&state="]:
        with case(query), pytest.raises(ValueError, match="of its own"):
            client.authorization_url(CALLBACK + query, state="S")


def test_callback_may_have_a_state_when_none_is_added():
    url = client.authorization_url(f"{CALLBACK}?state=mine&my_code=1", CHALLENGE)
    assert parameters(url)["callback_url"] == f"{CALLBACK}?state=mine&my_code=1"


def test_malformed_state_is_refused():
    for state in ["", "a\nb", "\u00e9", "x" * 1_025, 7]:
        with case(state), pytest.raises(ValueError, match="state must be"):
            client.authorization_url(CALLBACK, state=state)


def test_state_needs_a_callback():
    with pytest.raises(ValueError, match="state travels inside"):
        client.authorization_url(code_challenge=CHALLENGE, state="S")


def test_malformed_pkce_parameters_are_refused():
    for challenge, method, problem in [
        (None, "S256", "without code_challenge"),
        (CHALLENGE, "s256", "exactly"),
        (CHALLENGE, "none", "exactly"),
        (CHALLENGE, "", "exactly"),
        (CHALLENGE + "=", "S256", "43 characters"),
    ]:
        with case(challenge, method, problem), pytest.raises(ValueError, match=problem):
            client.authorization_url(CALLBACK, challenge, method)


def test_limit_is_sent_as_a_plain_number_even_when_it_is_0():
    for limit, sent in [
        (0, "0"),
        (0.0, "0"),
        (-0.0, "0"),
        (10, "10"),
        (10.0, "10"),
        (0.5, "0.5"),
        (1e-5, "0.00001"),
    ]:
        with case(limit, sent):
            assert parameters(client.authorization_url(CALLBACK, limit=limit))["limit"] == sent


def test_other_limits_are_refused():
    for limit in [
        -1,
        -0.01,
        float("nan"),
        float("inf"),
        float("-inf"),
        True,
        False,
        "10",
        b"1",
        [1],
    ]:
        with case(limit), pytest.raises(ValueError, match="limit must be"):
            client.authorization_url(CALLBACK, limit=limit)


def test_label_of_1_to_100_characters_is_sent():
    for label in ["x", "x" * 100, "Zo\u00eb's \U0001f600 app & more"]:
        with case(label):
            assert (
                parameters(client.authorization_url(CALLBACK, key_label=label))["key_label"]
                == label
            )


def test_other_labels_are_refused():
    for label in ["", "x" * 101, "a\nb", "\u202eabc", 7]:
        with case(label), pytest.raises(ValueError, match="key_label must"):
            client.authorization_url(CALLBACK, key_label=label)


def test_workspaces_are_sent():
    for value in (WORKSPACE, WORKSPACE.upper(), uuid.UUID(WORKSPACE)):
        for name in ("workspace_id", "required_workspace_id"):
            with case(name, value):
                url = client.authorization_url(CALLBACK, CHALLENGE, **{name: value})
                assert parameters(url)[name] == WORKSPACE
    both = client.authorization_url(
        code_challenge=CHALLENGE, workspace_id=WORKSPACE, required_workspace_id=WORKSPACE
    )
    assert {"workspace_id", "required_workspace_id"} < set(parameters(both))


def test_other_workspaces_are_refused():
    for value in ("", "mine", WORKSPACE[1:], WORKSPACE + "0", 7, True, [WORKSPACE], b"x" * 36):
        for name in ("workspace_id", "required_workspace_id"):
            with case(name, value), pytest.raises(ValueError, match=f"^{name} must be a UUID$"):
                client.authorization_url(CALLBACK, CHALLENGE, **{name: value})


def test_base_url_is_normalised_and_shown():
    emulated = OpenRouterClient("http://127.0.0.1:5000/api/v1/")
    assert emulated.base_url == "http://127.0.0.1:5000"
    assert emulated.authorization_url(CALLBACK).startswith("http://127.0.0.1:5000/auth?")
    assert repr(emulated) == "<OpenRouterClient http://127.0.0.1:5000>"


def test_wrong_settings_are_named():
    for settings, problem in [
        ({"timeout": 0}, "timeout"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"timeout": "15"}, "timeout"),
        ({"retries": -1}, "retries"),
        ({"retries": 11}, "retries"),
        ({"retries": True}, "retries"),
        ({"retries": 1.5}, "retries"),
        ({"app_url": "app.example"}, "app_url"),
        ({"app_url": "https://app.example/\r\nX: y"}, "app_url"),
        ({"app_url": 7}, "app_url"),
        ({"app_title": ""}, "app_title"),
        ({"app_title": "Caf\u00e9"}, "app_title"),
        ({"app_title": "a\r\nX: y"}, "app_title"),
        ({"app_title": "x" * 201}, "app_title"),
        ({"app_title": " x"}, "app_title"),
        ({"app_title": 7}, "app_title"),
        ({"app_categories": "game"}, "app_categories"),
        ({"app_categories": ["chess"]}, "does not know 'chess'"),
        ({"app_categories": ["game", "legal", "roleplay"]}, "at most 2"),
    ]:
        with case(settings, problem), pytest.raises(ConfigurationError, match=problem):
            OpenRouterClient(**settings)
