"""``flask openrouter rotate``: it re-encrypts all keys, and no visitor notices."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bare_storage import Bare
from click.testing import Result
from flask import Flask
from visitor import Visitor

from flask_openrouter.cli import create_commands
from flask_openrouter.emulator import Emulator
from flask_openrouter.storage import KeyStorage, ReplacingStorage
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.record import KeyRecord

SECRET_KEY = secrets.token_hex()
RECORD = KeyRecord("sk-or-v1-canary-canary-canary", "user_1", 1_800_000_000)


def new_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


OLD, NEW = new_key(), new_key()
BEFORE = {"SECRET_KEY": SECRET_KEY, "OPENROUTER_ENCRYPTION_KEY": OLD}
DURING = {
    "SECRET_KEY": SECRET_KEY,
    "OPENROUTER_ENCRYPTION_KEY": NEW,
    "OPENROUTER_ENCRYPTION_KEY_FALLBACKS": [OLD],
}
AFTER = {"SECRET_KEY": SECRET_KEY, "OPENROUTER_ENCRYPTION_KEY": NEW}


def rotate(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["openrouter", "rotate", *arguments])


def vault(app: Flask) -> Any:
    return app.extensions["openrouter"].vault


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def app(make_app: Callable[..., Flask], storage: MemoryStorage) -> Flask:
    """An app with a new encryption key, and a storage that was encrypted with the old one."""
    before = make_app({"storage": storage}, **BEFORE)
    for number in range(7):
        vault(before).save(f"owner {number}", RECORD)
    return make_app({"storage": storage}, **DURING)


@pytest.mark.requirement("R89")
def test_visitors_stay_connected_through_a_rotation(
    make_shared_app: Callable[..., Flask], emulator: Emulator
) -> None:
    ada = Visitor(make_shared_app(**BEFORE))
    ada.client.environ_base["HTTP_X_USER"] = "ada"
    ada.connect(emulator)
    during, after = make_shared_app(**DURING), make_shared_app(**AFTER)
    bob = Visitor(during)
    bob.client.environ_base["HTTP_X_USER"] = "bob"
    bob.connect(emulator)
    keys = {"ada": ada.key, "bob": bob.key}
    assert None not in keys.values()

    first, second = rotate(during), rotate(during)

    assert first.stdout == "1 rotated, 1 already current, 0 unreadable, 0 gone meanwhile.\n"
    assert second.stdout == "0 rotated, 2 already current, 0 unreadable, 0 gone meanwhile.\n"
    assert (first.exit_code, second.exit_code) == (0, 0)
    for app in (during, after):
        for name, key in keys.items():
            visitor = Visitor(app)
            visitor.client.environ_base["HTTP_X_USER"] = name
            assert visitor.key == key
    assert ada.key is None, "the older key still opens it"


@pytest.mark.requirement("R89")
def test_a_fallback_that_is_removed_without_rotation_asks_to_connect_again(
    make_shared_app: Callable[..., Flask], emulator: Emulator
) -> None:
    before = Visitor(make_shared_app(**BEFORE))
    before.connect(emulator)
    after = Visitor(make_shared_app(**AFTER))
    for cookie in before.client._cookies.values():
        after.client.set_cookie(cookie.key, cookie.value)
    assert before.key is not None
    assert after.get("/guarded").status_code == 303
    after.connect(emulator)
    assert after.key is not None


def test_a_key_that_is_saved_again_is_encrypted_with_the_newest(
    app: Flask, make_app: Callable[..., Flask], storage: MemoryStorage
) -> None:
    vault(app).save("owner 3", vault(app).load("owner 3"))
    after = make_app({"storage": storage}, **AFTER)
    assert vault(after).load("owner 3") == RECORD
    assert vault(after).load("owner 4") is None


def test_secret_key_rotates_in_the_same_way(make_app: Callable[..., Flask]) -> None:
    storage = MemoryStorage()
    older, newer = secrets.token_hex(), secrets.token_hex()
    vault(make_app({"storage": storage}, SECRET_KEY=older)).save("ada", RECORD)
    during = make_app({"storage": storage}, SECRET_KEY=newer, SECRET_KEY_FALLBACKS=[older])
    assert "1 rotated" in rotate(during).stdout
    assert vault(make_app({"storage": storage}, SECRET_KEY=newer)).load("ada") == RECORD


def test_what_does_not_open_is_counted_and_left_as_it_is(
    app: Flask, storage: MemoryStorage
) -> None:
    strange = {"planted": RECORD.api_key, "swapped": storage.get("owner 1"), "empty": ""}
    for owner_id, ciphertext in strange.items():
        storage.set(owner_id, str(ciphertext))
    result = rotate(app)
    assert result.stdout.startswith("7 rotated, 0 already current, 3 unreadable, 0 gone")
    assert "left unchanged" in result.stdout
    assert {owner_id: storage.get(owner_id) for owner_id in strange} == strange
    assert "canary" not in result.output


def test_it_goes_on_where_it_was_interrupted(app: Flask, storage: MemoryStorage) -> None:
    storage.set("owner 3\x1b[2J", "unprintable")
    reads = iter(range(100))

    class Failing(MemoryStorage):
        def get(self, owner_id: str) -> str | None:
            if next(reads) == 4:
                raise OSError("disk on fire")
            return storage.get(owner_id)

        owner_ids = storage.owner_ids
        count_owners = storage.count_owners
        replace = storage.replace

    vault(app).storage = Failing()
    failed = rotate(app)
    assert failed.exit_code == 1
    assert failed.stdout.startswith("4 rotated")
    assert "Reading the key failed: the storage raised OSError." in failed.stderr
    assert "Continue with: flask openrouter rotate --after 'owner 3'" in failed.stderr

    vault(app).storage = storage
    assert rotate(app, "--after", "owner 3").stdout.startswith("3 rotated, 0 already")


def test_it_says_when_no_owner_follows_the_one_to_continue_after(app: Flask) -> None:
    result = rotate(app, "--after", "owner 9\n")
    assert result.exit_code == 0
    assert result.stderr.startswith(r"No key follows the owner 'owner 9\n'. Looked in the memory")


@pytest.mark.parametrize("method", ["count_owners", "owner_ids"])
def test_a_listing_that_fails_says_so(app: Flask, storage: Any, method: str) -> None:
    def fail(*_: object) -> Iterator[str]:
        raise OSError("disk on fire")

    setattr(storage, method, fail)
    result = rotate(app)
    assert result.exit_code == 1
    assert result.stderr.endswith(
        "Error: Listing the owners failed: the storage raised OSError."
        " Continue with: flask openrouter rotate\n"
    )


def test_control_c_says_how_to_go_on(app: Flask, storage: Any) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    storage.replace = interrupt
    result = rotate(app, "--after", "owner 1")
    assert result.exit_code == 1
    assert "Interrupted. Continue with: flask openrouter rotate --after 'owner 1'" in result.stderr


@pytest.mark.parametrize(
    ("extension", "words"),
    [
        ({}, "visitors' browsers"),
        ({"storage": Bare()}, "Bare does not list its owners"),
        ({"storage": MemoryStorage(), "encrypt": False}, "rotate its keys there"),
    ],
)
def test_storages_that_cannot_be_rotated_say_what_to_do(
    make_app: Callable[..., Flask], extension: dict[str, Any], words: str
) -> None:
    result = rotate(make_app(extension))
    assert result.exit_code == 1
    assert words in result.stderr


class Racing(MemoryStorage):
    """Lets something happen between a read and what follows. It cannot replace."""

    replace = None  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.between: list[Callable[[], None]] = []

    def get(self, owner_id: str) -> str | None:
        ciphertext = super().get(owner_id)
        if self.between:
            self.between.pop()()
        return ciphertext


class Replacing(Racing):
    """The same, and it can replace."""

    replace = MemoryStorage.replace


@pytest.mark.parametrize("racing", [Racing(), Replacing()])
@pytest.mark.parametrize("change", ["login", "disconnect"])
def test_a_key_that_changes_meanwhile_wins(
    make_app: Callable[..., Flask], racing: Racing, change: str
) -> None:
    vault(make_app({"storage": racing}, **BEFORE)).save("ada", RECORD)
    app = make_app({"storage": racing}, **DURING)
    newer = KeyRecord("sk-or-v1-newer-newer-newer", "user_2", 1_800_000_001)
    login = make_app({"storage": MemoryStorage()}, **DURING)
    vault(login).save("ada", newer)
    ciphertext = vault(login).storage.get("ada")

    def happen() -> None:
        if change == "login":
            MemoryStorage.set(racing, "ada", ciphertext)
        else:
            MemoryStorage.delete(racing, "ada")

    racing.between = [happen]
    result = rotate(app)
    assert vault(app).load("ada") == (newer if change == "login" else None)
    expected = "1 already current" if change == "login" else "1 gone meanwhile"
    assert expected in result.stdout


def test_storages_that_replace_are_recognised() -> None:
    storages: list[KeyStorage] = [Replacing(), Racing()]
    assert [isinstance(storage, ReplacingStorage) for storage in storages] == [True, False]


@pytest.mark.requirement("A10")
@pytest.mark.parametrize("altered", [1, 7])
def test_records_that_do_not_open_make_it_fail(
    app: Flask, storage: MemoryStorage, altered: int
) -> None:
    for number in range(altered):
        storage.set(f"owner {number}", "altered")
    result = rotate(app)
    assert result.exit_code == 1
    assert "left unchanged" in result.stdout
    assert "Continue with" not in result.stderr


@pytest.mark.requirement("S8")
def test_sigterm_is_answered_as_control_c_is(
    app: Flask, storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers, systemd and Kubernetes end a command with it."""
    before = signal.getsignal(signal.SIGTERM)
    replace, calls = storage.replace, iter(range(100))

    def replace_and_end(*arguments: str) -> bool:
        replaced: bool = replace(*arguments)
        if next(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return replaced

    monkeypatch.setattr(storage, "replace", replace_and_end)
    result = rotate(app)
    assert result.exit_code == 1
    assert "rotated" in result.stdout
    assert "Interrupted. Continue with: flask openrouter rotate --after 'owner 1'" in result.stderr
    assert signal.getsignal(signal.SIGTERM) is before
    assert rotate(app, "--after", "owner 1").exit_code == 0


def test_it_can_be_called_from_a_thread(app: Flask) -> None:
    """Only the main thread can receive signals."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(rotate, app).result().stdout.startswith("7 rotated")


@pytest.mark.requirement("S8")
def test_without_a_terminal_it_says_now_and_then_how_far_it_is(
    make_app: Callable[..., Flask], storage: MemoryStorage
) -> None:
    app = make_app({"storage": storage}, **AFTER)
    for number in range(2500):
        storage.set(f"{number}", "unreadable")
    result = rotate(app)
    assert result.stderr == (
        "Re-encrypting: 1000 of about 2500\nRe-encrypting: 2000 of about 2500\n"
    )


@pytest.mark.requirement("S8")
def test_a_terminal_shows_a_bar(
    app: Flask, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with app.app_context():
        rotate_command = create_commands().commands["rotate"]
        assert rotate_command.main(["--after", "owner 1"], standalone_mode=False) is None
    output = capsys.readouterr()
    assert "Re-encrypting" in output.err
    assert "100%" in output.err
    assert output.out.startswith("5 rotated")
