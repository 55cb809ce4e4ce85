"""Keys in the visitor's cookie: for this browser and its owner only, and written in time."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
from flask import Flask, stream_with_context
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.errors import KeyRejectedError, KeyStorageError
from flask_openrouter.signals import key_disconnected
from flask_openrouter.storage import ComparingStorage, ReplacingStorage
from flask_openrouter.storage.cookie import BROWSER, CookieStorage
from flask_openrouter.web import ExtensionCookie

pytest_plugins = "sites"

app = Flask("host")
app.config["SECRET_KEY"] = secrets.token_hex()
OpenRouterAuth(app)
COOKIE = ExtensionCookie(3_600)
STORAGE = CookieStorage(COOKIE)


@pytest.fixture
def in_request() -> Iterator[None]:
    with app.test_request_context():
        yield


def test_outside_of_a_request_nothing_can_be_read_or_written() -> None:
    assert COOKIE.read() is None
    assert STORAGE.get("A") is None
    assert STORAGE.browser_id() is None
    for write in (lambda: STORAGE.delete("A"), lambda: STORAGE.set("A", "ciphertext")):
        with pytest.raises(RuntimeError) as refused:
            write()
        assert str(refused.value) == (
            "A key in the visitor's cookie is stored and deleted with the answer to a request: do"
            " it in the view, before the answer begins."
        )


def test_a_cookie_holds_the_key_of_one_owner_at_a_time() -> None:
    for owner_id in ("A", "~", ".", "a.b", "é", "\ud800", BROWSER + "x" * 22):
        with app.test_request_context():
            STORAGE.set(owner_id, "a.ciphertext")
            assert STORAGE.get(owner_id) == "a.ciphertext", owner_id
            assert STORAGE.get(owner_id + "x") is None, owner_id
            STORAGE.delete("somebody else")
            assert STORAGE.get(owner_id) == "a.ciphertext", owner_id
            STORAGE.set("another", "b")
            assert STORAGE.get(owner_id) is None, owner_id
            STORAGE.delete("another")
            assert STORAGE.get("another") is None, owner_id


@pytest.mark.requirement("A9")
@pytest.mark.usefixtures("in_request")
def test_a_cookie_is_replaced_or_deleted_only_if_it_holds_what_is_expected() -> None:
    storages: list[object] = [STORAGE]
    assert isinstance(storages[0], ReplacingStorage)
    assert isinstance(storages[0], ComparingStorage)
    STORAGE.set("A", "old")
    for owner_id, ciphertext in (("A", "older"), ("B", "old")):
        assert STORAGE.replace(owner_id, ciphertext, "new") is False
        assert STORAGE.delete_if(owner_id, ciphertext) is False
    assert STORAGE.get("A") == "old"
    assert STORAGE.replace("A", "old", "new") is True
    assert STORAGE.get("A") == "new"
    assert STORAGE.delete_if("A", "new") is True
    assert STORAGE.get("A") is None
    STORAGE.set(BROWSER + "an-id", "x")
    assert STORAGE.delete_if(BROWSER + "an-id", "x") is True
    assert STORAGE.browser_id() is None


@pytest.mark.usefixtures("in_request")
def test_an_entry_is_added_unless_its_owner_has_one() -> None:
    assert STORAGE.add("A", "first") is True
    assert STORAGE.add("A", "second") is False
    assert STORAGE.get("A") == "first"
    # The browser has one entry: that of another owner is superseded.
    assert STORAGE.add("B", "third") is True
    assert (STORAGE.get("A"), STORAGE.get("B")) == (None, "third")
    assert COOKIE.read() == f"~{hashlib.sha256(b'A').hexdigest()[:12]}.first"
    STORAGE.delete("B")
    assert (STORAGE.get("A"), STORAGE.get("B"), COOKIE.read()) == (None, None, None)


def test_cookies_that_earlier_releases_wrote_are_still_read() -> None:
    """Another form would disconnect every visitor."""
    tag = f"~{hashlib.sha256(b'alice').hexdigest()[:12]}"
    mark = hashlib.sha256(f"{tag}.old".encode()).hexdigest()[:16]
    for newer, found in (("", "old"), (f"{mark}.{tag}.new", "new"), (f"{mark}.", None)):
        for planted in (newer, newer.replace(mark, mark[::-1])):
            headers = {"Cookie": f"openrouter={tag}.old; openrouter~replaced={planted}"}
            with app.test_request_context(headers=headers):
                assert STORAGE.get("alice") == (found if planted == newer else "old"), planted


def test_each_write_makes_space_among_the_cookies() -> None:
    calls: list[int] = []
    storage = CookieStorage(COOKIE, lambda: calls.append(1))
    with app.test_request_context():
        for number, write in enumerate(
            (
                lambda: storage.set("A", "old"),
                lambda: storage.replace("A", "old", "new"),
                lambda: storage.delete_if("A", "new"),
                # The first cookie is there still, with what the second replaces.
                lambda: storage.delete("A"),
            ),
            start=1,
        ):
            write()
            assert len(calls) == number
        storage.delete("A")
        assert storage.delete_if("A", "new") is False
        assert len(calls) == 4, "nothing was written"
        assert not COOKIE.read()
        assert not COOKIE.read("~replaced")


@pytest.mark.usefixtures("in_request")
def test_the_name_of_a_user_is_not_in_the_cookie() -> None:
    STORAGE.set("alice@a.example", "x")
    assert "alice" not in (COOKIE.read() or "")
    assert STORAGE.browser_id() is None


@pytest.mark.usefixtures("in_request")
def test_a_browser_is_known_by_the_id_in_its_cookie() -> None:
    assert STORAGE.browser_id() is None
    STORAGE.set(BROWSER + "an-id", "x")
    assert STORAGE.browser_id() == "an-id"
    for value, browser_id in (("x.ciphertext", None), ("xy.a.b", "xy"), ("~x.y", None)):
        COOKIE.write(value)
        assert STORAGE.browser_id() == browser_id


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(texts, texts)
@settings(deadline=None)
def test_no_cookie_makes_a_browser_a_user_of_the_app(cookie: str, user_id: str) -> None:
    """The browser may send any text before the dot."""
    with app.test_request_context():
        COOKIE.write(cookie)
        browser_id = STORAGE.browser_id()
        if browser_id is not None:
            assert not browser_id.startswith("~")
            if not user_id.startswith(BROWSER):
                assert STORAGE.get(user_id) is None


def _disconnect_while_streaming(site: Any, caught: list[Exception]) -> None:
    def words() -> Any:
        yield "a"
        try:
            current_openrouter.disconnect()
        except KeyStorageError as error:
            caught.append(error)
        yield str(bool(current_openrouter))

    view = requires_openrouter_key(lambda: stream_with_context(words()))
    site.app.add_url_rule("/too-late", "too-late", view)


def _disconnect_in_a_thread(site: Any, caught: list[Exception]) -> None:
    @site.app.get("/too-late")
    @requires_openrouter_key
    def view() -> str:
        connection = current_openrouter.detach()

        def leave() -> None:
            try:
                connection.disconnect()
            except KeyStorageError as error:
                caught.append(error)

        thread = Thread(target=leave)
        thread.start()
        thread.join()
        return f"a{bool(connection)}"


@pytest.mark.requirement("R98")
@pytest.mark.parametrize("add_view", [_disconnect_while_streaming, _disconnect_in_a_thread])
def test_a_disconnect_that_comes_too_late_for_the_cookie_is_an_error(
    add_view: Any, site: Any
) -> None:
    caught: list[Exception] = []
    signalled: list[Any] = []
    add_view(site, caught)
    site.connect()
    with key_disconnected.connected_to(lambda _, **payload: signalled.append(payload)):
        assert site.visitor.get("/too-late").text == "aTrue"
    (error,) = caught
    assert "before the answer" in str(error.__cause__)
    assert signalled == []
    assert site.visitor.key is not None


@pytest.mark.requirement("R98")
def test_a_replacement_that_comes_too_late_for_the_cookie_is_an_error(site: Any) -> None:
    storage = site.app.extensions["openrouter"].vault.storage

    @site.app.get("/too-late")
    def too_late() -> Any:
        owner_id = current_openrouter.owner_id
        held = storage.get(owner_id)

        def words() -> Any:
            yield "a"
            for write, others in ((storage.replace, ("new",)), (storage.delete_if, ())):
                with pytest.raises(RuntimeError, match="before the answer begins"):
                    write(owner_id, held, *others)
            yield "b"

        return stream_with_context(words())

    site.connect()
    assert site.visitor.get("/too-late").text == "ab"


def test_a_dead_key_found_while_streaming_is_forgotten_by_the_next_request(site: Any) -> None:
    def words() -> Any:
        yield "a"
        try:
            current_openrouter.session.get("key")
        except KeyRejectedError:
            yield "dead"

    view = requires_openrouter_key(lambda: stream_with_context(words()))
    site.app.add_url_rule("/words", "words", view)
    site.app.add_url_rule(
        "/usage", "usage", requires_openrouter_key(lambda: str(current_openrouter.key_info()))
    )
    site.connect()
    site.emulator.revoke(site.issued_key())
    assert site.visitor.get("/words").text == "adead"
    assert site.visitor.get("/usage").status_code == 303
    assert site.visitor.key is None
