"""The start of a login: the authorization request that the app sends, whatever the visitor asks."""

from __future__ import annotations

import base64
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

import pytest
from attack import (
    EXCHANGE,
    parameter,
)
from cases import case
from flask import Flask, request
from visitor import Visitor

from flask_openrouter import OpenRouterAuth, current_openrouter
from flask_openrouter.emulator import Emulator


def test_the_authorization_url_has_the_documented_parameters(visitor: Visitor) -> None:
    url = visitor.start()
    query = parse_qs(urlsplit(url).query)
    assert urlsplit(url).path == "/auth"
    assert set(query) == {"callback_url", "code_challenge", "code_challenge_method"}
    assert query["code_challenge_method"] == ["S256"]
    callback = urlsplit(query["callback_url"][0])
    assert callback.path == "/openrouter/callback"
    assert list(parse_qs(callback.query)) == ["state"]


@pytest.mark.requirement("R15")
def test_every_login_uses_s256(app: Flask, emulator: Emulator) -> None:
    for query in (
        "",
        "?code_challenge_method=plain&code_challenge=x",
        "?code_challenge_method=&code_challenge=",
        "?code_challenge_method=plain&code_challenge_method=S512",
        "?code_verifier=" + "A" * 43,
    ):
        emulator.reset()
        visitor = Visitor(app)
        location = visitor.get(f"/openrouter/login{query}").location
        sent = parse_qs(urlsplit(location).query)
        with case(query):
            (challenge,) = sent["code_challenge"]
            assert sent["code_challenge_method"] == ["S256"]
            assert len(challenge) == 43
            assert visitor.get(emulator.approve(location)).status_code == 303
            (exchange,) = [record for record in emulator.requests if record.path == EXCHANGE]
            assert set(exchange.body) == {"code", "code_verifier", "code_challenge_method"}
            assert exchange.body["code_challenge_method"] == "S256"
            # The emulator records the SHA-256 of the code_verifier: the challenge, in hexadecimal.
            algorithm, _, digest = exchange.body["code_verifier"].partition(":")
            assert algorithm == "sha256"
            encoded = base64.urlsafe_b64encode(bytes.fromhex(digest)).rstrip(b"=").decode()
            assert encoded == challenge


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


CALLBACK = "http://localhost/openrouter/callback"


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
def test_nothing_in_the_request_changes_the_login(visitor: Visitor, emulator: Emulator) -> None:
    plain = urlsplit(visitor.get("/openrouter/login").location)
    hostile = urlsplit(visitor.get(f"/openrouter/login?{HOSTILE}", **HOSTILE_HEADERS).location)
    assert hostile[:3] == plain[:3]
    assert "evil" not in hostile.query
    assert set(parse_qs(hostile.query)) == set(parse_qs(plain.query))
    (callback,) = parse_qs(hostile.query)["callback_url"]
    assert callback.startswith(f"{CALLBACK}?state=")
    assert "x" * 43 not in hostile.query


@pytest.mark.requirement("R18")
def test_nothing_in_the_request_changes_the_exchange(visitor: Visitor, emulator: Emulator) -> None:
    callback = emulator.approve(visitor.start())
    hostile = HOSTILE.replace(f"&state={'x' * 43}", "")
    landed = visitor.get(f"{callback}&{hostile}", **HOSTILE_HEADERS)
    assert (landed.status_code, landed.location) == (303, "/")
    (exchange,) = [record for record in emulator.requests if record.path == EXCHANGE]
    assert set(exchange.body) == {"code", "code_verifier", "code_challenge_method"}
    assert "evil" not in str(exchange)
    assert exchange.api_key_hash is None


WORKSPACE = "0b5f0c9e-2c6e-4f2a-9e1b-0d9a2d6b7c11"
OTHER_WORKSPACE = "12345678-1234-4234-8234-123456789012"


def asked(authorization_url: str) -> dict[str, list[str]]:
    query = parse_qs(urlsplit(authorization_url).query)
    names = ("limit", "key_label", "workspace_id", "required_workspace_id")
    return {name: query[name] for name in names if name in query}


def app_with(emulator: Emulator, options: Any, **config: Any) -> Flask:
    app = Flask("tested")
    app.config.update(TESTING=True, SECRET_KEY="k" * 32, OPENROUTER_BASE_URL=emulator.url, **config)
    auth = OpenRouterAuth(app)
    if options is not None:
        auth.key_options(options)
    return app


@pytest.mark.requirement("R110")
def test_the_limit_and_label_of_the_settings_are_sent(emulator: Emulator) -> None:
    app = app_with(emulator, None, OPENROUTER_KEY_LIMIT=0, OPENROUTER_KEY_LABEL="My app & co")
    assert asked(Visitor(app).start()) == {"limit": ["0"], "key_label": ["My app & co"]}


