"""Whose missing or dead key it is: the visitor's heals, any other is the view's trouble."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Blueprint, request
from visitor import Visitor

from flask_openrouter import OpenRouterClient, current_openrouter
from flask_openrouter.client.credentials import hash_of_key
from flask_openrouter.errors import KeyRejectedError, NotConnectedError
from flask_openrouter.storage.memory import MemoryStorage

SOME_KEY = "sk-or-v1-" + 64 * "0"


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


def test_who_is_connected_is_not_sent_to_connect_for_the_key_of_another(team_site: Any) -> None:
    """It would help nobody, and each round would make another key."""
    connect(team_site, "alice")
    with pytest.raises(NotConnectedError):
        team_site.visitor.get("/guarded-team", **{"X-User": "alice"})


def test_the_dead_key_of_another_is_no_reason_to_connect(team_site: Any) -> None:
    connect(team_site, "team")
    with (
        team_site.emulator.faults(status=401, path="/api/v1/key"),
        pytest.raises(KeyRejectedError),
    ):
        team_site.visitor.get("/team")


def test_the_apps_own_dead_key_is_no_reason_to_connect(site: Any) -> None:
    client = OpenRouterClient(site.emulator.url)
    site.app.add_url_rule("/own", "own", lambda: str(client.get_key_info(SOME_KEY)))
    with pytest.raises(KeyRejectedError):
        site.visitor.get("/own")


@pytest.mark.parametrize("use", ["session", "key_info"])
def test_the_visitors_own_dead_key_is(use: str, site: Any) -> None:
    uses = {
        "session": lambda: current_openrouter.session.get("key").text,
        "key_info": lambda: str(current_openrouter.key_info()),
    }
    site.app.add_url_rule("/open", "open", uses[use])
    site.connect()
    site.emulator.revoke(site.issued_key())
    assert site.visitor.get("/open").status_code == 303
    assert site.visitor.key is None


def test_a_view_may_disconnect_by_itself_before_it_lets_the_error_go_on(make_site: Any) -> None:
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


def test_a_detached_connection_knows_its_own_dead_key(make_site: Any) -> None:
    site = make_site({"storage": MemoryStorage()})
    site.auth.owner_loader(lambda: "alice")
    site.connect()
    with site.app.test_request_context():
        connection = current_openrouter.detach()
        other = KeyRejectedError()
        other.key_hash = hash_of_key(SOME_KEY)
        assert not connection.is_meant_by(other)
        site.emulator.revoke(connection.api_key)
    with site.app.app_context(), pytest.raises(KeyRejectedError) as rejected:
        connection.key_info()
    assert not connection
    assert connection.is_meant_by(rejected.value)
    assert not connection.is_meant_by(other)


def test_a_protected_blueprint_heals_before_its_handler_for_every_exception(site: Any) -> None:
    pages = Blueprint("pages", "pages")
    site.auth.protect(pages)
    pages.register_error_handler(Exception, lambda error: ("broken", 500))
    pages.add_url_rule("/page", "page", lambda: str(current_openrouter.key_info()))

    @pages.get("/left")
    def left() -> str:
        current_openrouter.disconnect()
        return current_openrouter.api_key

    site.app.register_blueprint(pages)
    site.connect()
    site.emulator.revoke(site.issued_key())
    assert site.visitor.get("/page").status_code == 303
    site.connect()
    assert site.visitor.get("/left").status_code == 303
