"""The figures of docs/storage.md: bytes per key, and storage calls per request."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from flask import Flask
from visitor import Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.record import KeyRecord


class CountingStorage(MemoryStorage):
    """Counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def get(self, owner_id: str) -> str | None:
        self.calls["read"] += 1
        return super().get(owner_id)

    def set(self, owner_id: str, ciphertext: str) -> None:
        self.calls["write"] += 1
        super().set(owner_id, ciphertext)

    def delete(self, owner_id: str) -> None:
        self.calls["delete"] += 1
        super().delete(owner_id)

    def during(self, work: Callable[[], object]) -> dict[str, int]:
        """The calls while this is done."""
        self.calls.clear()
        work()
        return dict(self.calls)


@pytest.mark.parametrize("user", [None, "ada"])
def test_each_request_costs_as_many_calls_as_documented(
    make_app: Callable[..., Flask], emulator: Emulator, user: str | None
) -> None:
    storage = CountingStorage()
    app = make_app({"storage": storage})
    app.extensions["openrouter"].app_functions.owner_loader = lambda: user
    visitor = Visitor(app)

    for number in range(2):
        is_known = user is not None or number > 0
        assert storage.during(lambda: visitor.start("/")) == ({"read": 1} if is_known else {})
        callback = emulator.approve(visitor.start("/"))
        calls = storage.during(partial(visitor.get, callback))
        assert calls["write"] == 1
        assert calls["read"] <= 3
        # A browser has a new id with every connect, and its older entry is deleted.
        assert calls.get("delete", 0) <= 1
    assert storage.during(lambda: visitor.get("/")) == {}
    assert storage.during(lambda: visitor.get("/guarded")) == {"read": 1}
    assert storage.during(lambda: visitor.get("/openrouter/status")) == {"read": 1}
    disconnect = storage.during(lambda: visitor.post("/openrouter/disconnect"))
    assert disconnect == {"read": 1, "delete": 1}


def test_a_key_takes_as_many_bytes_as_documented(app: Flask, emulator: Emulator) -> None:
    storage = MemoryStorage()
    vault = app.extensions["openrouter"].vault
    vault.storage = storage
    sizes = []
    for _ in range(50):
        user_id = f"user_{secrets.token_urlsafe(20)}"
        record = KeyRecord(f"sk-or-v1-{secrets.token_hex(32)}", user_id, 1_800_000_000)
        vault.save("owner", record)
        sizes.append(len(storage.get("owner") or ""))
    assert max(sizes) <= 135
    # The cookie has the browser's id as well, and a name.
    assert max(sizes) + len("__Host-openrouter=0123456789abcdefghijkl.") <= 180