def test_key_options_decide_for_each_login(emulator: Emulator) -> None:
    app = app_with(
        emulator,
        lambda: {"limit": 20 if request.args.get("next") == "/big" else None},
        OPENROUTER_KEY_LIMIT=5,
        OPENROUTER_KEY_LABEL="Label",
    )
    visitor = Visitor(app)
    assert asked(visitor.start("/big")) == {"limit": ["20"], "key_label": ["Label"]}
    assert asked(visitor.start("/")) == {"key_label": ["Label"]}


def test_key_options_count_when_they_are_registered_after_a_login(emulator: Emulator) -> None:
    """The consent page's address is taken from the login before, if nothing else decides on it."""
    app = Flask("tested")
    app.config.update(TESTING=True, SECRET_KEY="k" * 32, OPENROUTER_BASE_URL=emulator.url)
    auth, visitor = OpenRouterAuth(app), Visitor(app)
    first, second = (parse_qs(urlsplit(visitor.start()).query) for _ in range(2))
    assert first.keys() == second.keys()
    for name in ("callback_url", "code_challenge"):
        assert first[name] != second[name]
        assert len(first[name][0]) == len(second[name][0])
    auth.key_options(lambda: {"limit": 3})
    assert asked(visitor.start()) == {"limit": ["3"]}


def test_key_options_may_return_none(emulator: Emulator) -> None:
    app = app_with(emulator, lambda: None, OPENROUTER_KEY_LIMIT=5)
    assert asked(Visitor(app).start()) == {"limit": ["5"]}


def test_the_visitor_cannot_choose_limit_or_label(emulator: Emulator) -> None:
    app = app_with(emulator, None, OPENROUTER_KEY_LIMIT=5)
    login = Visitor(app).get(
        f"/openrouter/login?limit=1000&key_label=mine&workspace_id={WORKSPACE}"
        f"&required_workspace_id={WORKSPACE}"
    )
    assert asked(login.location) == {"limit": ["5"]}


def test_the_workspaces_of_the_settings_are_sent(emulator: Emulator) -> None:
    app = app_with(
        emulator,
        None,
        OPENROUTER_WORKSPACE_ID=WORKSPACE.upper(),
        OPENROUTER_REQUIRED_WORKSPACE_ID=OTHER_WORKSPACE,
    )
    expected = {"workspace_id": [WORKSPACE], "required_workspace_id": [OTHER_WORKSPACE]}
    assert asked(Visitor(app).start()) == expected
    (link,) = re.findall(r'href="([^"]*/auth\?[^"]*)"', Visitor(app).get("/openrouter/code").text)
    assert asked(unescape(link)) == expected


def test_key_options_decide_on_the_workspace(emulator: Emulator) -> None:
    options: dict[str, Any] = {}
    app = app_with(emulator, lambda: options, OPENROUTER_WORKSPACE_ID=WORKSPACE)
    for changed, expected in (
        ({}, {"workspace_id": [WORKSPACE]}),
        ({"workspace_id": None}, {}),
        ({"workspace_id": OTHER_WORKSPACE}, {"workspace_id": [OTHER_WORKSPACE]}),
        (
            {"required_workspace_id": UUID(OTHER_WORKSPACE)},
            {"workspace_id": [WORKSPACE], "required_workspace_id": [OTHER_WORKSPACE]},
        ),
    ):
        options.clear()
        options |= changed
        with case(changed):
            assert asked(Visitor(app).start()) == expected


def test_the_key_is_in_the_required_workspace(emulator: Emulator) -> None:
    app = app_with(emulator, None, OPENROUTER_REQUIRED_WORKSPACE_ID=WORKSPACE)
    app.add_url_rule(
        "/workspace", view_func=lambda: str(current_openrouter.key_info().workspace_id)
    )
    visitor = Visitor(app)
    with emulator.configured(workspace_ids=(OTHER_WORKSPACE, WORKSPACE)):
        visitor.connect(emulator)
    assert visitor.get("/workspace").text == WORKSPACE


def test_wrong_key_options_are_an_error_of_the_app(emulator: Emulator) -> None:
    wrong: list[dict[str, Any]] = [
        {"limit": -1},
        {"key_label": "x" * 101},
        {"state": "x"},
        {"workspace_id": "mine"},
        {"required_workspace_id": ""},
    ]
    for options in wrong:
        app = app_with(emulator, lambda options=options: options)
        with case(options), pytest.raises(ValueError, match=r"limit|label|workspace|key_options"):
            Visitor(app).start()
