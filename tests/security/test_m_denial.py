"""Strangers in great numbers, or with great addresses (OWASP ASVS 5.0, 2.4.1 and 15.1.3)."""

from __future__ import annotations

import gc
import logging
import secrets
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy
from attack import exchanges, pending
from flask import Flask
from leaks import response_bytes
from sqlalchemy import select
from sqlalchemy.sql.functions import count as rows_of
from visitor import NAVIGATE, Visitor
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app
from werkzeug.wrappers import Request

from flask_openrouter.emulator import Emulator

STRANGERS = 300
MEGABYTES_10 = 10_000_000


@pytest.fixture
def stored(stored_apps: Any, request: pytest.FixtureRequest) -> Callable[[], int]:
    """Count what lies in the storage, past the code under test."""

    def count() -> int:
        if stored_apps.kind == "redis":
            size = request.getfixturevalue("_redis_of_this_folder").execute("DBSIZE")
            return int(size)
        if stored_apps.kind == "memory":
            return len(list(stored_apps().extensions["openrouter"].vault.storage.owner_ids()))
        return 0 if stored_apps.uri is None else _rows(stored_apps.uri)

    return count


def _rows(uri: str) -> int:
    engine = sqlalchemy.create_engine(uri)
    try:
        names = sqlalchemy.inspect(engine).get_table_names()
        with engine.connect() as database:
            counted = [select(rows_of()).select_from(sqlalchemy.table(name)) for name in names]
            return sum(database.execute(rows).scalar_one() for rows in counted)
    finally:
        engine.dispose()


@pytest.mark.requirement("R100")
def test_logins_of_strangers_leave_nothing_on_the_server(
    stored_apps: Any, stored: Callable[[], int], emulator: Emulator
) -> None:
    """None comes back, and each is a new browser; afterwards nobody can tell that they came."""
    app = stored_apps()
    for _ in range(50):
        Visitor(app).start("/there")
    with _memory() as growth:
        for _ in range(STRANGERS):
            Visitor(app).start("/there")
        assert growth() < 200_000
    assert stored() == 0
    assert list(emulator.requests) == []


@pytest.mark.requirement("R100")
def test_the_count_would_notice(
    stored_apps: Any, stored: Callable[[], int], emulator: Emulator
) -> None:
    app = stored_apps()
    Visitor(app).connect(emulator)
    assert stored() == (1 if stored_apps.is_server_side else 0)
    assert list(emulator.requests) != []


@contextmanager
def _memory() -> Iterator[Callable[[], int]]:
    """Yield a function that tells by how many bytes Python's objects have grown meanwhile."""

    def growth() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    gc.collect()
    tracemalloc.start()
    try:
        yield growth
    finally:
        tracemalloc.stop()


@pytest.mark.requirement("R100")
def test_what_is_kept_for_each_stranger_would_be_noticed(app: Flask) -> None:
    kept = []
    with _memory() as growth:
        for _ in range(STRANGERS):
            kept.append(Visitor(app).start("/there") * 2)
        assert growth() > 200_000
    assert len(kept) == STRANGERS


@pytest.mark.requirement("R101")
def test_callbacks_with_made_up_states_call_nobody(
    stored_apps: Any, stored: Callable[[], int], emulator: Emulator
) -> None:
    """With no cookie at all, with a login under way, and with the state of another browser."""
    app = stored_apps()
    visitor, other = Visitor(app), Visitor(app)
    own, foreign = visitor.start("/own"), other.callback_url(other.start(), code="made-up")
    for number in range(STRANGERS):
        stranger = Visitor(app) if number % 3 else visitor
        state = secrets.token_urlsafe(32)
        made_up = f"/openrouter/callback?state={state}&code={secrets.token_urlsafe(32)}"
        answer = stranger.get(foreign if number % 3 == 1 else made_up)
        assert answer.status_code == 400
    assert exchanges(emulator) == 0
    assert list(emulator.requests) == []
    assert stored() == 0
    assert visitor.get(emulator.approve(own)).location == "/own"
    assert exchanges(emulator) == 1


HUGE = "x" * MEGABYTES_10


@pytest.mark.requirement("R102")
@pytest.mark.parametrize(
    ("method", "path", "query", "status"),
    [
        ("GET", "/openrouter/login", f"next=/{HUGE}", 303),
        ("GET", "/openrouter/login", f"{HUGE}=1", 303),
        ("GET", "/openrouter/callback", f"state={HUGE}&code=a", 400),
        ("GET", "/openrouter/callback", f"error={HUGE}", 400),
        ("GET", "/openrouter/callback", HUGE, 400),
        ("GET", "/openrouter/code", f"next=/{HUGE}", 200),
        ("GET", "/openrouter/connected", f"next=/{HUGE}", 200),
        ("GET", "/openrouter/disconnected", f"key={HUGE}", 200),
        ("GET", "/openrouter/status", HUGE, 200),
        ("POST", "/openrouter/disconnect", f"next=/{HUGE}", 303),
        ("GET", "/guarded", HUGE, 303),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_huge_address_is_cheap_and_nowhere_repeated(
    app: Flask,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    query: str,
    status: int,
) -> None:
    """Measured inside the server: a web server in front refuses such an address long before."""
    caplog.set_level(logging.DEBUG)
    answer, seconds = _ask(app, method, path, query)
    assert answer.status_code == status
    assert seconds < 1
    said = response_bytes(answer)
    assert len(said) < 20_000
    for text in (said.decode(), caplog.text):
        assert "xxxxxxxxxx" not in text


def _ask(app: Flask, method: str, path: str, query: str) -> tuple[TestResponse, float]:
    headers = {**NAVIGATE, "Sec-Fetch-Site": "same-origin"}
    environ = EnvironBuilder(path, method=method, headers=headers).get_environ()
    environ["QUERY_STRING"] = query
    begin = time.perf_counter()
    # Buffered: the time of the whole answer counts.
    body, status, head = run_wsgi_app(app.wsgi_app, environ, buffered=True)
    seconds = time.perf_counter() - begin
    return TestResponse(body, status, head, Request(environ)), seconds


@pytest.mark.requirement("R102")
@pytest.mark.parametrize(("length", "is_kept"), [(1_000, True), (1_100, False), (100_000, False)])
def test_a_next_of_more_than_a_kilobyte_is_dropped(
    visitor: Visitor, emulator: Emulator, length: int, is_kept: bool
) -> None:
    next_url = "/" + "x" * (length - 1)
    callback = emulator.approve(visitor.start(next_url))
    assert len(pending(visitor)) == 1
    assert visitor.get(callback).location == (next_url if is_kept else "/")
