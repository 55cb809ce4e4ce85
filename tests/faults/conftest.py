"""What a fault needs: a real storage, an OpenRouter that can fail, and an app between them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from faults.fault_site import FaultSite
from faults.faulty_storage import Store
from faults.upstream_transports import make_upstream


@pytest.fixture
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Store]:
    """Return an empty store of this kind."""

    def make(kind: str) -> Store:
        folder = tmp_path / "store"
        folder.mkdir()
        uri, server = None, None
        if kind == "memory":
            uri = "memory://"
        elif kind == "sqlite":
            uri = f"sqlite:///{folder}/keys.db"
        elif kind == "postgresql":
            server = request.getfixturevalue("postgresql")
            uri = server.create_database()
        elif kind == "redis":
            server = request.getfixturevalue("redis_server")
            uri = server.url
        return Store(kind, uri, server, folder)

    return make


@pytest.fixture
def open_site(
    make_store: Callable[[str], Store],
    make_app: Any,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> Callable[..., Any]:
    """Open a site over one kind of storage, with one way to OpenRouter."""

    @contextmanager
    def open_one(kind: str, upstream_kind: str = "http") -> Iterator[FaultSite]:
        for name in ("", "sqlalchemy"):
            # SQLAlchemy says nothing of statements and rows unless it is asked itself.
            caplog.set_level(logging.DEBUG, name)
        with ExitStack() as stack:
            store = make_store(kind)
            stack.callback(store.close)
            upstream = make_upstream(upstream_kind, tmp_path, monkeypatch)
            stack.callback(upstream.stop)
            upstream.start()
            site = FaultSite(store, upstream, make_app, clock, monkeypatch, caplog, tmp_path)
            stack.callback(site.cleanup.close)
            yield site

    return open_one
