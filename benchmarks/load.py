"""Logins that nobody finishes and callbacks that nobody asked for: what they cost the server.

gunicorn, two workers. Anonymous logins leave no state behind; forged callbacks reach nobody. One
genuine login at the end shows that both would have been seen.
"""

from __future__ import annotations

import itertools
import secrets
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from time import perf_counter
from typing import Final
from urllib.parse import parse_qs, urlsplit

from gunicorn_workers import gunicorn
from servers import running_redis
from visitor import NAVIGATE

from .browser import approve
from .provider import Provider, running_provider
from .report import Row
from .stores import or_skip
from .watch import Count, Watch

NAME: Final = "load"
#: Of gunicorn.
WORKERS: Final = 2
LOGIN: Final = "/openrouter/login"
CALLBACK: Final = "/openrouter/callback"
#: Seconds until a worker must have answered.
_PATIENCE: Final = 60
#: Threads that ask, so that no worker is idle.
CLIENTS: Final = 4


@dataclass(frozen=True)
class Answer:
    """A status and what the browser is told to keep."""

    status: int
    location: str
    cookies: str


class Client:
    """Sends requests, from several threads if need be, and notes which workers have answered."""

    def __init__(self, url: str) -> None:
        self._netloc = urlsplit(url).netloc
        self.workers: set[int] = set()

    def get(self, path: str, cookies: str = "") -> Answer:
        """Visit a path with these cookies."""
        headers = {**NAVIGATE, "Cookie": cookies} if cookies else NAVIGATE
        with closing(HTTPConnection(self._netloc)) as connection:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
        self.workers.add(int(answer.headers["X-Worker"]))
        set_cookies = answer.headers.get_all("Set-Cookie") or []
        return Answer(
            answer.status,
            answer.headers.get("Location", ""),
            "; ".join(line.partition(";")[0] for line in set_cookies),
        )


def run(rounds: int, quick: bool) -> list[Row]:
    """Run the load on each storage, once. Raises :class:`SkippedError` without Redis."""
    del rounds
    many, few = (1_000, 100) if quick else (10_000, 1_000)
    rows: list[Row] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="openrouter-")))
        redis = stack.enter_context(or_skip(running_redis))
        database = folder / "keys.db"
        storages: dict[str, tuple[dict[str, str], Count]] = {
            "cookie": ({}, lambda: len(list(folder.iterdir()))),
            "SQLite": (
                {"OPENROUTER_STORAGE_URI": f"sqlite:///{database}"},
                lambda: _count_rows(database),
            ),
            "Redis": (
                {"OPENROUTER_STORAGE_URI": redis.url},
                lambda: int(str(redis.execute("DBSIZE"))),
            ),
        }
        for name, (settings, count) in storages.items():
            rows += _load(name, settings, count, few, many)
    return rows


def _load(name: str, settings: dict[str, str], count: Count, few: int, many: int) -> Iterator[Row]:
    with running_provider(tls=False) as provider, _serving(provider, settings) as client:
        watch = Watch(name, client.workers, count, lambda: provider.counts().connections)
        _meet_workers(client)
        watch.note(f"{few:,} logins", _log_in(client, few))
        watch.note(f"{many:,} logins", _log_in(client, many - few))
        watch.note(f"{few:,} forged callbacks", _forge(client, few))
        watch.note(f"{many:,} forged callbacks", _forge(client, many - few))
        login = client.get(LOGIN)
        done = client.get(approve(login.location).callback, login.cookies)
        assert done.status == 303, done
        watch.note("1 genuine login")
        yield from watch.rows()


def _meet_workers(client: Client) -> None:
    """Wait until every worker has answered. Raises AssertionError when one does not."""
    deadline = perf_counter() + _PATIENCE
    while len(client.workers) < WORKERS:
        assert perf_counter() < deadline, "A worker of gunicorn does not answer."
        _send(client, [("/openrouter/status", "")] * 20, 200)


def _log_in(client: Client, times: int) -> float:
    """Start logins, each in a new browser that never comes back; return how many per second."""
    return _send(client, itertools.repeat((LOGIN, ""), times), 303)


def _forge(client: Client, times: int) -> float:
    """Send callbacks of every kind that belongs to no login; return how many per second."""
    visits = itertools.cycle(forged_callbacks(client))
    return _send(client, itertools.islice(visits, times), 400)


def _send(client: Client, visits: Iterable[tuple[str, str]], status: int) -> float:
    begin = perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(lambda visit: client.get(*visit).status, visits))
    assert set(answers) == {status}, Counter(answers)
    return len(answers) / (perf_counter() - begin)


def forged_callbacks(client: Client) -> list[tuple[str, str]]:
    """Return path and cookies of one callback of each kind. Two browsers log in for it."""
    own, other = client.get(LOGIN), client.get(LOGIN)
    state, code = _state_of(own.location), secrets.token_urlsafe(32)
    name, _, value = own.cookies.partition("=")
    altered = f"{name}={value[:-5]}{'A' if value[-5] != 'A' else 'B'}{value[-4:]}"
    genuine = f"{CALLBACK}?state={state}&code={code}"
    return [
        (CALLBACK, own.cookies),
        (f"{CALLBACK}?code={code}", own.cookies),
        (f"{CALLBACK}?state=&code={code}", own.cookies),
        (f"{CALLBACK}?state={secrets.token_urlsafe(32)}&code={code}", own.cookies),
        (f"{CALLBACK}?state={'x' * 4000}&code={code}", own.cookies),
        (f"{CALLBACK}?state={state}&state={state}&code={code}", own.cookies),
        (f"{CALLBACK}?state={state}&code={code}&code={code}", own.cookies),
        (f"{CALLBACK}?state={state}&code={'%00' * 100}", own.cookies),
        (genuine, ""),
        (genuine, other.cookies),
        (genuine, altered),
        (genuine, f"{name}=garbage; openrouter=garbage"),
        (genuine, f"{name}={secrets.token_urlsafe(2000)}; openrouter=~.{'A' * 300}"),
    ]


def _state_of(location: str) -> str:
    (callback_url,) = parse_qs(urlsplit(location).query)["callback_url"]
    return parse_qs(urlsplit(callback_url).query)["state"][0]


def _count_rows(database: Path) -> int:
    if not database.exists():
        return 0
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute("SELECT count(*) FROM openrouter_keys").fetchone()
    return int(found[0])


@contextmanager
def _serving(provider: Provider, settings: dict[str, str]) -> Iterator[Client]:
    server = gunicorn(
        WORKERS,
        SECRET_KEY=secrets.token_hex(),
        OPENROUTER_BASE_URL=provider.url,
        OPENROUTER_EMULATOR="true",
        **settings,
    )
    with server as url:
        yield Client(url)
