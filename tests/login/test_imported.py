"""``auth.import_key()``: keys that an app already holds, checked by OpenRouter first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cases import case
from flask import Flask, request
from leaks import leaks_in
from visitor import Visitor, fingerprint

from flask_openrouter import OpenRouterAuth, current_openrouter
from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import (
    ConfigurationError,
    InvalidAnswerError,
    KeyRejectedError,
    KeyStorageError,
    OpenRouterError,
    RateLimitError,
    ServerError,
    TransportError,
)
from flask_openrouter.signals import key_connected
from flask_openrouter.storage.memory import MemoryStorage

auth = OpenRouterAuth()
MALFORMED: tuple[Any, ...] = (None, "", "short", "sk-or-v1-with a blank", "sk-or-v1-end\n", 7, b"k")


@pytest.fixture
def app(make_shared_app: Callable[..., Flask]) -> Flask:
    return make_shared_app()


@pytest.fixture
def memory_app(make_app: Any) -> Iterator[Flask]:
    app: Flask = make_app({"storage": MemoryStorage()}, OPENROUTER_REQUEST_TIMEOUT=5)
    app.extensions["openrouter"].app_functions.owner_loader = lambda: request.headers.get("X-User")
    with app.app_context():
        yield app


@pytest.mark.parametrize("storage_uri", ["sqlite", "postgresql", "redis"], indirect=True)
def test_a_key_is_checked_and_becomes_the_owners(
    app: Flask, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first, second = emulator.issue_key(limit=5), emulator.issue_key(limit=7)
    heard: list[Any] = []
    visitor = Visitor(app)
    visitor.client.environ_base["HTTP_X_USER"] = "42"
    with app.app_context(), key_connected.connected_to(lambda *_, **news: heard.append(news), app):
        assert auth.import_key(42, first) is True
        assert emulator.count("GET", "/api/v1/key") == 1
        assert visitor.key == fingerprint(first)
        connection = auth.for_owner("42")
        assert connection.openrouter_user_id == "user_emulated"
        # Again, as a migration that is repeated does: OpenRouter is not asked.
        for key in (first, second):
            assert auth.import_key("42", key) is False
        assert emulator.count("GET", "/api/v1/key") == 1
        assert visitor.key == fingerprint(first)
        assert auth.import_key("42", second, replace=True) is True
        assert visitor.key == fingerprint(second)
        assert [owner.owner_id for owner in auth.list_owners()] == ["42"]
    lines = [line for line in caplog.messages if "imported" in line]
    assert [line.partition(" [owner ")[0] for line in lines] == ["A key was imported."] * 2
    account = {"openrouter_user_id": "user_emulated", "owner_id": "42"}
    assert heard == [
        {**account, "previous_openrouter_user_id": None},
        {**account, "previous_openrouter_user_id": "user_emulated"},
    ]


def test_nothing_is_stored_unless_openrouter_accepts_the_key(
    memory_app: Flask, emulator: Emulator
) -> None:
    key = emulator.issue_key()
    failures: tuple[tuple[dict[str, Any], type[OpenRouterError]], ...] = (
        ({"status": 401}, KeyRejectedError),
        ({"status": 429}, RateLimitError),
        ({"status": 500}, ServerError),
        ({"status": 200, "body": {"data": []}}, InvalidAnswerError),
        ({"status": 200, "body": "<h1>Hello</h1>"}, InvalidAnswerError),
        ({"reset": True}, TransportError),
    )
    for fault, kind in failures:
        with case(fault):
            faults = emulator.faults(times=None, path="/api/v1/key", **fault)
            with faults, pytest.raises(kind) as raised:
                auth.import_key("ada", key)
            assert not auth.for_owner("ada")
            assert_clean(raised.value, key)
    emulator.revoke(key)
    with pytest.raises(KeyRejectedError):
        auth.import_key("ada", key)
    assert owners() == []


def owners() -> list[str]:
    return [owner.owner_id for owner in auth.list_owners()]


def assert_clean(error: BaseException, key: str) -> None:
    """Check that an error report with the locals of our frames does not show the key."""
    shown = [repr(error), repr(error.__cause__), repr(error.__context__)]
    trace = error.__traceback__
    while trace is not None:
        if "flask_openrouter" in trace.tb_frame.f_code.co_filename:
            shown.append(repr(trace.tb_frame.f_locals))
        trace = trace.tb_next
    assert leaks_in("\n".join(shown), {"key": key}) == []


def test_what_is_no_key_or_no_owner_is_refused_without_asking(
    memory_app: Flask, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for malformed in MALFORMED:
        with pytest.raises(ConfigurationError, match="8 to 512 printable") as raised:
            auth.import_key("ada", malformed)
        assert isinstance(raised.value, ValueError)
    key = emulator.issue_key()
    owner_ids: list[Any] = [None, True, "", "x" * 256, "a\0", 1.5, "namespace:a"]
    for owner_id in owner_ids:
        with pytest.raises(KeyStorageError) as refused:
            auth.import_key(owner_id, key)
        assert_clean(refused.value, key)
    assert emulator.count("GET", "/api/v1/key") == 0
    assert owners() == []
    assert leaks_in(caplog.text, {"key": key}) == []


@pytest.mark.parametrize("encrypt", [True, False])
def test_an_entry_that_does_not_open_is_not_overwritten(
    make_app: Any, emulator: Emulator, encrypt: bool
) -> None:
    """A command that runs with another SECRET_KEY than the app costs no user the newest key."""
    storage = MemoryStorage()
    app = make_app({"storage": storage})
    newest, older = emulator.issue_key(), emulator.issue_key()
    with app.app_context():
        auth.import_key("ada", newest)
    other = make_app({"storage": storage, "encrypt": encrypt}, SECRET_KEY="another secret" * 3)
    with other.app_context():
        with pytest.raises(KeyStorageError) as refused:
            auth.import_key("ada", older)
        assert str(refused.value) == (
            "What is stored for this owner does not open: was it encrypted with another key?"
            " Nothing was changed. replace=True overwrites it."
        )
        assert_clean(refused.value, older)
        assert emulator.count("GET", "/api/v1/key") == 1
        with app.app_context():
            assert auth.for_owner("ada").api_key == newest
        assert auth.import_key("ada", older, replace=True)
        assert auth.for_owner("ada").api_key == older


def test_keys_in_cookies_cannot_be_imported_and_an_app_is_needed(
    make_app: Any, emulator: Emulator
) -> None:
    key = emulator.issue_key()
    with make_app().test_request_context(), pytest.raises(ConfigurationError) as raised:
        auth.import_key("ada", key)
    assert "OPENROUTER_STORAGE_URI" in str(raised.value)
    assert_clean(raised.value, key)
    with pytest.raises(RuntimeError):
        auth.import_key("ada", key)


@pytest.mark.parametrize("encrypt", [True, False])
def test_a_storage_that_fails_shows_no_key(
    make_app: Any, emulator: Emulator, encrypt: bool
) -> None:
    class Failing(MemoryStorage):
        def set(self, owner_id: str, ciphertext: str) -> None:
            raise OSError(ciphertext)

        add = set

    key = emulator.issue_key()
    app = make_app({"storage": Failing(), "encrypt": encrypt})
    with app.app_context():
        with pytest.raises(KeyStorageError) as raised:
            auth.import_key("ada", key)
        assert_clean(raised.value, key)


def test_a_login_that_ends_meanwhile_wins(memory_app: Flask, emulator: Emulator) -> None:
    visitor = Visitor(memory_app)
    visitor.client.environ_base["HTTP_X_USER"] = "ada"
    services = memory_app.extensions["openrouter"]
    ask, load = services.client.get_key_info, services.vault.load

    def connect_first(api_key: str, **options: Any) -> Any:
        visitor.connect(emulator)
        return ask(api_key, **options)

    vars(services.client)["get_key_info"] = connect_first
    assert auth.import_key("ada", emulator.issue_key()) is False
    newest = visitor.key
    assert newest is not None
    del vars(services.client)["get_key_info"]
    reads = []

    def load_and_connect(owner_id: str) -> Any:
        found = load(owner_id)
        reads.append(owner_id)
        if len(reads) == 1:
            visitor.connect(emulator)
        return found

    vars(services.vault)["load"] = load_and_connect
    assert auth.import_key("ada", emulator.issue_key(), replace=True) is False
    del vars(services.vault)["load"]
    assert visitor.key not in (None, newest)


def test_a_key_that_was_set_aside_does_not_count(memory_app: Flask, emulator: Emulator) -> None:
    old, new = emulator.issue_key(), emulator.issue_key()
    auth.import_key("ada", old)
    emulator.revoke(old)
    with pytest.raises(KeyRejectedError):
        auth.for_owner("ada").key_info()
    assert auth.import_key("ada", new) is True
    assert fingerprint(auth.for_owner("ada").api_key) == fingerprint(new)


def test_an_import_makes_figures_from_before_old(memory_app: Flask, emulator: Emulator) -> None:
    """Those of a key that is used elsewhere, too, may have changed meanwhile."""
    key = emulator.issue_key(limit=5)
    usage = memory_app.extensions["openrouter"].usage_cache
    auth.import_key("ada", key)
    key_hash = auth.for_owner("ada").key_hash
    asked: list[bool] = []
    for replace in (False, False, True):
        if replace:
            auth.import_key("ada", key, replace=True)
        usage.read(key_hash, lambda: asked.append(bool(auth.for_owner("ada").key_info())))
    assert len(asked) == 2


def test_the_view_that_imports_uses_the_key_at_once(make_app: Any, emulator: Emulator) -> None:
    app = make_app({"storage": MemoryStorage()})
    app.extensions["openrouter"].app_functions.owner_loader = lambda: "ada"
    key = emulator.issue_key()

    @app.post("/import")
    def import_one() -> str:
        return (
            f"{bool(current_openrouter)} {auth.import_key('ada', key)} {bool(current_openrouter)}"
        )

    assert Visitor(app).post("/import").text == "False True True"


def test_an_imported_key_that_was_set_aside_is_used_again_when_it_is_claimed(
    memory_app: Flask, emulator: Emulator
) -> None:
    memory_app.add_url_rule("/claim", view_func=lambda: str(auth.claim()))
    visitor = Visitor(memory_app)
    visitor.connect(emulator)
    (browser,) = owners()
    auth.import_key("ada", auth.for_owner(browser).api_key)
    with emulator.faults(times=None, status=401), pytest.raises(KeyRejectedError):
        auth.for_owner("ada").key_info()
    key = visitor.key
    visitor.client.environ_base["HTTP_X_USER"] = "ada"
    assert visitor.key is None
    assert visitor.get("/claim").text == "True"
    assert visitor.key == key
    assert owners() == ["ada"]
