"""A key that OpenRouter rejects is forgotten; every other error keeps it."""

from __future__ import annotations

from typing import Any

import pytest

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.client.credentials import hash_of_key
from flask_openrouter.errors import KeyRejectedError, OpenRouterError
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
