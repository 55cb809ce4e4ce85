"""Cookies and cache headers beside the app's own response hooks."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest
from flask import Flask, Response, request
from visitor import Visitor

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator

Hook = Callable[[Response], Response]


def visitor_of_site_with_hook(emulator: Emulator, hook: Hook, *, is_first: bool = False) -> Visitor:
    """Return a visitor of an app whose hook was registered after the extension, or before it."""
    app = Flask("site")
    app.config.update(SECRET_KEY=secrets.token_hex(), OPENROUTER_BASE_URL=emulator.url, DEBUG=True)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    if is_first:
        app.after_request(hook)
    OpenRouterAuth(app)
    if not is_first:
        app.after_request(hook)
    app.add_url_rule("/guarded", "guarded", requires_openrouter_key(lambda: "guarded"))
    app.add_url_rule("/", "home", lambda: "home")
    return Visitor(app)


def test_a_hook_may_look_at_the_connection_and_disconnect(emulator: Emulator) -> None:
    def hook(response: Response) -> Response:
        response.headers["X-Connected"] = str(bool(current_openrouter))
        if request.path == "/leave":
            current_openrouter.disconnect()
        return response

    visitor = visitor_of_site_with_hook(emulator, hook)
    visitor.connect(emulator)
    response = visitor.get("/")
    assert response.headers["X-Connected"] == "True"
    assert "Cookie" in response.vary
    assert response.headers["Cache-Control"] == "private"
    assert len(visitor.get("/leave").headers.getlist("Set-Cookie")) == 1
    assert visitor.get("/").headers["X-Connected"] == "False"


def test_a_hook_that_was_registered_before_the_extension_may_disconnect(
    emulator: Emulator,
) -> None:
    """Flask runs such hooks last."""

    def hook(response: Response) -> Response:
        if request.path == "/leave":
            current_openrouter.disconnect()
        return response

    visitor = visitor_of_site_with_hook(emulator, hook, is_first=True)
    visitor.connect(emulator)
    visitor.get("/leave")
    assert visitor.key is None


def test_a_cookie_that_is_written_twice_is_sent_once(emulator: Emulator) -> None:
    def hook(response: Response) -> Response:
        if request.path == "/openrouter/callback":
            current_openrouter.disconnect()
        return response

    visitor = visitor_of_site_with_hook(emulator, hook)
    names = [
        line.partition("=")[0] for line in visitor.connect(emulator).headers.getlist("Set-Cookie")
    ]
    assert sorted(name.partition(".")[0] for name in names) == ["openrouter", "openrouter"]
    assert visitor.key is None


@pytest.mark.parametrize("is_first", [True, False])
def test_a_hook_that_fails_loses_no_key_and_no_disconnect(
    is_first: bool, emulator: Emulator
) -> None:
    """Flask calls the hooks again for the page that reports the error."""

    def hook(response: Response) -> Response:
        if request.path.startswith("/openrouter/") and request.path != "/openrouter/login":
            raise OSError("the log is full")
        return response

    visitor = visitor_of_site_with_hook(emulator, hook, is_first=is_first)
    assert visitor.connect(emulator).status_code == 500
    assert visitor.key is not None
    assert visitor.post("/openrouter/disconnect").status_code == 500
    assert visitor.key is None


def test_a_hook_that_replaces_the_response_loses_no_cookie(emulator: Emulator) -> None:
    def hook(response: Response) -> Response:
        return Response(response.get_data(), response.status, {"Location": response.location or ""})

    visitor = visitor_of_site_with_hook(emulator, hook)
    visitor.get(emulator.approve(visitor.start()))
    assert visitor.key is not None
    assert visitor.get("/guarded").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("is_first", [True, False])
def test_a_hook_that_makes_all_pages_public_does_not_open_a_guarded_one(
    is_first: bool, emulator: Emulator
) -> None:
    def hook(response: Response) -> Response:
        response.headers.setdefault("Cache-Control", "public, max-age=60")
        return response

    visitor = visitor_of_site_with_hook(emulator, hook, is_first=is_first)
    visitor.connect(emulator)
    assert visitor.get("/guarded").headers["Cache-Control"] == "no-store"
    assert visitor.get("/").headers["Cache-Control"] == "public, max-age=60"


#: What an app may set on all its responses for its CDN. The last ones win over Cache-Control.
SHARED = (
    {"Cache-Control": "public, max-age=300"},
    {"Cache-Control": "s-maxage=300"},
    {"Cache-Control": "max-age=300"},
    {"Cache-Control": 'private="Set-Cookie", s-maxage=300'},
    {"Cache-Control": "private, max-age=300"},
    {"CDN-Cache-Control": "max-age=300"},
    {"Surrogate-Control": "max-age=300", "X-Accel-Expires": "300"},
)


@pytest.mark.requirement("R25")
@pytest.mark.parametrize("headers", SHARED, ids=str)
def test_no_hook_lets_a_cache_store_our_responses_or_cookies(
    headers: dict[str, str], emulator: Emulator
) -> None:
    """Two visitors with one login cookie could end up with one account."""

    def hook(response: Response) -> Response:
        response.headers.update(headers)
        response.headers["Vary"] = "Accept"
        return response

    visitor = visitor_of_site_with_hook(emulator, hook, is_first=True)
    public = {"Cache-Control": "public"}
    visitor.app.add_url_rule("/id", "id", lambda: (current_openrouter.visitor_id, public))
    found = {
        "guard": visitor.get("/guarded"),
        "page that sets a cookie": visitor.get("/id"),
        "login": visitor.get("/openrouter/login"),
        "code": visitor.get("/openrouter/code"),
        "callback": visitor.connect(emulator),
        "callback again": visitor.get("/openrouter/callback?code=a&state=b"),
        "status": visitor.get("/openrouter/status"),
        "usage": visitor.get("/openrouter/usage"),
        "disconnect": visitor.post("/openrouter/disconnect"),
        "disconnected": visitor.get("/openrouter/disconnected"),
    }
    visitor.app.extensions["openrouter"].app_functions.key_options = lambda: 1 / 0
    found["bug"] = visitor.get("/openrouter/login")
    assert found["bug"].status_code == 500
    for name, response in found.items():
        assert response.headers.getlist("Cache-Control") == ["no-store"], name
        assert {"Accept", "Cookie"} <= {*response.headers["Vary"].split(", ")}, name
        assert not (headers.keys() - {"Cache-Control"}) & {*response.headers.keys()}, name
    with visitor.get("/openrouter/static/openrouter.css") as style:
        assert headers.items() <= {*style.headers}
    assert headers.items() <= {*visitor.get("/").headers}


def test_a_header_that_a_hook_sets_is_completed(emulator: Emulator) -> None:
    expected = {
        ("Cache-Control", "max-age=60"): "max-age=60, private",
        ("Cache-Control", "no-cache"): "no-cache, private",
        ("Cache-Control", "public"): "public",
        ("Vary", "Accept"): "Accept, Cookie",
    }

    def hook(response: Response) -> Response:
        response.headers.update(request.args)
        return response

    visitor = visitor_of_site_with_hook(emulator, hook)
    visitor.connect(emulator)
    found = {
        (name, value): visitor.get(f"/guarded?{name}={value}").headers[name]
        for name, value in expected
    }
    assert found == expected


def test_a_hook_that_replaces_all_cookies_does_not_bring_a_key_back(emulator: Emulator) -> None:
    def hook(response: Response) -> Response:
        if request.path == "/openrouter/disconnect":
            response.headers["Set-Cookie"] = "theme=dark"
        return response

    visitor = visitor_of_site_with_hook(emulator, hook)
    visitor.connect(emulator)
    assert visitor.key is not None
    visitor.post("/openrouter/disconnect")
    assert visitor.key is None
