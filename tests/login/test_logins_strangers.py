"""Many strangers cost the server nothing (OWASP ASVS 5.0, 2.4.1 and 15.1.3)."""

from __future__ import annotations

import gc
import secrets
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy
from attack import exchanges
from flask import Flask
from sqlalchemy import select
from sqlalchemy.sql.functions import count as rows_of
from visitor import Visitor

from flask_openrouter.emulator import Emulator

MOST_ROUNDS = 5
STRANGERS = 60
#: Bytes that their traces would take at least.
TRACES = 40_000


@pytest.fixture
def stored(all_stored_apps: Any, request: pytest.FixtureRequest) -> Callable[[], int]:
    """Count the rows in the storage, without the code under test."""

    def count() -> int:
        if all_stored_apps.kind == "redis":
            size = request.getfixturevalue("redis_server").execute("DBSIZE")
            return int(size)
        if all_stored_apps.kind == "memory":
            return len(list(all_stored_apps().extensions["openrouter"].vault.storage.owner_ids()))
        return 0 if all_stored_apps.uri is None else _rows(all_stored_apps.uri)

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
    all_stored_apps: Any, stored: Callable[[], int], emulator: Emulator
) -> None:
    """Each is a new browser that never comes back."""
    app = all_stored_apps()
    # Python keeps the last 128 addresses that it has taken apart.
    for _ in range(150):
        Visitor(app).start("/there")
    with _memory() as growth:
        # What else runs in this process may fill a cache meanwhile, but not each time.
        for _ in range(MOST_ROUNDS):
            before = growth()
            for _ in range(STRANGERS):
                Visitor(app).start("/there")
            if growth() - before < TRACES:
                break
        else:
            pytest.fail("The memory grew with each round of strangers.")
    assert stored() == 0
    assert list(emulator.requests) == []


@contextmanager
def _memory() -> Iterator[Callable[[], int]]:
    """Yield a function that returns how many bytes Python's objects have grown since."""

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
def test_the_measurement_notices_what_is_kept_for_each_stranger(app: Flask) -> None:
    kept = []
    with _memory() as growth:
        for _ in range(STRANGERS):
            kept.append(Visitor(app).start("/there") * 4)
        assert growth() > TRACES
    assert len(kept) == STRANGERS


@pytest.mark.requirement("R101")
def test_callbacks_with_made_up_states_send_no_request(
    all_stored_apps: Any, stored: Callable[[], int], emulator: Emulator
) -> None:
    """With no cookie at all, with a login under way, and with the state of another browser."""
    app = all_stored_apps()
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
    # So the count notices a key.
    assert stored() == (1 if all_stored_apps.is_server_side else 0)
