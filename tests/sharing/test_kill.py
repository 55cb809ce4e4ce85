"""Two hundred logins while the server of the keys is killed ten times: no key is lost.

A login counts as lost when OpenRouter made a key that the app cannot use in the end.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import unescape

import pytest
from flask import Flask
from servers import Server
from visitor import Visitor

from flask_openrouter.emulator import Emulator

LOGINS = 200
KILLS = 10
THREADS = 8
#: Seconds that a visitor keeps trying.
PATIENCE = 30.0
#: Seconds that OpenRouter takes for an exchange: most kills then come after the probe.
EXCHANGE = 0.05

SAVE_AGAIN = re.compile(r'<form method="post" action="([^"]+/save[^"]*)"')


def patiently(attempt: Callable[[], bool]) -> bool:
    """Whether ``attempt`` succeeded, as often as it took."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if attempt():
            return True
        time.sleep(0.05)
    return False


class Logins:
    """What became of each login."""

    def __init__(self, app: Flask, emulator: Emulator) -> None:
        self.visitors = [Visitor(app) for _ in range(LOGINS)]
        self.figures: Counter[str] = Counter()
        self.started = 0
        self._emulator = emulator
        self._lock = threading.Lock()

    def count(self, what: str) -> None:
        with self._lock:
            self.figures[what] += 1

    def run(self, number: int) -> None:
        """Log one visitor in, who tries again what the app says may be tried again."""
        visitor = self.visitors[number]
        callback = self._emulator.approve(visitor.start("/guarded"))
        with self._lock:
            self.started += 1
        answer = visitor.get(callback)
        if answer.status_code == 303:
            self.count("stored at once")
        elif answer.status_code != 503:
            self.count(f"unexpected: {answer.status_code}")
        elif (form := SAVE_AGAIN.search(answer.text)) is None:
            self.count("refused before the code was spent")
            if not patiently(lambda: self._goes_on(visitor, callback)):
                self.count("refused for good")
        else:
            self._save_again(visitor, unescape(form[1]))

    def _goes_on(self, visitor: Visitor, callback: str) -> bool:
        answer = visitor.get(callback)
        if answer.status_code == 503 and (form := SAVE_AGAIN.search(answer.text)) is not None:
            return self._save_again(visitor, unescape(form[1]))
        return answer.status_code == 303

    def _save_again(self, visitor: Visitor, action: str) -> bool:
        is_saved = patiently(lambda: visitor.post(action).status_code == 303)
        self.count("parked and saved later" if is_saved else "parked and not saved")
        return is_saved


def crash_now_and_then(server: Server, logins: Logins) -> None:
    """Kill the server ten times, spread over the logins, while they go on."""
    for number in range(KILLS):
        due = (number + 0.5) * LOGINS / KILLS
        assert patiently(lambda due=due: logins.started >= due)  # type: ignore[misc]
        server.kill()
        time.sleep(0.1)
        server.start()


def log_in_while_it_crashes(app: Flask, emulator: Emulator, server: Server) -> Counter[str]:
    logins = Logins(app, emulator)
    storage = app.extensions["openrouter"].vault.storage
    # What the first visitor of all does once: the table is there.
    assert storage.count_owners() == 0
    emulator.add_fault(times=None, path="/api/v1/auth/keys", delay=EXCHANGE)
    with ThreadPoolExecutor(THREADS + 1) as pool:
        crashes = pool.submit(crash_now_and_then, server, logins)
        list(pool.map(logins.run, range(LOGINS)))
        crashes.result()
    made = {key["hash"] for key in emulator.ledger.keys(emulator.now())}
    usable = {visitor.key for visitor in logins.visitors}
    logins.figures["logins attempted"] = LOGINS
    logins.figures["kills"] = KILLS
    logins.figures["keys made"] = len(made)
    logins.figures["keys stored"] = len(made & usable)
    logins.figures["keys lost"] = len(made - usable)
    logins.figures["entries of nobody"] = storage.count_owners() - LOGINS
    return logins.figures


@pytest.mark.parametrize("uri", ["postgresql", "redis"], indirect=True)
def test_no_key_is_lost_while_the_server_is_killed_ten_times(
    make_shared_app: Callable[..., Flask],
    emulator: Emulator,
    request: pytest.FixtureRequest,
    uri: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    is_redis = uri.startswith("redis")
    server: Server = request.getfixturevalue("redis_server" if is_redis else "postgresql")
    figures = log_in_while_it_crashes(make_shared_app(), emulator, server)
    with capsys.disabled():
        print(f"\n{type(server).__name__}:", dict(sorted(figures.items())))
    assert figures["keys lost"] == figures["entries of nobody"] == 0
    assert figures["keys stored"] == figures["keys made"] == LOGINS
    # Or else the kills came too early or too late to prove anything.
    assert figures["parked and saved later"] > 0
    assert not [what for what in figures if what.startswith("unexpected") and figures[what]]
