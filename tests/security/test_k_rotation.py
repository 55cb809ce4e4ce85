"""SECRET_KEY and encryption keys: refused when weak, rotated without losing anybody.

(OWASP ASVS 5.0, 11.2.3, 13.1.4 and 13.3.4; CVE-2025-47278.)
"""

from __future__ import annotations

import base64
import logging
import re
import secrets
from pathlib import Path
from typing import Any

import pytest
from attack import assert_refused, browser_with, save_jar
from flask import Flask
from visitor import Visitor

from flask_openrouter import OpenRouterAuth
from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import ConfigurationError
from flask_openrouter.storage.cipher import KeyCipher
from flask_openrouter.storage.memory import MemoryStorage

OLD, NEW = "the old secret key of this app", "the new secret key of this app"


def new_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


OLD_ENCRYPTION_KEY, NEW_ENCRYPTION_KEY = new_key(), new_key()
ROTATIONS = {
    "R89": (
        {"SECRET_KEY": OLD},
        {"SECRET_KEY": NEW, "SECRET_KEY_FALLBACKS": [OLD]},
        {"SECRET_KEY": NEW},
    ),
    "R92": (
        {"SECRET_KEY": OLD, "OPENROUTER_ENCRYPTION_KEY": OLD_ENCRYPTION_KEY},
        {
            "SECRET_KEY": OLD,
            "OPENROUTER_ENCRYPTION_KEY": NEW_ENCRYPTION_KEY,
            "OPENROUTER_ENCRYPTION_KEY_FALLBACKS": [OLD_ENCRYPTION_KEY],
        },
        {"SECRET_KEY": OLD, "OPENROUTER_ENCRYPTION_KEY": NEW_ENCRYPTION_KEY},
    ),
}


@pytest.mark.requirement("R89", "R92", "F28")
@pytest.mark.parametrize("row", ROTATIONS)
def test_a_rotation_loses_nobody_until_the_old_key_is_gone(
    stored_apps: Any, emulator: Emulator, row: str
) -> None:
    before, during, after = ROTATIONS[row]
    visitor = Visitor(stored_apps(**before))
    visitor.connect(emulator)
    key = visitor.key
    callback = emulator.approve(visitor.start("/own"))

    rotated = browser_with(stored_apps(**during), save_jar(visitor))
    assert rotated.key == key is not None
    jar = save_jar(rotated)
    assert rotated.get(callback).location == "/own", "a login under way is finished"

    untouched = browser_with(stored_apps(**after), jar)
    assert untouched.get("/guarded").status_code == 303
    assert untouched.connect(emulator).status_code == 303

    # The login has stored a key anew, under the new secret only.
    written = browser_with(stored_apps(**after), save_jar(rotated))
    assert written.key == rotated.key not in (None, key)


@pytest.mark.requirement("R89", "R92")
@pytest.mark.parametrize("row", ROTATIONS)
def test_nothing_new_is_made_with_a_fallback(make_app: Any, emulator: Emulator, row: str) -> None:
    _, during, after = ROTATIONS[row]
    storage = MemoryStorage()
    visitor = Visitor(make_app({"storage": storage}, **during))
    visitor.connect(emulator)
    callback = emulator.approve(visitor.start("/own"))
    later = browser_with(make_app({"storage": storage}, **after), save_jar(visitor))
    assert later.key == visitor.key is not None
    assert later.get(callback).location == "/own"


@pytest.mark.requirement("R89")
def test_a_fallback_that_is_gone_ends_a_login_politely(make_app: Any, emulator: Emulator) -> None:
    visitor = Visitor(make_app(SECRET_KEY=OLD))
    callback = emulator.approve(visitor.start())
    later = browser_with(make_app(SECRET_KEY=NEW), save_jar(visitor))
    assert_refused(later, emulator, callback)


@pytest.mark.requirement("R92")
def test_the_encryption_key_outlives_the_secret_key(make_app: Any, emulator: Emulator) -> None:
    storage = MemoryStorage()
    keys = {"OPENROUTER_ENCRYPTION_KEY": OLD_ENCRYPTION_KEY}
    apps = [make_app({"storage": storage}, SECRET_KEY=key, **keys) for key in (OLD, NEW)]
    for app in apps:
        app.extensions["openrouter"].app_functions.owner_loader = lambda: "alice"
    visitor = Visitor(apps[0])
    visitor.connect(emulator)
    assert Visitor(apps[1]).key == visitor.key is not None


@pytest.mark.requirement("R92")
def test_the_secret_key_does_not_open_what_the_encryption_key_closed(
    make_app: Any, emulator: Emulator
) -> None:
    visitor = Visitor(make_app(SECRET_KEY=OLD, OPENROUTER_ENCRYPTION_KEY=new_key()))
    visitor.connect(emulator)
    assert browser_with(make_app(SECRET_KEY=OLD), save_jar(visitor)).key is None


def start(**config: Any) -> Flask:
    """Start an app in production."""
    app = Flask("production")
    app.config.update(config)
    OpenRouterAuth(app)
    return app


def _secrets_of_the_readme() -> list[str]:
    readme = Path(__file__).parents[2] / "README.md"
    found: list[str] = re.findall(
        r"""SECRET_KEY["']?\]?\s*=\s*["']([^"']+)["']""", readme.read_text()
    )
    return found


