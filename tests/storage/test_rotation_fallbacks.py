"""Rotation of SECRET_KEY and of the encryption key: visitors stay connected.

(OWASP ASVS 5.0, 11.2.3 and 13.1.4.)
"""

from __future__ import annotations

import base64
import secrets
from itertools import pairwise
from typing import Any

import pytest
from attack import assert_refused, browser_with, save_jar
from visitor import Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.storage.cipher import KeyCipher
from flask_openrouter.storage.memory import MemoryStorage

OLD, NEW = "the old secret key of this app", "the new secret key of this app"


def new_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


OLD_ENCRYPTION_KEY, NEW_ENCRYPTION_KEY = new_key(), new_key()
ROTATIONS = {
    "SECRET_KEY": (
        {"SECRET_KEY": OLD},
        {"SECRET_KEY": NEW, "SECRET_KEY_FALLBACKS": [OLD]},
        {"SECRET_KEY": NEW},
    ),
    "encryption key": (
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
def test_a_rotation_disconnects_no_visitor_until_the_old_key_is_removed(
    all_stored_apps: Any, emulator: Emulator
) -> None:
    for name, (before, during, after) in ROTATIONS.items():
        visitor = Visitor(all_stored_apps(**before))
        visitor.connect(emulator)
        key = visitor.key
        callback = emulator.approve(visitor.start("/own"))

        rotated = browser_with(all_stored_apps(**during), save_jar(visitor))
        assert rotated.key == key is not None, name
        jar = save_jar(rotated)
        assert rotated.get(callback).location == "/own", "a login that has begun can be finished"

        untouched = browser_with(all_stored_apps(**after), jar)
        assert untouched.get("/guarded").status_code == 303, name
        assert untouched.connect(emulator).status_code == 303, name

        # The login has stored a key anew, under the new secret only.
        written = browser_with(all_stored_apps(**after), save_jar(rotated))
        assert written.key == rotated.key not in (None, key), name


@pytest.mark.requirement("P1", "R89", "R92")
def test_the_documented_order_disconnects_no_visitor_on_two_machines(
    all_stored_apps: Any, emulator: Emulator
) -> None:
    """At each step one machine restarts after the other, and visitors change machines meanwhile."""
    for name, (before, during, after) in ROTATIONS.items():
        # The new key is a fallback first, so that a machine with older settings can read it.
        setting = next(key for key in during if key.endswith("_FALLBACKS"))
        new = during[setting.removesuffix("_FALLBACKS")]
        steps = [before, {**before, setting: [new]}, during]
        visitors = [Visitor(all_stored_apps(**before)) for _ in range(2)]
        for visitor in visitors:
            visitor.connect(emulator)
        for older, newer in pairwise(steps):
            machines = [all_stored_apps(**newer), all_stored_apps(**older)]
            for machine in (*machines, *machines):
                visitors = [browser_with(machine, save_jar(visitor)) for visitor in visitors]
                keys = [visitor.key for visitor in visitors]
                assert None not in keys, name
                # The first one connects anew each time, where the other machine must read it.
                callback = emulator.approve(visitors[0].start("/own"))
                visitors[0] = browser_with(machines[0], save_jar(visitors[0]))
                assert visitors[0].get(callback).location == "/own", name
        assert browser_with(all_stored_apps(**after), save_jar(visitors[0])).key is not None, name


@pytest.mark.requirement("R89", "R92")
def test_nothing_new_is_made_with_a_fallback(make_app: Any, emulator: Emulator) -> None:
    for name, (_, during, after) in ROTATIONS.items():
        storage = MemoryStorage()
        visitor = Visitor(make_app({"storage": storage}, **during))
        visitor.connect(emulator)
        callback = emulator.approve(visitor.start("/own"))
        later = browser_with(make_app({"storage": storage}, **after), save_jar(visitor))
        assert later.key == visitor.key is not None, name
        assert later.get(callback).location == "/own", name


@pytest.mark.requirement("R89")
def test_a_login_of_a_removed_fallback_is_refused(make_app: Any, emulator: Emulator) -> None:
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
def test_the_secret_key_does_not_decrypt_what_the_encryption_key_encrypted(
    make_app: Any, emulator: Emulator
) -> None:
    visitor = Visitor(make_app(SECRET_KEY=OLD, OPENROUTER_ENCRYPTION_KEY=new_key()))
    visitor.connect(emulator)
    assert browser_with(make_app(SECRET_KEY=OLD), save_jar(visitor)).key is None


@pytest.mark.requirement("R91", "F29")
def test_a_worker_with_another_key_deletes_nothing(
    all_stored_apps: Any, emulator: Emulator
) -> None:
    """The workers serve and refuse the visitor in turns. The key is not lost."""
    workers = [all_stored_apps(SECRET_KEY=secret) for secret in (OLD, NEW)]
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
def test_the_log_reports_a_key_that_does_not_decrypt(
    make_app: Any, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    storage = MemoryStorage()
    storage.set("alice", KeyCipher([b"another worker's key"]).encrypt(b"x", b""))
    app = make_app({"storage": storage})
    app.extensions["openrouter"].app_functions.owner_loader = lambda: "alice"
    Visitor(app).get("/guarded")
    assert "does not open" in caplog.text
    assert "alice" not in caplog.text
