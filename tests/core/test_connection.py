"""``current_openrouter``: what can be read, and how it heals."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from misbehaving import MisbehavingProvider, issue_key
from visitor import Visitor, fingerprint

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.connection import Connection, get_connection
from flask_openrouter.errors import (
    ConfigurationError,
    KeyRejectedError,
    KeyStorageError,
    NotConnectedError,
    OutOfCreditError,
)
from flask_openrouter.storage.memory import MemoryStorage

NEEDS_KEY = (
    "api_key", "openrouter_user_id", "connected_at", "masked_key", "settings_url", "logs_url",
    "key_hash", "session",
)  # fmt: skip


@pytest.mark.parametrize(
    ("api_key", "masked"),
    [
        ("sk-or-v1-" + "0" * 60 + "abcd", "sk-or-v1-…abcd"),
        ("sk-or-v1-" + "0" * 12 + "abcd", "sk-or-v1-…abcd"),
        ("sk-or-v1-" + "0" * 11 + "abcd", "sk-or-v1-…"),
        ("sk-or-v1-abcd", "sk-or-v1-…"),
        ("sk-or-v1-", "sk-or-v1-…"),
        ("another-kind-of-key", "…-key"),
        ("16-characters-ab", "…s-ab"),
        ("15-characters-a", "…"),
        ("12345678", "…"),
    ],
)
def test_a_masked_key_never_shows_much_of_a_key(api_key: str, masked: str, make_app: Any) -> None:
    with MisbehavingProvider(issue_key(api_key)) as provider:
        app = make_app(OPENROUTER_BASE_URL=provider.url)
        app.add_url_rule("/masked", "masked", lambda: current_openrouter.masked_key)
        visitor = Visitor(app)
        visitor.get(visitor.callback_url(visitor.start(), code="code"))
        assert visitor.get("/masked").text == masked
        shown = masked.removeprefix("sk-or-v1-").removeprefix("…")
        assert len(shown) <= 4


@pytest.mark.parametrize("name", NEEDS_KEY)
def test_what_needs_a_key_says_so_without_one(name: str, site: Any) -> None:
    with site.app.test_request_context("/"):
        assert not current_openrouter
        with pytest.raises(NotConnectedError, match="No OpenRouter key"):
            getattr(current_openrouter, name)
        for call in (
            current_openrouter.key_info,
            current_openrouter.openai,
            current_openrouter.sdk,
        ):
            with pytest.raises(NotConnectedError):
                call()
        current_openrouter.disconnect()
        current_openrouter.forget_rejected()


def test_outside_of_a_request_there_is_no_current_visitor(site: Any) -> None:
    assert not current_openrouter
    with pytest.raises(RuntimeError, match="for_owner"):
        _ = current_openrouter.api_key
    with site.app.app_context(), pytest.raises(RuntimeError, match="for_owner"):
        current_openrouter.key_info()


def test_an_app_without_the_extension_is_told_what_is_missing() -> None:
    from flask import Flask

    with Flask("bare").test_request_context("/"), pytest.raises(RuntimeError, match="init_app"):
        _ = current_openrouter.api_key


def test_a_connection_is_neither_shown_nor_pickled_nor_copied(site: Any) -> None:
    seen = []

    @site.app.get("/look")
    def look() -> str:
        seen.append(repr(current_openrouter))
        for refuse in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="owner_id"):
                refuse(get_connection())
        return current_openrouter.api_key

    site.connect()
    api_key = site.visitor.get("/look").text
    assert seen[0].startswith("<Connection of 'browser:")
    assert api_key not in seen[0]


def test_the_storage_is_read_once_for_a_request(make_site: Any) -> None:
    class Counting(MemoryStorage):
        reads = 0

        def get(self, owner_id: str) -> str | None:
            self.reads += 1
            return super().get(owner_id)

    storage = Counting()
    site = make_site({"storage": storage})

    @site.app.get("/look")
    @requires_openrouter_key
    def look() -> str:
        for _ in range(3):
            assert current_openrouter.masked_key
        return str(current_openrouter.session is current_openrouter.session)

    site.connect()
    storage.reads = 0
    assert site.visitor.get("/look").text == "True"
    assert storage.reads == 1


def test_whoever_disconnects_an_owner_in_a_request_is_believed_there(make_site: Any) -> None:
    site = make_site({"storage": MemoryStorage()})
    site.auth.owner_loader(lambda: "ada")

    @site.app.post("/leave/<way>")
    def leave(way: str) -> str:
        assert current_openrouter.session
        other = site.auth.for_owner("ada") if way == "owner" else current_openrouter.detach()
        other.disconnect()
        with pytest.raises(NotConnectedError):
            _ = current_openrouter.session
        return str(bool(current_openrouter))

    for way in ("owner", "detach"):
        site.connect()
        assert site.visitor.post(f"/leave/{way}").text == "False"


def test_disconnecting_in_a_view_is_seen_at_once(site: Any) -> None:
    @site.app.post("/leave")
    def leave() -> str:
        assert current_openrouter
        current_openrouter.disconnect()
        assert not current_openrouter
        with pytest.raises(NotConnectedError):
            _ = current_openrouter.session
        return "left"

    site.connect()
    assert site.visitor.post("/leave").text == "left"
    assert site.visitor.key is None


def test_another_user_in_the_middle_of_a_request_is_another_connection(make_site: Any) -> None:
    user = ["alice"]
    site = make_site({"storage": MemoryStorage()})
    site.auth.owner_loader(lambda: user[0])

    @site.app.get("/switch")
    def switch() -> str:
        assert current_openrouter
        user[0] = "bob"
        assert not current_openrouter
        return "switched"

    site.connect()
    assert site.visitor.get("/switch").text == "switched"


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
@pytest.mark.parametrize("status", [402, 403, 404, 408, 429, 500, 502, 503])
def test_every_other_trouble_keeps_the_key(status: int, site: Any) -> None:
    from flask_openrouter.errors import OpenRouterError

    @site.app.get("/use")
    @requires_openrouter_key
    def use() -> str:
        try:
            current_openrouter.session.get("key")
            current_openrouter.key_info()
        except (OutOfCreditError, OpenRouterError) as error:
            return type(error).__name__
        return "fine"

    site.connect()
    with site.emulator.faults(status=status, path="/api/v1/key", times=None):
        assert site.visitor.get("/use").status_code == 200
    assert site.visitor.key is not None


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


def test_for_owner_works_outside_of_a_request(make_site: Any) -> None:
    site = make_site({"storage": MemoryStorage()})
    site.auth.owner_loader(lambda: 7)
    site.connect()
    with site.app.app_context():
        for owner_id in (7, "7"):
            connection = site.auth.for_owner(owner_id)
            assert isinstance(connection, Connection)
            assert fingerprint(connection.api_key) == site.visitor.key
            assert connection.key_info().limit is None
        assert not site.auth.for_owner("8")
        site.auth.for_owner(7).disconnect()
    assert site.visitor.key is None


def test_for_owner_knows_browsers_by_what_the_signals_call_them(make_site: Any) -> None:
    from flask_openrouter.signals import key_connected

    site = make_site({"storage": MemoryStorage()})
    owners = []
    with key_connected.connected_to(lambda sender, owner_id, **_: owners.append(owner_id)):
        site.connect()
    with site.app.app_context():
        assert fingerprint(site.auth.for_owner(owners[0]).api_key) == site.visitor.key


def test_for_owner_of_somebody_else_leaves_this_visitor_alone(make_site: Any) -> None:
    """As in the view of an administrator who has a connection of their own."""
    site = make_site({"storage": MemoryStorage()})

    @site.app.post("/ban")
    def ban() -> str:
        site.auth.for_owner("mallory").disconnect()
        return "banned"

    site.connect()
    assert site.visitor.post("/ban").text == "banned"
    assert site.visitor.key is not None


def test_for_owner_says_that_it_cannot_reach_into_browsers(site: Any) -> None:
    with site.app.app_context(), pytest.raises(ConfigurationError, match="OPENROUTER_STORAGE_URI"):
        site.auth.for_owner("alice")


@pytest.mark.parametrize("owner_id", ["", "x" * 256, "a\0b", None, True, 1.5, b"a"])
def test_for_owner_refuses_an_id_that_no_key_can_have(owner_id: Any, make_site: Any) -> None:
    site = make_site({"storage": MemoryStorage()})
    with site.app.app_context(), pytest.raises(KeyStorageError, match="1 to 255"):
        site.auth.for_owner(owner_id)


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
