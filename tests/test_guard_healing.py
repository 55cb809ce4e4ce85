"""Missing and dead keys: the visitor's own asks to connect, another is an error of the view."""

from __future__ import annotations

import re
from typing import Any

import pytest
from failing_storage import FailingStorage
from flask import Blueprint, request
from visitor import NAVIGATE, Visitor

from flask_openrouter import OpenRouterClient, current_openrouter, requires_openrouter_key
from flask_openrouter.errors import KeyRejectedError, NotConnectedError
from flask_openrouter.storage.memory import MemoryStorage

pytest_plugins = "sites"


@pytest.fixture
def team_site(make_site: Any) -> Any:
    """A site whose users share a key of their team; the header ``X-User`` names the user."""
    site = make_site({"storage": MemoryStorage()})
    site.auth.owner_loader(lambda: request.headers.get("X-User"))
    site.app.add_url_rule("/team", "team", lambda: str(site.auth.for_owner("team").key_info()))
    guarded = Blueprint("guarded", "guarded")
    site.auth.protect(guarded)
    guarded.add_url_rule("/guarded-team", "team", lambda: site.auth.for_owner("team").masked_key)
    site.app.register_blueprint(guarded)
    return site


def connect(site: Any, user: str) -> None:
    visitor = Visitor(site.app)
    url = site.emulator.approve(visitor.get("/openrouter/login", **{"X-User": user}).location)
    assert visitor.get(url, **{"X-User": user}).status_code == 303


def test_a_connected_visitor_is_not_sent_to_connect_for_the_key_of_another(team_site: Any) -> None:
    """It would not help, and each round would make another key."""
    connect(team_site, "alice")
    with pytest.raises(NotConnectedError):
        team_site.visitor.get("/guarded-team", **{"X-User": "alice"})


def test_the_dead_key_of_another_owner_does_not_ask_to_connect(team_site: Any) -> None:
    connect(team_site, "team")
    with team_site.emulator.faults(status=401, path="/api/v1/key"):
        assert team_site.visitor.get("/team").status_code == 502


