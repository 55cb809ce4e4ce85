"""Logins while the server of the storage is killed again and again: no key is lost.

A login counts as lost when OpenRouter made a key that the app cannot use in the end.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from typing import Any

import pytest
from flask import Flask
from polling import wait_until
from stores import STORES, Store, each_of
from visitor import Visitor

from flask_openrouter.emulator import Emulator

THREADS = 8
#: Logins between two kills.
SPACING = 20
#: Seconds that OpenRouter takes for an exchange. So a kill meets visitors who have sent their code.
EXCHANGE = 0.2

SAVE_AGAIN = re.compile(r'<form method="post" action="([^"]+/save[^"]*)"')


class Logins:
    """Visitors who log in, and what became of each login."""

    def __init__(self, app: Flask, emulator: Emulator, number: int) -> None:
        self.visitors = [Visitor(app) for _ in range(number)]
        self.figures: Counter[str] = Counter()
        self._emulator = emulator
        self._lock = threading.Lock()

    def count(self, what: str) -> None:
        with self._lock:
            self.figures[what] += 1

    def run(self, visitor: Visitor) -> None:
        """Log one visitor in, who tries again what the app says may be tried again."""
        try:
            callback = self._emulator.approve(visitor.start("/guarded"))
            self.count("started")
            if not self._comes_back(visitor, callback):
                self.count("refused before the code was spent")
                wait_until(lambda: self._comes_back(visitor, callback))
        finally:
            self.count("finished")

    def _comes_back(self, visitor: Visitor, callback: str) -> bool:
        """Whether the code was spent. If the key is parked, it is saved before this returns."""
        response = visitor.get(callback)
        if response.status_code == 503:
            form = SAVE_AGAIN.search(response.text)
            if form is None:
                return False
            self.count("parked")
            wait_until(lambda: visitor.post(unescape(form[1])).status_code == 303)
        else:
            assert response.status_code == 303
            self.count("stored at once")
        return True


def kill_now_and_then(server: Any, logins: Logins) -> None:
    """Kill the server again and again while the logins go on."""
    figures = logins.figures

    def noticed() -> int:
        return figures["parked"] + figures["refused before the code was spent"]

    for due in range(SPACING // 2, len(logins.visitors), SPACING):
        wait_until(lambda due=due: figures["started"] >= due)  # type: ignore[misc]
        before = noticed()
        server.kill()
        logins.count("kills")
        wait_until(lambda before=before: noticed() > before or is_over(logins))  # type: ignore[misc]
        server.start()


def is_over(logins: Logins) -> bool:
    return logins.figures["finished"] == len(logins.visitors)


# pg8000 leaves the sockets of a killed server to the garbage collector, which warns.
@pytest.mark.parametrize(
    "store", each_of(*(name for name in STORES if not name.endswith("pg8000"))), indirect=True
)
def test_no_key_is_lost_while_the_server_is_killed(
    make_app: Callable[..., Flask], emulator: Emulator, store: Store, every_variant: bool
) -> None:
    storage = store.create()
    app = make_app({"storage": storage})
    number, kills = (200, 10) if every_variant else (40, 2)
    logins = Logins(app, emulator, number)
    # The first visitor of a site does this once: it creates the table.
    assert storage.count_owners() == 0
    emulator.add_fault(times=None, path="/api/v1/auth/keys", delay=EXCHANGE)
    with ThreadPoolExecutor(THREADS + 1) as pool:
        killing = pool.submit(kill_now_and_then, store.server, logins)
        list(pool.map(logins.run, logins.visitors))
        killing.result()
    print(dict(logins.figures))
    made = {key["hash"] for key in emulator.ledger.keys(emulator.now())}
    usable = {visitor.key for visitor in logins.visitors}
    assert len(made) == number
    assert made == usable
    assert storage.count_owners() == number
    assert logins.figures["kills"] == kills
    # Otherwise the kills came too early or too late to prove anything. Two may miss; ten do not.
    assert logins.figures["parked"] > 0 or not every_variant
