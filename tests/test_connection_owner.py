"""Connections outside of a request: by the id of their owner, and detached."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from visitor import fingerprint

from flask_openrouter import current_openrouter
from flask_openrouter.connection import Connection
from flask_openrouter.errors import ConfigurationError, KeyRejectedError, KeyStorageError
from flask_openrouter.signals import key_connected
from flask_openrouter.storage.memory import MemoryStorage

pytest_plugins = "sites"


@pytest.mark.parametrize("user_id", [7, UUID(int=7)])
def test_for_owner_works_outside_of_a_request(make_site: Any, user_id: int | UUID) -> None:
    site = make_site({"storage": MemoryStorage()})
    site.auth.owner_loader(lambda: user_id)
    site.connect()
    with site.app.app_context():
        for owner_id in (user_id, str(user_id)):
            connection = site.auth.for_owner(owner_id)
            assert isinstance(connection, Connection)
            assert fingerprint(connection.api_key) == site.visitor.key
            assert connection.key_info().limit is None
        assert not site.auth.for_owner("8")
        site.auth.for_owner(user_id).disconnect()
    assert site.visitor.key is None


def test_for_owner_takes_the_owner_id_of_a_signal(make_site: Any) -> None:
    site = make_site({"storage": MemoryStorage()})
    owners = []
    with key_connected.connected_to(lambda sender, owner_id, **_: owners.append(owner_id)):
        site.connect()
    with site.app.app_context():
        assert fingerprint(site.auth.for_owner(owners[0]).api_key) == site.visitor.key


def test_disconnecting_another_owner_leaves_this_visitor_connected(make_site: Any) -> None:
    """As when an administrator, who has their own connection, bans a user."""
    site = make_site({"storage": MemoryStorage()})

    @site.app.post("/ban")
    def ban() -> str:
        site.auth.for_owner("mallory").disconnect()
        return "banned"

    site.connect()
    assert site.visitor.post("/ban").text == "banned"
    assert site.visitor.key is not None


def test_for_owner_finds_no_key_in_the_visitors_browsers(site: Any) -> None:
    with site.app.app_context(), pytest.raises(ConfigurationError) as raised:
        site.auth.for_owner("alice")
    assert str(raised.value) == (
        "Keys live in the visitors' browsers, so none is available outside of a request. Set"
        " OPENROUTER_STORAGE_URI, such as sqlite:///keys.db."
    )


def test_for_owner_refuses_an_id_that_no_key_can_have(make_site: Any) -> None:
    site = make_site({"storage": MemoryStorage()})
    for owner_id in ("", "x" * 256, "a\0b", None, True, 1.5, b"a"):
        with site.app.app_context(), pytest.raises(KeyStorageError) as raised:
            site.auth.for_owner(owner_id)
        assert str(raised.value) == (
            "The id of the app's user must be a number, a UUID or a text of 1 to 255 characters"
            " that does not begin with 'browser:' or 'namespace:'. Return such an id from"
            " owner_loader, or None when nobody is signed in."
        ), owner_id


def test_for_owner_needs_an_app_context(make_site: Any) -> None:
    """Flask's own message names the remedy."""
    auth = make_site(OPENROUTER_STORAGE_URI="memory://").auth
    with pytest.raises(RuntimeError, match=r"app\.app_context\(\)"):
        auth.for_owner("ada")


def test_a_detached_connection_outlives_its_request(site: Any) -> None:
    kept = []

    @site.app.get("/detach")
    def detach() -> str:
        kept.append(current_openrouter.detach())
        return current_openrouter.api_key

    site.connect()
    api_key = site.visitor.get("/detach").text
    assert kept[0].api_key == api_key
    assert kept[0].session.get("key").status_code == 200
    site.emulator.revoke(api_key)
    with pytest.raises(KeyRejectedError):
        kept[0].key_info()