@pytest.mark.parametrize("is_guarded", [False, True])
def test_the_dead_key_of_the_app_is_an_error_of_the_view(
    is_guarded: bool, site: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The visitor's key stays, and the visitor is not sent to connect."""
    dead = site.emulator.issue_key()
    site.emulator.revoke(dead)

    def view() -> str:
        return str(OpenRouterClient(site.emulator.url).get_key_info(dead))

    site.app.add_url_rule("/v", "v", requires_openrouter_key(view) if is_guarded else view)
    if not is_guarded:
        assert site.visitor.get("/v").status_code == 502
    site.connect()
    assert site.visitor.get("/v").status_code == 502
    assert site.visitor.key is not None
    assert re.search(r"\(request_failed\): shown with reference \w+\. [A-Z]", caplog.text)


@pytest.mark.requirement("A16")
def test_a_refused_exchange_of_a_view_is_not_about_the_visitors_key(site: Any) -> None:
    """The request has no key, so a 401 says nothing about one."""

    @site.app.get("/v")
    @requires_openrouter_key
    def view() -> str:
        with pytest.raises(KeyRejectedError) as caught:
            OpenRouterClient(site.emulator.url).exchange_code("a-code")
        assert caught.value.key_hash == ""
        raise caught.value

    site.connect()
    with site.emulator.faults(status=401, path="/api/v1/auth/keys"):
        assert site.visitor.get("/v").status_code == 502
    assert site.visitor.key is not None


@pytest.mark.parametrize("use", ["session", "key_info"])
def test_the_dead_key_of_the_visitor_asks_to_connect(use: str, site: Any) -> None:
    uses = {
        "session": lambda: current_openrouter.session.get("key").text,
        "key_info": lambda: str(current_openrouter.key_info()),
    }
    site.app.add_url_rule("/open", "open", uses[use])
    site.connect()
    site.emulator.revoke(site.issued_key())
    assert site.visitor.get("/open").status_code == 303
    assert site.visitor.key is None


def test_a_key_that_openrouter_rejects_sends_the_visitor_to_connect_again(site: Any) -> None:
    @site.app.get("/chat")
    @requires_openrouter_key
    def chat() -> str:
        return str(current_openrouter.session.get("key").json()["data"]["label"])

    site.connect()
    api_key = site.issued_key()
    assert site.visitor.get("/chat").status_code == 200
    site.emulator.revoke(api_key)
    headers = {"Sec-Fetch-Mode": "cors", "Referer": "http://localhost/chat"}
    script = site.visitor.get("/chat", **headers)
    assert script.status_code == 401
    assert script.json["error"] == "key_rejected"
    assert site.visitor.key is None
    assert site.visitor.get("/chat").location == "/openrouter/login?next=/chat"


def test_a_new_key_that_is_rejected_too_is_a_problem_and_no_reason_to_connect(site: Any) -> None:
    ran = []

    @site.app.get("/chat")
    @requires_openrouter_key
    def chat() -> str:
        ran.append(1)
        return str(current_openrouter.key_info())

    for _ in range(2):
        site.connect()
        site.emulator.revoke(site.issued_key())
        response = site.visitor.get("/chat")
    # The first response is made after the view, and the second instead of it.
    for answer in (response, site.visitor.get("/chat")):
        assert answer.status_code == 502
        assert "OpenRouter does not accept the new key" in answer.text
    assert len(ran) == 2


def test_openrouter_is_asked_once_about_a_key_that_a_view_reports(
    site: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @site.app.get("/doubted")
    @requires_openrouter_key
    def doubted() -> str:
        raise KeyRejectedError

    @site.app.get("/dead")
    @requires_openrouter_key
    def dead() -> str:
        return str(OpenRouterClient(site.emulator.url).get_key_info(current_openrouter.api_key))

    site.connect()
    assert site.visitor.get("/doubted").status_code == 502
    assert "(unconfirmed): shown with reference" in caplog.text
    assert str(KeyRejectedError()) in caplog.text
    assert site.emulator.count("GET", "/api/v1/key") == 1
    site.emulator.revoke(site.issued_key())
    assert site.visitor.get("/dead").status_code == 303
    assert site.emulator.count("GET", "/api/v1/key") == 2


def test_a_view_may_report_a_dead_key_by_raising_the_error(site: Any) -> None:
    @site.app.post("/ask")
    @requires_openrouter_key(on_missing="json", next="/page")
    def asking() -> str:
        raise KeyRejectedError

    site.connect()
    site.emulator.revoke(site.issued_key())
    response = site.visitor.post("/ask")
    assert (response.status_code, response.json["error"]) == (401, "key_rejected")
    assert response.json["login_url"] == "/openrouter/login?next=/page"
    assert site.visitor.key is None


def test_the_errors_of_an_open_view_ask_to_connect(site: Any) -> None:
    def not_connected() -> str:
        raise NotConnectedError("no key")

    def rejected() -> str:
        raise KeyRejectedError

    site.app.add_url_rule("/open", "open", lambda: current_openrouter.api_key)
    site.app.add_url_rule("/raise", "raise", not_connected)
    site.app.add_url_rule("/reject", "reject", rejected)
    for path in ("/open", "/raise", "/reject"):
        asked = site.visitor.get(path)
        assert (asked.status_code, asked.location) == (303, f"/openrouter/login?next={path}")
        scripted = site.app.test_client().get(path, headers={**NAVIGATE, "Sec-Fetch-Mode": "cors"})
        assert scripted.status_code == 401
    site.connect()
    assert site.visitor.get("/reject").status_code == 502
    assert site.visitor.key is not None
    site.emulator.revoke(site.issued_key())
    site.clock.now += 60
    assert site.visitor.get("/reject").status_code == 303
    assert site.visitor.key is None


def test_a_view_may_disconnect_before_it_raises_the_error_again(make_site: Any) -> None:
    site = make_site({"storage": MemoryStorage()})
    site.auth.owner_loader(lambda: "alice")

    @site.app.get("/view")
    def view() -> str:
        try:
            return current_openrouter.session.get("key").text
        except KeyRejectedError:
            current_openrouter.disconnect()
            raise

    site.connect()
    site.emulator.revoke(site.issued_key())
    assert site.visitor.get("/view").status_code == 303


def test_a_key_that_vanishes_during_the_view_gives_the_response_that_the_view_asked_for(
    site: Any,
) -> None:
    @site.app.get("/view")
    @requires_openrouter_key(on_missing="json", next="/chat")
    def view() -> str:
        current_openrouter.disconnect()
        return current_openrouter.api_key

    site.connect()
    response = site.visitor.get("/view", headers=NAVIGATE)
    assert response.status_code == 401
    assert response.json == {
        "error": "key_required",
        "message": "Connect OpenRouter first",
        "login_url": "/openrouter/login?next=/chat",
    }


@pytest.mark.parametrize("has_own_handler", [False, True])
def test_a_protected_blueprint_asks_to_connect_despite_its_own_error_handler(
    has_own_handler: bool, site: Any
) -> None:
    pages = Blueprint("pages", "pages")
    site.auth.protect(pages)
    if has_own_handler:
        pages.register_error_handler(Exception, lambda error: ("broken", 500))
    pages.add_url_rule("/page", "page", lambda: str(current_openrouter.key_info()))

    @pages.get("/left")
    def left() -> str:
        current_openrouter.disconnect()
        return current_openrouter.api_key

    site.app.register_blueprint(pages)
    site.connect()
    assert site.visitor.get("/page").status_code == 200
    site.emulator.revoke(site.issued_key())
    asked = site.visitor.get("/page")
    assert (asked.status_code, asked.location) == (303, "/openrouter/login?next=/page")
    assert site.visitor.key is None
    site.connect()
    assert site.visitor.get("/left").status_code == 303


@pytest.mark.parametrize("path", ["/guarded-view", "/open-view", "/protected-view"])
def test_a_storage_that_dies_while_a_dead_key_is_forgotten_is_a_503(
    path: str, make_site: Any
) -> None:
    storage = FailingStorage()
    site = make_site({"storage": storage})

    def view() -> str:
        site.emulator.revoke(current_openrouter.api_key)
        storage.failing.add("get")
        raise KeyRejectedError

    pages = Blueprint("pages", "pages")
    site.auth.protect(pages)
    pages.add_url_rule("/protected-view", "protected", view)
    site.app.register_blueprint(pages)
    site.app.add_url_rule("/open-view", "open", view)
    site.app.add_url_rule("/guarded-view", "guarded-view", requires_openrouter_key(lambda: view()))
    site.connect()
    response = site.visitor.get(path)
    assert response.status_code == 503
    assert "storage_unavailable" in response.text
    storage.failing.clear()
    assert site.visitor.key is not None
