"""Whether stored keys outlast a restart, another process, and another account."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from ..storage.memory import MemoryStorage
from .case import Case
from .finding import Finding, ok, problem, warning

#: Seconds. A request has several calls, and gunicorn ends it after 30.
_LONG: Final = 10


def count_workers() -> int:
    """Return the number of gunicorn workers that the environment sets, by default 1."""
    arguments = re.search(r"(?:-w|--workers)[ =]?(\d+)", os.environ.get("GUNICORN_CMD_ARGS", ""))
    number = arguments[1] if arguments else os.environ.get("WEB_CONCURRENCY", "")
    return int(number) if number.isdecimal() else 1


def check_memory(case: Case, storage: object) -> Iterator[Finding]:
    """Find keys that live in the memory of one process."""
    if not isinstance(storage, MemoryStorage) and sqlite_file(storage) != "":
        return
    remedy = "Remove OPENROUTER_STORAGE_URI, or name a database, a file or Redis."
    workers = count_workers()
    if workers > 1:
        yield problem(
            "storage_memory",
            f"Keys live in the memory of each process, and {workers} workers are configured. A"
            " worker does not see the keys that another one stored.",
            remedy,
        )
    elif not case.is_development:
        yield warning(
            "storage_memory",
            "Keys live in the memory of this process. Other workers, such as those of gunicorn"
            " --workers 2, do not see them, and a restart loses them.",
            remedy,
        )


def check_durability(case: Case, storage: object) -> Iterator[Finding]:
    """Find what loses the keys of a storage that works."""
    if case.is_development or isinstance(storage, MemoryStorage) or sqlite_file(storage) == "":
        return
    settings = case.settings
    if case.services.vault.is_encrypting and settings.encryption_keys == settings.secret_keys:
        yield warning(
            "encryption_key_missing",
            "OPENROUTER_ENCRYPTION_KEY is not set, so SECRET_KEY encrypts the stored keys. A new"
            " SECRET_KEY without a fallback, or an encryption key set later, disconnects everyone.",
            "Set OPENROUTER_ENCRYPTION_KEY before the first visitor connects. Make one with: flask"
            " openrouter generate-key",
        )
    yield from _check_redis(storage)
    yield from _check_redis_waits(storage)
    yield from _check_pooler(storage)
    yield from _check_owner(storage)


def sqlite_file(storage: object) -> str | None:
    """Return the path of an SQLite file, ``""`` for a database in memory, None for another."""
    load_engine = getattr(storage, "_load_engine", None)
    if load_engine is None:
        return None
    url: Any = None
    # A function of the app may fail; other checks tell why.
    with suppress(Exception):
        url = load_engine().url
    if url is None or not str(url.drivername).startswith("sqlite"):
        return None
    path = str(url.database or "")
    is_memory = path in ("", ":memory:") or "mode=memory" in str(url) or ":memory:" in path
    return "" if is_memory else path.removeprefix("file:")


def _check_redis(storage: object) -> Iterator[Finding]:
    settings = _redis_settings(getattr(storage, "_client", None))
    policy = str(settings.get("maxmemory-policy", "noeviction"))
    if policy != "noeviction" and str(settings.get("maxmemory", "0")) != "0":
        yield warning(
            "redis_evicts",
            f"Redis deletes entries when its memory is full (maxmemory-policy {policy}), and keys"
            " of visitors with them.",
            "Use a Redis of its own for keys, with maxmemory-policy noeviction.",
        )
    if settings.get("appendonly") == "no" and settings.get("save") == "":
        yield warning(
            "redis_not_persistent",
            'Redis writes nothing to disk (appendonly no, save ""), so a restart of Redis'
            " disconnects everyone.",
            "Turn on appendonly, or use a database. If visitors may be disconnected at any time,"
            " nothing is wrong.",
        )


def _check_pooler(storage: object) -> Iterator[Finding]:
    is_preparing = False
    with suppress(Exception):
        engine = storage._load_engine()  # type: ignore[attr-defined]
        if engine.driver == "psycopg":
            with engine.connect() as connection:
                driver = connection.connection.driver_connection
                own = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
                # A pooler names a process of its own.
                is_behind_pooler = own != driver.info.backend_pid
                is_preparing = is_behind_pooler and driver.prepare_threshold is not None
    if is_preparing:
        yield warning(
            "prepared_statements",
            "The app's engine prepares statements, and PostgreSQL is behind a pooler. In"
            " transaction mode, one client's statement can run as another's and delete a key.",
            'Pass connect_args={"prepare_threshold": None} to create_engine. In session mode'
            " nothing is wrong.",
        )


def _check_redis_waits(storage: object) -> Iterator[Finding]:
    client: Any = getattr(storage, "_client", None)
    # With a URL the storage makes its own client, which does not wait for long.
    if client is None or getattr(storage, "_is_own", False):
        return
    seconds: float | None = 0
    # Releases of redis-py differ.
    with suppress(Exception):
        is_cluster = hasattr(client, "get_default_node")
        node = client.get_default_node().redis_connection if is_cluster else client
        pool = node.connection_pool
        connection = pool.connection_class(**pool.connection_kwargs)
        retries = [r for r in (connection.retry, getattr(client, "retry", None)) if r is not None]
        seconds = connection.socket_timeout
        if seconds is not None:
            seconds *= 1 + max(retry.get_retries() for retry in retries)
    if seconds is None or seconds > _LONG:
        length = "for ever" if seconds is None else f"for {seconds:.0f} seconds and more"
        yield warning(
            "redis_waits",
            f"The app's Redis client waits {length} for a server that does not answer, and each"
            " visitor with it.",
            "Pass socket_timeout=2 and retry=Retry(NoBackoff(), 1) to the client. By default,"
            " redis-py tries often.",
        )


def _redis_settings(client: Any) -> Mapping[Any, Any]:
    """Return Redis' settings; empty for another storage, or without the right to read them."""
    found: Any = None
    with suppress(Exception):
        found = {}
        for pattern in ("maxmemory*", "appendonly", "save"):
            found |= client.config_get(pattern)
    return {_text(name): _text(value) for name, value in (found or {}).items()}


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _check_owner(storage: object) -> Iterator[Finding]:
    path = sqlite_file(storage)
    if not path or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    with suppress(OSError):
        if os.stat(path).st_uid == 0:
            yield ok(
                "storage_owner",
                f"The doctor runs as root, and {path} belongs to root. If the app runs under"
                " another account, give the file and its folder to it (chown), and run the doctor"
                " under it.",
            )
