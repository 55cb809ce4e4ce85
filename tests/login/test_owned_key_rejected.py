"""A key that OpenRouter rejects is forgotten; every other error keeps it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Response, stream_with_context

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.client.credentials import hash_of_key
from flask_openrouter.errors import APIError, KeyRejectedError, OpenRouterError
from flask_openrouter.signals import key_connected
from flask_openrouter.storage.memory import MemoryStorage

pytest_plugins = "sites"

SOME_KEY = "sk-or-v1-" + 64 * "0"


@pytest.mark.requirement("R99")
def test_a_dead_key_is_forgotten_wherever_it_is_noticed(site: Any) -> None:
    calls = {
        "info": lambda: current_openrouter.key_info(),
        "session": lambda: current_openrouter.session.get("key"),
    }

    @site.app.get("/<name>")
    def use(name: str) -> str:
        with pytest.raises(KeyRejectedError):
            calls[name]()
        assert not current_openrouter
        return "noticed"

    for name in calls:
        site.connect()
        site.emulator.revoke(site.issued_key())
        assert site.visitor.get(f"/{name}").text == "noticed"
        assert site.visitor.key is None


@pytest.mark.requirement("R99")
def test_every_other_error_keeps_the_key(site: Any) -> None:
    @site.app.get("/use")
    @requires_openrouter_key
    def use() -> list[str]:
        raised = []
        for call in (lambda: current_openrouter.session.get("key"), current_openrouter.key_info):
            try:
                call()
            except OpenRouterError as error:
                raised.append(type(error).__name__)
        return raised

    site.connect()
    for status in (402, 403, 404, 408, 429, 500, 502, 503):
        with site.emulator.faults(status=status, path="/api/v1/key", times=None):
            response = site.visitor.get("/use")
        assert response.status_code == 200, status
        assert len(response.get_json()) >= 1, status
        assert site.visitor.key is not None, status


@pytest.mark.requirement("O3", "R99")
def test_a_401_that_is_not_confirmed_is_no_rejection(site: Any) -> None:
    @site.app.get("/use")
    def use() -> str:
        with pytest.raises(APIError) as raised:
            current_openrouter.session.get("models")
        assert not isinstance(raised.value, KeyRejectedError)
        return str(raised.value.reason)

    site.connect()
    with site.emulator.faults(path="/api/v1/models", status=401):
        assert site.visitor.get("/use").text == "unconfirmed"


def test_what_openrouter_has_said_about_a_key_is_not_asked_again(make_site: Any) -> None:
    site = make_site({"storage": MemoryStorage()})
    site.auth.owner_loader(lambda: "alice")
    site.connect()
    with site.app.app_context():
        connections = [site.auth.for_owner("alice") for _ in range(2)]
        assert all(connections)
        site.emulator.revoke(site.issued_key())
        with pytest.raises(KeyRejectedError):
            connections[0].key_info()
        with pytest.raises(KeyRejectedError):
            connections[1].session.get("credits")
    assert site.emulator.count("GET", "/api/v1/key") == 1


@pytest.mark.requirement("R99")
def test_a_key_that_was_replaced_meanwhile_is_kept(make_site: Any) -> None:
    """A slow call with the old key must not forget the new one."""
    site = make_site({"storage": MemoryStorage()})
    site.auth.owner_loader(lambda: "alice")
    site.connect()
    old_key = site.issued_key()
    with site.app.app_context():
        slow = site.auth.for_owner("alice")
        assert slow.api_key == old_key
        site.emulator.revoke(old_key)
        site.connect()
        with pytest.raises(KeyRejectedError):
            slow.key_info()
        assert site.auth.for_owner("alice").api_key != old_key


def test_a_detached_connection_recognises_its_own_dead_key(make_site: Any) -> None:
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


def test_a_session_of_a_replaced_key_says_nothing_about_the_new_key(make_site: Any) -> None:
    site = make_site({"storage": MemoryStorage()})
    site.auth.owner_loader(lambda: "alice")
    site.connect()
    with site.app.app_context():
        session = site.auth.for_owner("alice").session
        site.emulator.revoke(site.issued_key())
        site.connect()
        for kind in (KeyRejectedError, APIError):
            with pytest.raises(kind) as raised:
                session.get("key")
            assert raised.value.status == 401
        assert raised.value.is_retryable
        assert site.auth.for_owner("alice")


def test_only_one_of_two_requests_gives_a_key_back(
    make_site: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    site = make_site({"storage": MemoryStorage()})
    site.auth.owner_loader(lambda: "alice")
    site.connect()
    with site.app.app_context():
        assert site.auth.for_owner("alice").restore()
        assert not site.auth.for_owner("bob").restore()
        with site.emulator.faults(status=401, path="/api/v1/key"):
            rejected = site.auth.for_owner("alice")
            assert rejected.report_rejection()
            assert rejected.report_rejection(), "it is set aside already"
        first, second = site.auth.for_owner("alice"), site.auth.for_owner("alice")
        assert (first.is_set_aside, second.is_set_aside) == (True, True)
        heard: list[dict[str, Any]] = []
        account = "user_emulated"
        news = {"openrouter_user_id": account, "previous_openrouter_user_id": account}
        with key_connected.connected_to(lambda _, **news: heard.append(news), site.app):
            for connection in (first, second):
                assert connection.restore() is True
                assert not connection.is_set_aside
                assert heard == [{"owner_id": "alice", **news}]
        assert first.api_key == second.api_key
    (line,) = [line for line in caplog.messages if "again" in line]
    assert line.startswith("A key is used again: OpenRouter accepts it. [owner ")


def test_a_key_to_set_aside_is_not_used_by_a_response_that_has_begun(site: Any) -> None:
    @site.app.get("/stream")
    def stream() -> Response:
        def pieces() -> Iterator[str]:
            yield "begun "
            try:
                yield str(current_openrouter.session.get("key").status_code)
            except OpenRouterError as error:
                yield type(error).__name__

        return Response(stream_with_context(pieces()))

    site.connect()
    with site.emulator.faults(status=401, path="/api/v1/key"):
        assert site.visitor.get("/stream").text == "begun KeyRejectedError"
    assert site.visitor.get("/stream").text == "begun NotConnectedError"
    assert site.visitor.get("/openrouter/login?next=/guarded").location == "/guarded"
    assert site.visitor.get("/stream").text == "begun 200"


class KeepingStorage(MemoryStorage):
    """Deletes nothing."""

    def delete_if(self, owner_id: str, ciphertext: str) -> bool:
        raise OSError("read-only")


def test_a_day_later_a_key_is_not_used_even_if_it_cannot_be_deleted(make_site: Any) -> None:
    site = make_site({"storage": KeepingStorage()})
    site.app.add_url_rule("/info", "info", lambda: str(current_openrouter.key_info()))
    site.connect()
    with site.emulator.faults(status=401, path="/api/v1/key"):
        assert site.visitor.get("/info").status_code == 303
    site.clock.now += 24 * 3600 + 1
    assert "/auth?" in site.visitor.get("/openrouter/login").location
    assert site.visitor.key is None
