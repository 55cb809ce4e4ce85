"""Servers that are frozen, and statements that wait: a visitor waits for a known time only."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import psycopg
import pytest
from components import require
from flask import Flask
from polling import fastest, wait_until
from servers import PostgreSQLServer
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from visitor import Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.patience import Patience
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage
from flask_openrouter.storage.time_limit import TimeLimit


def connect(server: PostgreSQLServer) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host="127.0.0.1",
        port=server.port,
        user="tester",
        password=server.password,
        dbname="postgres",
        autocommit=True,
    )


def until_failure(storage: SQLAlchemyStorage) -> float:
    started = time.monotonic()
    with pytest.raises(OperationalError):
        storage.get("owner")
    return time.monotonic() - started


@pytest.mark.requirement("S3")
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_frozen_server_is_given_up_after_one_time_out(
    driver: str, postgresql: PostgreSQLServer, postgresql_url: str
) -> None:
    """Its kernel answers for it, so no TCP time-out helps; there is no second try."""
    if find_spec(driver) is None:
        require(driver, "not installed")
    storage = SQLAlchemyStorage(postgresql_url.replace("+psycopg:", f"+{driver}:"))
    storage.set("owner", "ciphertext")
    postgresql.freeze()
    try:
        seconds = fastest(lambda: until_failure(storage), below=11)
        # time: the limit is 6 seconds; two tries, or the kernel's own limit, are 12 and more.
        assert 5 < seconds < 11
    finally:
        postgresql.thaw()
    assert storage.get("owner") == "ciphertext"
    storage.close()


@pytest.mark.requirement("S3")
def test_a_connection_is_shut_down_when_its_time_is_over(postgresql: PostgreSQLServer) -> None:
    limit = TimeLimit(0.05)
    with connect(postgresql) as slow, connect(postgresql) as fast:
        number = limit.start(slow.fileno())
        limit.stop(limit.start(fast.fileno()))
        with pytest.raises(psycopg.OperationalError):
            slow.execute("SELECT pg_sleep(60)")
        limit.stop(number)
        assert fast.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.requirement("S3")
def test_its_thread_ends_and_begins_again(postgresql: PostgreSQLServer) -> None:
    before = threading.active_count()
    limit = TimeLimit(0.05)
    for _ in range(2):
        with connect(postgresql) as connection:
            numbers = [limit.start(connection.fileno()) for _ in range(3)]
            for number in numbers:
                limit.stop(number)
            assert connection.execute("SELECT 1").fetchone() == (1,)
        wait_until(lambda: threading.active_count() == before)


@pytest.mark.requirement("S3")
def test_only_what_is_overdue_is_shut_down(clock: Any) -> None:
    """By a thread that sleeps until the next one is. Here, the test is that thread."""
    (first, first_peer), (second, second_peer) = socket.socketpair(), socket.socketpair()
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            clock.now += 4
            limit.start(second.fileno())
            clock.now += seconds - 4
        else:
            assert first_peer.recv(1) == b""
            second.send(b"x")
            assert second_peer.recv(1) == b"x"
            clock.now += seconds

    with first, first_peer, second, second_peer:
        limit = TimeLimit(5, clock=clock, sleep=sleep)
        limit._thread = threading.Thread()
        limit.start(first.fileno())
        limit._watch()
        assert pauses == [5, 4]
        assert second_peer.recv(1) == b""


def test_a_socket_that_is_closed_already_is_no_error() -> None:
    limit = TimeLimit(0.01)
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    limit.start(writing)
    wait_until(lambda: not limit._waiting)


@pytest.mark.requirement("S3")
def test_a_forked_process_has_a_thread_of_its_own(postgresql: PostgreSQLServer) -> None:
    limit = TimeLimit(0.05)
    # What a fork leaves behind: a process id, a thread that does not run, and a lock that is held.
    limit._pid = 0
    limit._thread = threading.Thread()
    limit._lock.acquire()
    with connect(postgresql) as connection:
        limit.start(connection.fileno())
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT pg_sleep(60)")


@pytest.mark.requirement("S3")
def test_statements_of_an_engine_are_limited(postgresql: PostgreSQLServer) -> None:
    engine = create_engine(postgresql.url, isolation_level="AUTOCOMMIT")
    TimeLimit(0.05).listen(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
        with pytest.raises(OperationalError):
            connection.execute(text("SELECT pg_sleep(60)"))
    with engine.connect() as connection:
        with pytest.raises(ProgrammingError):
            connection.execute(text("SELECT nonsense"))
        assert connection.execute(text("SELECT 1")).scalar() == 1
    engine.dispose()
    wrong = create_engine(postgresql.url.replace("tester:", "tester:x"))
    TimeLimit(1).listen(wrong)
    with pytest.raises(OperationalError, match="authentication failed"):
        wrong.connect()


class Slow(MemoryStorage):
    """Fails after a time-out, on a clock that the test moves."""

    def __init__(self, move: Callable[[float], None]) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.move = move
        self.fails: set[str] = set()
        self.seconds = 0.0

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self.move(self.seconds if not self.fails or name in self.fails else 0)
        if name in self.fails:
            raise TimeoutError

    def get(self, owner_id: str) -> str | None:
        self._call("get")
        return super().get(owner_id)

    def set(self, owner_id: str, ciphertext: str) -> None:
        self._call("set")
        super().set(owner_id, ciphertext)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    now = [1000.0]

    def move(seconds: float) -> None:
        now[0] += seconds

    for module in ("patience", "calls"):
        monkeypatch.setattr(f"flask_openrouter.storage.{module}.monotonic", lambda: now[0])
    return Slow(move)


@pytest.mark.requirement("S3")
def test_the_end_of_a_login_tries_no_second_time_after_a_time_out(
    make_app: Callable[..., Flask], emulator: Emulator, slow: Slow
) -> None:
    visitor = Visitor(make_app({"storage": slow}))
    callback = emulator.approve(visitor.start())
    slow.fails, slow.seconds = {"set"}, 5
    slow.calls.clear()
    assert visitor.get(callback).status_code == 503
    assert slow.calls.count("set") == 1
    # The next request asks again.
    slow.fails = set()
    slow.seconds = 0
    assert visitor.post("/openrouter/save").status_code == 303
    assert visitor.key is not None


@pytest.mark.requirement("S3")
def test_a_storage_that_is_only_slow_is_asked_until_the_time_is_over(
    make_app: Callable[..., Flask], emulator: Emulator, slow: Slow
) -> None:
    visitor = Visitor(make_app({"storage": slow}))
    callback = emulator.approve(visitor.start())
    slow.seconds = 4
    slow.calls.clear()
    assert visitor.get(callback).status_code == 503
    assert len(slow.calls) == 2, "no more than one call after five seconds"


@pytest.mark.requirement("S3")
def test_a_view_of_the_app_may_wait_again_after_a_while() -> None:
    """A stream lasts for longer than the trouble."""
    patience = Patience(most=None)
    started = time.monotonic()
    patience.note(started - 100, failed=False)
    patience.check(started)
    patience.note(started - 3, failed=True)
    with pytest.raises(Exception, match="was not asked again"):
        patience.check(time.monotonic())
    patience.check(time.monotonic() + 10)
