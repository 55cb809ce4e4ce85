"""Sixty-four threads at once: how many connections they open, and how many stay."""

from __future__ import annotations

import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Flask
from servers import RedisServer, running_postgresql, running_redis

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.client.connections import POOL_SIZE
from flask_openrouter.storage.memory import MemoryStorage

from .browser import Browser, approve, call
from .provider import Provider, running_provider
from .report import Goal, Row
from .stores import or_skip

THREADS: Final = 64
#: Connections that one process has to a database or to Redis at most; see docs/storage.md.
_BOUNDS: Final = {"PostgreSQL": 10, "Redis": 20}
#: As far as a provider on another continent, in seconds.
_DELAY: Final = 0.02
_ESTABLISHED: Final = "01"


def create_app(
    provider_url: str, *, extension: dict[str, Any] | None = None, **config: Any
) -> Flask:
    """Return an app with one guarded view. ``extension``: arguments of OpenRouterAuth."""
    app = Flask("steady")
    app.config.update(
        SECRET_KEY=secrets.token_hex(),
        OPENROUTER_BASE_URL=provider_url,
        OPENROUTER_EMULATOR=True,
        OPENROUTER_LOGIN_REDIRECT_URL="/guarded",
        **config,
    )
    logging.getLogger("flask_openrouter").setLevel(logging.ERROR)
    OpenRouterAuth(app, **(extension or {}))

    @app.get("/guarded")
    @requires_openrouter_key
    def guarded() -> str:
        return current_openrouter.api_key

    return app


def log_in(app: Flask) -> Browser:
    """Connect a new browser. Raises AssertionError when that fails."""
    browser = Browser(app)
    answer = browser.get(approve(browser.get("/openrouter/login").location).callback)
    assert answer.status == 303, answer.body
    return browser


def measure(each: int) -> list[Row]:
    """Let every thread log in, and visit the guarded view, so many times.

    Raises :class:`SkippedError` when a server is missing.
    """
    with running_provider(tls=False) as provider:
        return [
            _logins(provider, each),
            *(_lookups(provider, each, name, *server) for name, server in _servers()),
            _slow_storage(provider, each),
        ]


class SlowStorage(MemoryStorage):
    """Answers late, as a database on another continent."""

    def get(self, owner_id: str) -> str | None:
        """Return the ciphertext, a while later."""
        time.sleep(_DELAY)
        return super().get(owner_id)


def _slow_storage(provider: Provider, each: int) -> Row:
    """Whether visitors wait for each other's lookups."""
    visit = _visit(create_app(provider.url, extension={"storage": SlowStorage()}))
    samples = {}
    for name, threads in {"1 thread": 1, f"{THREADS} threads": THREADS}.items():
        begin = time.perf_counter()
        _most_while(visit, each, lambda: 0, threads=threads)
        samples[name] = [threads * each / (time.perf_counter() - begin)]
    what = f"guarded requests, each lookup takes {_DELAY * 1000:.0f} ms"
    goal = Goal(least=8, column=f"{THREADS} threads")
    return Row(what, "/s", samples, base="1 thread", goal=goal)


def _logins(provider: Provider, each: int) -> Row:
    app = create_app(provider.url)
    before = provider.counts()
    provider.delay(_DELAY)
    port = urlsplit(provider.url).port
    assert port is not None
    most = _most_while(lambda: log_in(app), each, lambda: _open_connections(port))
    provider.delay(0)
    after = provider.counts()
    assert after.exchanges - before.exchanges == THREADS * each
    samples = {
        "open at most": [float(most)],
        "kept afterwards": [float(_open_connections(port))],
        "opened in all": [float(after.connections - before.connections)],
    }
    goal = Goal(most=POOL_SIZE, of="value", column="kept afterwards")
    note = f"{THREADS * each:,} logins; the pool keeps {POOL_SIZE}"
    return Row(f"{THREADS} threads: connections to OpenRouter", "", samples, goal=goal, note=note)


def _lookups(provider: Provider, each: int, name: str, uri: str, count: Callable[[], int]) -> Row:
    app = create_app(provider.url, OPENROUTER_STORAGE_URI=uri)
    visit = _visit(app)
    statuses: Counter[str] = Counter()
    most = _most_while(lambda: statuses.update([visit()]), each * 10, count)
    # 503: no connection was free for five seconds, on a machine that has other things to do.
    assert statuses.keys() <= {"200 OK", "503 SERVICE UNAVAILABLE"}, statuses
    samples = {
        "open at most": [float(most)],
        "kept afterwards": [float(count())],
        "requests that waited in vain": [float(statuses["503 SERVICE UNAVAILABLE"])],
    }
    goal = Goal(most=_BOUNDS[name], of="value", column="open at most")
    app.extensions["openrouter"].vault.storage.close()
    return Row(f"{THREADS} threads: connections to {name}", "", samples, goal=goal)


def _visit(app: Flask) -> Callable[[], str]:
    """Return a visit of the guarded view by somebody who has connected; it returns its status."""
    environ = log_in(app).environ("/guarded")
    return lambda: call(app, environ)[0]


def _servers() -> Iterator[tuple[str, tuple[str, Callable[[], int]]]]:
    with or_skip(running_postgresql) as postgresql:
        uri = postgresql.create_database()
        name = uri.rpartition("/")[2]
        query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"  # noqa: S608
        yield "PostgreSQL", (uri, lambda: int(postgresql.execute(query)[0][0]))
    with or_skip(running_redis) as redis:
        yield "Redis", (redis.url, lambda: _clients(redis))


def _clients(server: RedisServer) -> int:
    """Return how many others are connected than the connection that asks."""
    answer: Any = server.execute("INFO", "clients")
    return int(answer["connected_clients"]) - 1


def _most_while(
    work: Callable[[], object], each: int, count: Callable[[], int], *, threads: int = THREADS
) -> int:
    """Run the work in all threads; return the highest count meanwhile."""

    def repeat() -> None:
        for _ in range(each):
            work()

    most = 0
    with ThreadPoolExecutor(threads) as pool:
        runs = [pool.submit(repeat) for _ in range(threads)]
        while wait(runs, timeout=0.02).not_done:
            most = max(most, count())
    for run in runs:
        run.result()
    return most


def _open_connections(port: int) -> int:
    """Return how many of this machine's sockets are connected to this port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(
        fields[2].endswith(f":{port:04X}") and fields[3] == _ESTABLISHED
        for fields in map(str.split, lines)
    )
