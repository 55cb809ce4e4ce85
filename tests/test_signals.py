"""Signals: their payload and sender. A receiver that fails does no harm."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from attack import parameter
from flask import Flask
from key_issuer import running_key_issuer
from leaks import leaks_in
from visitor import Visitor

from flask_openrouter import current_openrouter, requires_openrouter_key, signals
from flask_openrouter.storage.memory import MemoryStorage

pytest_plugins = "sites"

CODE = "auth_code_Zm9vYmFyX2NhbmFyeV8xMjM0NTY3ODk"
NAMES = ("key_connected", "key_disconnected", "login_failed")


@pytest.fixture
def heard() -> Iterator[list[tuple[str, object, dict[str, Any]]]]:
    """The name, sender and payload of each signal."""
    found: list[tuple[str, object, dict[str, Any]]] = []

    def hear(name: str) -> Any:
        return lambda sender, **payload: found.append((name, sender, payload))

    with ExitStack() as stack:
        for name in NAMES:
            stack.enter_context(getattr(signals, name).connected_to(hear(name)))
        yield found


def test_a_login_and_a_disconnect_send_signals_from_the_app_itself(
    site: Any, heard: list[Any]
) -> None:
    site.connect()
    site.visitor.post("/openrouter/disconnect")
    (connected, disconnected) = heard
    assert connected[0] == "key_connected"
    assert connected[1] is site.app
    assert type(connected[1]) is Flask
    owner_id = connected[2]["owner_id"]
    assert owner_id.startswith("browser:")
    assert connected[2] == {
        "owner_id": owner_id,
        "openrouter_user_id": "user_emulated",
        "previous_openrouter_user_id": None,
    }
    assert disconnected == (
        "key_disconnected",
        site.app,
        {"owner_id": owner_id, "reason": "visitor"},
    )


def test_the_signal_of_a_login_names_the_account_before(site: Any, heard: list[Any]) -> None:
    site.connect()
    site.emulator.configure(openrouter_user_id="user_other")
    site.connect()
    assert heard[1][2]["openrouter_user_id"] == "user_other"
    assert heard[1][2]["previous_openrouter_user_id"] == "user_emulated"
    assert heard[1][2]["owner_id"] != heard[0][2]["owner_id"]


def test_a_rejected_key_sends_one_signal(site: Any, heard: list[Any]) -> None:
    @site.app.get("/view")
    @requires_openrouter_key
    def view() -> str:
        return str(current_openrouter.key_info())

    site.connect()
    site.emulator.revoke(site.issued_key())
    assert site.visitor.get("/view").status_code == 303
    assert [(name, payload.get("reason")) for name, _, payload in heard[1:]] == [
        ("key_disconnected", "rejected")
    ]


def test_a_disconnect_without_a_key_sends_no_signal(site: Any, heard: list[Any]) -> None:
    site.visitor.post("/openrouter/disconnect")
    site.connect()
    site.visitor.post("/openrouter/disconnect")
    site.visitor.post("/openrouter/disconnect")
    assert [name for name, _, _ in heard] == ["key_connected", "key_disconnected"]


def test_a_failed_login_sends_its_reason_and_no_text_from_outside(
    make_site: Any, heard: list[Any]
) -> None:
    site = make_site({"storage": MemoryStorage()})
    visitor, emulator = site.visitor, site.emulator
    visitor.get("/openrouter/callback?code=a&error=b")
    visitor.get(f"/openrouter/callback?code=a&state={'s' * 43}")
    visitor.get(emulator.deny(visitor.start()))
    with emulator.faults(status=500, body="<h1>foreign</h1>", path="/api/v1/auth/keys"):
        visitor.connect(emulator)
    assert [(name, sender, payload) for name, sender, payload in heard] == [
        ("login_failed", site.app, {"reason": reason})
        for reason in ("malformed", "unknown", "declined", "provider_failed")
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_receiver_that_fails_is_logged_and_breaks_nothing(
    name: str, site: Any, heard: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(sender: object, **payload: object) -> None:
        raise LookupError("the mailer is down")

    async def fail_later(sender: object, **payload: object) -> None:
        raise LookupError("the queue is down")

    signal = getattr(signals, name)
    with signal.connected_to(fail), signal.connected_to(fail_later):
        site.visitor.get(site.emulator.deny(site.visitor.start()))
        site.connect()
        assert site.visitor.key is not None
        assert site.visitor.post("/openrouter/disconnect").status_code == 303
    assert site.visitor.key is None
    assert [sent for sent, _, _ in heard] == ["login_failed", "key_connected", "key_disconnected"]
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(records) == 2
    for record in records:
        assert record.name == "flask_openrouter"
        assert f"openrouter-{name.replace('_', '-')}" in record.getMessage()
        assert record.exc_info is not None


def test_a_receiver_may_be_async(site: Any) -> None:
    seen = []

    async def receive(sender: Flask, owner_id: str, **payload: object) -> None:
        await asyncio.sleep(0)
        seen.append((sender, owner_id))

    with signals.key_connected.connected_to(receive):
        site.connect()
    ((sender, owner_id),) = seen
    assert sender is site.app
    assert owner_id.startswith("browser:")


def test_a_receiver_may_listen_to_one_app_only(make_site: Any, heard: list[Any]) -> None:
    one, other = make_site(), make_site()
    seen = []
    with signals.key_connected.connected_to(lambda sender, **_: seen.append(sender), one.app):
        other.connect()
        one.connect()
    assert seen == [one.app]
    assert [sender for _, sender, _ in heard] == [other.app, one.app]


def test_the_key_is_stored_before_its_signal_and_deleted_before_the_other(make_site: Any) -> None:
    storage = MemoryStorage()
    site = make_site({"storage": storage})
    counts = []

    def count(sender: object, **payload: object) -> None:
        counts.append(storage.count_owners())

    with signals.key_connected.connected_to(count), signals.key_disconnected.connected_to(count):
        site.connect()
        site.visitor.post("/openrouter/disconnect")
    assert counts == [1, 0]


@pytest.mark.requirement("R66")
def test_signals_carry_no_secret(make_app: Any, heard: list[Any]) -> None:
    with running_key_issuer() as key_issuer:
        visitor = Visitor(make_app(OPENROUTER_BASE_URL=key_issuer.url))
        callback_url = visitor.callback_url(visitor.start(), code=CODE)
        visitor.get(callback_url)
        visitor.get(f"{callback_url}&code=again")
        visitor.post("/openrouter/disconnect")
        assert {name for name, _, _ in heard} == set(NAMES)
        assert key_issuer._provider is not None
        canaries = {
            "key": key_issuer.keys[CODE],
            "code": CODE,
            "state": parameter(callback_url, "state"),
            "code_verifier": key_issuer._provider.exchanges[0].json["code_verifier"],
        }
    assert leaks_in(repr(heard), canaries) == []
