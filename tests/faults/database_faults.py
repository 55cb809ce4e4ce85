"""Faults of one kind of database: locks, full disks and memories, clusters, transactions."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import redis
from faults.fault_rows import Row, fault
from faults.fault_site import FaultSite
from faults.faulty_storage import Store
from faults.storage_faults import NOT_NOW, NOT_SAVED, WAITS, parked
from misbehaving import Connection, MisbehavingProvider
from servers import RedisServer
from small_disk import small_disk
from sqlalchemy import create_engine, text

from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage


@contextmanager
def _locked_sqlite(store: Store) -> Iterator[None]:
    with closing(sqlite3.connect(store.folder / "keys.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@fault(
    "F33",
    "locked by another program",
    NOT_SAVED,
    exchanges=1,
    storages=("sqlite",),
    remark=f"reads work; {WAITS}",
)
def _locked(site: FaultSite, _: None) -> Row:
    scene = site.scene(site.app(OPENROUTER_STORAGE_URI=f"{site.store.uri}?timeout=0.1"))
    with _locked_sqlite(site.store):
        page = scene.go()
    return parked(scene, page)


@contextmanager
def _out_of_memory(server: RedisServer) -> Iterator[None]:
    server.execute("CONFIG", "SET", "maxmemory-policy", "noeviction")
    server.execute("CONFIG", "SET", "maxmemory", "1")
    yield
    server.execute("CONFIG", "SET", "maxmemory", "0")


@contextmanager
def _replica(server: RedisServer) -> Iterator[None]:
    server.execute("REPLICAOF", "127.0.0.1", "1")
    yield
    server.execute("REPLICAOF", "NO", "ONE")


@fault(
    "F39",
    "no writes",
    NOT_SAVED,
    exchanges=1,
    storages=("redis",),
    remark=WAITS,
    variants={"out of memory": _out_of_memory, "read-only": _replica},
)
def _redis_takes_nothing(site: FaultSite, failing: Callable[..., object]) -> Row:
    scene = site.scene()
    with failing(site.store.server):  # type: ignore[attr-defined]
        page = scene.go()
    return parked(scene, page)


@fault("F39", "entry of the wrong type", NOT_NOW, storages=("redis",))
def _wrong_type(site: FaultSite, _: None) -> Row:
    scene = site.scene()
    with redis.Redis(port=site.store.server.port) as client:
        (entry,) = client.keys("openrouter:key:*")
        client.rename(entry, "aside")
        client.lpush(entry, "x")
        page = scene.go()
        client.rename("aside", entry)
    return scene.row(page)


@fault("F39", "entry moved (MOVED)", NOT_NOW, storages=("redis",))
def _moved(site: FaultSite, _: None) -> Row:
    is_moved = threading.Event()

    def front(connection: Connection) -> None:
        with socket.create_connection(("127.0.0.1", site.store.server.port)) as behind:
            while request := connection.sock.recv(65536):
                if is_moved.is_set():
                    connection.send(b"-MOVED 3999 127.0.0.1:1\r\n")
                    continue
                behind.sendall(request)
                connection.send(behind.recv(65536))
        connection.close()

    with MisbehavingProvider(on_connect=front) as provider:
        uri = f"redis://127.0.0.1:{provider.port}/0"
        scene = site.scene(site.app(OPENROUTER_STORAGE_URI=uri))
        is_moved.set()
        page = scene.go()
        is_moved.clear()
        row = scene.row(page)
        site.store.close()
    return row


@fault(
    "F40",
    "the app rolls back",
    "303 to `/first`",
    exchanges=1,
    key="replaced",
    storages=("postgresql",),
    remark="the key stays",
)
def _rollback(site: FaultSite, _: None) -> Row:
    engine = create_engine(str(site.store.uri))
    site.cleanup.callback(engine.dispose)
    app = site.app({"storage": SQLAlchemyStorage(engine)})
    open_transactions = []

    @app.before_request
    def begin() -> None:
        connection = engine.connect()
        connection.execute(text("CREATE TABLE IF NOT EXISTS visits (page text)"))
        connection.execute(text("INSERT INTO visits VALUES ('a page')"))
        open_transactions.append(connection)

    @app.teardown_request
    def roll_back(_: BaseException | None) -> None:
        connection = open_transactions.pop()
        connection.rollback()
        connection.close()

    scene = site.scene(app)
    return scene.row(scene.go())


@fault(
    "F41", "disk full", NOT_SAVED, exchanges=1, storages=("sqlite",), remark=f"no half row; {WAITS}"
)
def _disk_full(site: FaultSite, _: None) -> Row:
    with small_disk(site.folder / "disk") as disk:
        scene = site.scene(site.app(OPENROUTER_STORAGE_URI=f"sqlite:///{disk}/keys.db"))
        filler = disk / "filler"
        _fill(filler)
        # Only what is new needs room: rows of others take what the file still has.
        storage = site.store.switch.inner
        try:
            for number in range(1000):
                storage.set(f"user {number}", "x" * 4000)
        except Exception as error:
            assert "full" in str(error) or "disk I/O" in str(error)  # noqa: PT017
        page = scene.go()
        filler.unlink()
        row = parked(scene, page)
        site.store.close()
        site.record("storage", *(path.read_bytes() for path in disk.iterdir()))
    return row


def _fill(path: Path) -> None:
    try:
        path.write_bytes(b"x" * 256 * 1024)
    except OSError:
        return
    raise AssertionError("the disk is not full")
