"""A guarded view whose key is in SQLite, PostgreSQL or Redis, over the same view by hand."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial

from flask import Flask
from servers import running_postgresql, running_redis

from flask_openrouter.storage.redis import RedisStorage
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage

from ..candidates import GUARDED, connected, find, floor, ours
from ..candidates.floor_keys import DatabaseKeys, RedisKeys
from ..tools.browser import call
from ..tools.provider import running_provider
from ..tools.rounds import interleaved, median_time
from ..tools.rows import Goal, Row

GOAL = Goal(most=1.05)


def run(rounds: int, quick: bool) -> list[Row]:
    """Measure one call of the WSGI callable in this process, in microseconds."""
    rows = []
    with running_provider() as provider, apps(provider.url) as kinds:
        for kind, own in kinds.items():
            measurements = {}
            for name, app in own.items():
                browser, _ = connected(find(name), app)
                visit = partial(call, app, browser.environ(GUARDED))
                measurements[name] = partial(median_time, [visit] * (60 if quick else 300))
                measurements[name]()  # Connects, and prepares statements.
            times = interleaved(measurements, rounds)
            rows.append(Row(f"guarded view, key in {kind}", "µs", times, "floor", GOAL))
    return rows


@contextmanager
def apps(provider_url: str) -> Iterator[dict[str, dict[str, Flask]]]:
    """Create both apps for each kind of storage. Skips as the tests do without a server."""
    with ExitStack() as stack:
        postgresql = stack.enter_context(running_postgresql())
        redis = stack.enter_context(running_redis())
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        sqlite_url = f"sqlite:///{folder}/keys.db"
        database_url, redis_url = postgresql.create_database(), f"redis://127.0.0.1:{redis.port}/"
        kinds = {
            "SQLite": (DatabaseKeys(sqlite_url), SQLAlchemyStorage(sqlite_url)),
            "PostgreSQL": (DatabaseKeys(database_url), SQLAlchemyStorage(database_url)),
            "Redis": (RedisKeys(redis_url), RedisStorage(redis_url)),
        }
        created = {}
        for kind, (keys, storage) in kinds.items():
            stack.enter_context(closing(keys))
            stack.enter_context(closing(storage))
            created[kind] = {
                "floor": floor.create_app(provider_url, keys),
                "ours": ours.create_app(provider_url, storage),
            }
        yield created
