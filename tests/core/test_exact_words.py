"""What a developer or an operator reads when something is wrong, to the letter."""

from __future__ import annotations

import logging
import runpy
import secrets
import sys
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, session

from flask_openrouter import requires_openrouter_key
from flask_openrouter.errors import KeyStorageError, StateMismatchError
from flask_openrouter.login.owner import check_app_user
from flask_openrouter.storage.cipher import KeyCipher
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.record import KeyRecord
from flask_openrouter.storage.vault import KeyVault, Outcome

RECORD = KeyRecord("sk-or-v1-" + "4" * 64, "user_1", 1_800_000_000)


def words_of(kind: type[Exception], action: Callable[[], Any]) -> str:
    with pytest.raises(kind) as caught:
        action()
    return str(caught.value)


class Broken(MemoryStorage):
    """Down, whatever it is asked."""

    def get(self, *_: str) -> Any:
        raise OSError("down")

    set = delete = get  # type: ignore[assignment]


# --- guards -----------------------------------------------------------------------------------


def test_a_wrong_guard_is_named_with_its_remedy() -> None:
    class Page: ...

    guard: Any = requires_openrouter_key
    assert words_of(TypeError, lambda: guard(Page)) == (
        "requires_openrouter_key guards functions. In a class-based view write"
        " decorators = [requires_openrouter_key]."
    )
    assert words_of(ValueError, lambda: guard(on_missing="page")) == (
        'on_missing must be "redirect", "json" or a callable.'
    )
    assert words_of(ValueError, lambda: guard(next="chat")) == (
        "next must be a path on this host, such as /chat."
    )


def test_a_guard_above_the_route_is_named_with_its_remedy(site: Any) -> None:
    requires_openrouter_key(site.app.get("/view")(lambda: "open"))
    assert words_of(RuntimeError, lambda: site.visitor.get("/view")) == (
        "The view '<lambda>' is not guarded: requires_openrouter_key stands above the route"
        " decorator. Put it below, next to the function."
    )


def test_a_handler_without_an_answer_is_named(site: Any) -> None:
    site.auth.unauthorized_handler(silent)
    assert words_of(TypeError, lambda: site.visitor.get("/guarded")) == (
        f"{silent!r} returned no response for a visitor without a key. Is a return missing?"
    )


def silent() -> None: ...


# --- owners and keys --------------------------------------------------------------------------


def test_an_id_that_cannot_own_a_key_is_explained() -> None:
    assert words_of(KeyStorageError, lambda: check_app_user("")) == (
        "The id of the app's user must be a number or a text of 1 to 255 characters that does"
        " not begin with 'browser:'. Return such an id from owner_loader, or None when nobody"
        " is signed in."
    )


def test_a_storage_that_is_down_is_named_with_what_it_was_to_do() -> None:
    keys = KeyVault(Broken(), KeyCipher([b"sixteen bytes at least"]), base_url="https://x.example")
    words = "the key failed: the storage raised OSError."
    assert words_of(KeyStorageError, lambda: keys.load("A")) == f"Reading {words}"
    assert words_of(KeyStorageError, lambda: keys.probe("A")) == f"Reading {words}"
    assert words_of(KeyStorageError, lambda: keys.reencrypt("A")) == f"Reading {words}"
    assert words_of(KeyStorageError, lambda: keys.save("A", RECORD)) == f"Saving {words}"
    assert words_of(KeyStorageError, lambda: keys.forget("A")) == f"Deleting {words}"


def test_a_storage_that_fails_in_a_rotation_was_saving() -> None:
    class ReadOnly(MemoryStorage):
        def replace(self, owner_id: str, ciphertext: str, new_ciphertext: str) -> bool:
            raise OSError("read-only")

    old, new = b"the old key material", b"the new key material"
    storage = ReadOnly()
    KeyVault(storage, KeyCipher([old]), base_url="https://x.example").save("A", RECORD)
    keys = KeyVault(storage, KeyCipher([new, old]), base_url="https://x.example")
    assert words_of(KeyStorageError, lambda: keys.reencrypt("A")) == (
        "Saving the key failed: the storage raised OSError."
    )


def test_a_storage_that_forgets_is_named() -> None:
    class Forgetful(MemoryStorage):
        def set(self, owner_id: str, ciphertext: str) -> None: ...

    keys = KeyVault(Forgetful(), None, base_url="https://x.example")
    assert words_of(KeyStorageError, lambda: keys.save("A", RECORD)) == (
        "The storage did not give back the key that was saved."
    )


def test_what_does_not_open_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    storage = MemoryStorage()
    storage.set("A", "nonsense")
    keys = KeyVault(storage, KeyCipher([b"sixteen bytes at least"]), base_url="https://x.example")
    assert keys.load("A") is None
    assert caplog.record_tuples == [
        (
            "flask_openrouter",
            logging.WARNING,
            "What is stored for this owner does not open; treated as not connected.",
        )
    ]


def test_the_outcomes_of_a_rotation_have_the_words_of_the_command() -> None:
    assert {outcome.name: outcome.value for outcome in Outcome} == {
        "ROTATED": "rotated",
        "CURRENT": "already current",
        "UNREADABLE": "unreadable",
        "GONE": "gone meanwhile",
    }


def test_without_cryptography_the_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    path = sys.modules[KeyCipher.__module__].__file__ or ""
    assert words_of(ImportError, lambda: runpy.run_path(path)) == (
        "Flask-OpenRouter encrypts keys with the cryptography package and never does without it:"
        " pip install cryptography"
    )


# --- logins -----------------------------------------------------------------------------------


def test_a_login_that_cannot_be_finished_has_a_reason(make_app: Any, clock: Any) -> None:
    app: Flask = make_app()
    user: list[str | None] = [None]
    services = app.extensions["openrouter"]
    services.app_functions.owner_loader = lambda: user[0]

    def reason_of(action: Callable[[], Any]) -> tuple[str, str]:
        with pytest.raises(StateMismatchError) as caught:
            action()
        return str(caught.value), caught.value.reason

    with app.test_request_context():
        login = services.pending_logins.start(next_url=None, is_cross_site=False)
        assert reason_of(lambda: services.pending_logins.find("A" * 22)) == (
            "No login of this browser waits for this.",
            "unknown",
        )
        user[0] = "alice"
        assert reason_of(lambda: services.pending_logins.find(login.state)) == (
            "Somebody else started this login.",
            "foreign",
        )
        user[0] = None
        clock.now += services.settings.login_max_age
        assert services.pending_logins.find(login.state) == login
        clock.now += 1
        assert reason_of(lambda: services.pending_logins.find(login.state)) == (
            "This login took too long.",
            "expired",
        )
        services.pending_logins.take(login)
        assert reason_of(lambda: services.pending_logins.take(login)) == (
            "This login has been finished already.",
            "unknown",
        )


def test_a_full_session_is_named_with_its_remedy(
    make_app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app: Flask = make_app()
    with app.test_request_context():
        session["of the app"] = secrets.token_urlsafe(4_000)
        app.extensions["openrouter"].pending_logins.start(next_url="/chat", is_cross_site=False)
    assert caplog.record_tuples == [
        (
            "flask_openrouter",
            logging.WARNING,
            "The session cookie is too big for browsers even without this login: they will drop"
            " it, and the login cannot be finished. Keep less in flask.session.",
        )
    ]


def test_an_option_that_is_none_is_named(site: Any) -> None:
    site.auth.key_options(lambda: {"limit": 1, "colour": "red"})
    assert words_of(ValueError, lambda: site.visitor.get("/openrouter/login")) == (
        "key_options returns limit and key_label, nothing else."
    )
