"""A pytest plugin: apps with each kind of storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_openrouter.storage.memory import MemoryStorage


class StoredApps:
    """Makes apps that share one storage of this ``kind``, and closes them."""

    def __init__(self, kind: str, make_app: Any, settings: dict[str, Any], closing: ExitStack):
        self.kind = kind
        self.is_server_side = kind != "cookie"
        #: The address of the storage, if it has one.
        self.uri: str | None = settings.get("OPENROUTER_STORAGE_URI")
        self._make_app = make_app
        self._settings = settings
        self._closing = closing

    def __call__(self, extension: dict[str, Any] | None = None, **config: Any) -> Flask:
        settings = dict(self._settings)
        storage = {"storage": settings.pop("storage")} if "storage" in settings else {}
        app: Flask = self._make_app({**storage, **(extension or {})}, **settings, **config)
        self._closing.callback(_close, app)
        return app


def _close(app: Flask) -> None:
    with suppress(AttributeError):
        app.extensions["openrouter"].vault.storage.close()


@pytest.fixture(
    params=[
        "cookie",
        "memory",
        *(
            pytest.param(kind, marks=pytest.mark.every_variant)
            for kind in ("sqlite", "postgresql", "redis")
        ),
    ]
)
def stored_apps(request: Any, make_app: Any, tmp_path: Path) -> Iterator[StoredApps]:
    """Apps with keys in cookies, and with keys at the server, where one storage is like another."""
    yield from _apps(request.param, request, make_app, tmp_path)


@pytest.fixture
def all_stored_apps(
    stored_kind: str, request: Any, make_app: Any, tmp_path: Path
) -> Iterator[StoredApps]:
    """Apps with keys in cookies, and with any one other storage; all with every variant."""
    yield from _apps(stored_kind, request, make_app, tmp_path)


def _apps(kind: str, request: Any, make_app: Any, tmp_path: Path) -> Iterator[StoredApps]:
    settings: dict[str, Any] = {}
    if kind == "memory":
        settings["storage"] = MemoryStorage()
    elif kind == "sqlite":
        settings["OPENROUTER_STORAGE_URI"] = f"sqlite:///{tmp_path}/keys.db"
    elif kind == "postgresql":
        settings["OPENROUTER_STORAGE_URI"] = request.getfixturevalue("postgresql_url")
    elif kind == "redis":
        settings["OPENROUTER_STORAGE_URI"] = request.getfixturevalue("redis_server").url
    with ExitStack() as closing:
        yield StoredApps(kind, make_app, settings, closing)