WEAK = [
    *(None, "", b"", 0, False, "x", " ", " " * 40, "\t\n" * 20, b" " * 32, "o" * 15),
    *("dev", "secret", "changeme", "change-me-in-production", "CHANGE-ME-IN-PRODUCTION"),
    *(
        "super-secret-key",
        "your-secret-key-here",
        "secretsecretsecret",
        "\u00a0" * 16,
        "a" * 16,
        "dev" + " " * 20,
    ),
    # The value in Flask's own tutorial and documentation.
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    *(12345678901234567890, ["a list of one secret key, thirty"], object()),
    "\udcff" * 32,
    *_secrets_of_the_readme(),
]


@pytest.mark.requirement("R90")
@pytest.mark.parametrize("secret", WEAK, ids=range(len(WEAK)))
def test_a_weak_secret_key_stops_the_app(secret: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^SECRET_KEY ") as caught:
        start(SECRET_KEY=secret)
    assert "token_hex" in str(caught.value) or "text or bytes" in str(caught.value)
    assert caught.value.__cause__ is None
    if isinstance(secret, str) and len(secret) > 14:
        assert secret not in str(caught.value)


@pytest.mark.requirement("R90")
@pytest.mark.parametrize("secret", WEAK, ids=range(len(WEAK)))
def test_a_weak_fallback_stops_the_app(secret: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^SECRET_KEY_FALLBACKS "):
        start(SECRET_KEY=secrets.token_hex(), SECRET_KEY_FALLBACKS=[secret])


@pytest.mark.requirement("R90")
@pytest.mark.parametrize("fallbacks", ["old-secret-key-of-the-app", b"old-secret", 7, {"a": "b"}])
def test_fallbacks_are_a_list(fallbacks: Any) -> None:
    """Flask 3.1 takes each letter of a string for a key: ``"o"`` would sign valid sessions."""
    with pytest.raises(ConfigurationError, match=r"^SECRET_KEY_FALLBACKS must be a list"):
        start(SECRET_KEY=secrets.token_hex(), SECRET_KEY_FALLBACKS=fallbacks)


@pytest.mark.requirement("R90")
@pytest.mark.parametrize("mode", ["DEBUG", "TESTING"])
def test_while_developing_a_weak_key_is_named_only(
    mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "flask_openrouter"):
        start(SECRET_KEY="dev", **{mode: True})
    assert "SECRET_KEY is too easy to guess" in caplog.text
    with pytest.raises(ConfigurationError):
        start(SECRET_KEY=" " * 20, **{mode: True})


@pytest.mark.requirement("R90")
@pytest.mark.parametrize(
    "secret",
    [secrets.token_hex(), b"\n" + bytes(range(0x81, 0x8F)) + b" ", "blåbærsyltetøy i store glass"],
)
def test_a_good_key_starts_the_app(secret: Any, caplog: pytest.LogCaptureFixture) -> None:
    start(SECRET_KEY=secret, SECRET_KEY_FALLBACKS=(secrets.token_hex(),))
    assert caplog.text == ""


@pytest.mark.requirement("R92")
@pytest.mark.parametrize(
    "value",
    ["", "x", "A" * 43 + "!", "A" * 40, "A" * 48, "é" * 44, b"\xff" * 44, 7, new_key() + "AAAA"],
)
@pytest.mark.parametrize("is_fallback", [False, True])
def test_a_malformed_encryption_key_stops_the_app_and_stays_secret(
    value: Any, is_fallback: bool
) -> None:
    keys = {"OPENROUTER_ENCRYPTION_KEY": value}
    if is_fallback:
        keys = {
            "OPENROUTER_ENCRYPTION_KEY": new_key(),
            "OPENROUTER_ENCRYPTION_KEY_FALLBACKS": [value],
        }
    with pytest.raises(ConfigurationError, match=r"generate-key$") as caught:
        start(SECRET_KEY=secrets.token_hex(), **keys)
    assert str(caught.value).startswith([*keys][-1])
    assert len(str(value)) < 20 or str(value) not in str(caught.value)


@pytest.mark.requirement("R91", "F29")
def test_a_worker_with_another_key_deletes_nothing(stored_apps: Any, emulator: Emulator) -> None:
    """Refused by one worker, served by the other, in turns: nothing is lost on the way."""
    workers = [stored_apps(SECRET_KEY=secret) for secret in (OLD, NEW)]
    for worker in workers:
        worker.extensions["openrouter"].app_functions.owner_loader = lambda: "alice"
    visitor = Visitor(workers[0])
    visitor.connect(emulator)
    key = visitor.key
    for _ in range(3):
        stranger = browser_with(workers[1], save_jar(visitor))
        assert stranger.key is None
        assert stranger.get("/openrouter/status").get_json()["connected"] is False
        assert not any("openrouter=;" in str(header) for header in save_jar(stranger))
        visitor = browser_with(workers[0], save_jar(stranger))
        assert visitor.key == key is not None


@pytest.mark.requirement("R91")
def test_the_log_names_what_may_be_wrong(
    make_app: Any, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    storage = MemoryStorage()
    storage.set("alice", KeyCipher([b"another worker's key"]).encrypt(b"x", b""))
    app = make_app({"storage": storage})
    app.extensions["openrouter"].app_functions.owner_loader = lambda: "alice"
    Visitor(app).get("/guarded")
    assert "does not open" in caplog.text
    assert "alice" not in caplog.text
