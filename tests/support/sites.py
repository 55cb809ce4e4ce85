"""A pytest plugin: an app with its extension, its emulator and one visitor.

A test module loads it with ``pytest_plugins = "sites"``.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from visitor import Visitor, fingerprint

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator


@dataclass
class Site:
    """An app, its extension, its emulator and one visitor."""

    app: Flask
    auth: OpenRouterAuth
    emulator: Emulator
    visitor: Visitor
    clock: Any
    seen_keys: list[str] = field(default_factory=list)

    def connect(self) -> None:
        """Let the visitor go through a login."""
        assert self.visitor.connect(self.emulator).status_code == 303

    def issued_key(self) -> str:
        """Return the key that the visitor has now."""
        self.visitor.get("/-key")
        return self.seen_keys.pop()


MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(emulator: Emulator, clock: Any) -> MakeSite:
    """Build a site: settings by keyword, ``extension`` for OpenRouterAuth."""

    def make(extension: dict[str, Any] | None = None, **config: Any) -> Site:
        app = Flask("site")
        app.config.update(
            TESTING=True, SECRET_KEY=secrets.token_hex(), OPENROUTER_BASE_URL=emulator.url
        )
        app.config.update(config)
        auth = OpenRouterAuth(app, **{"clock": clock, **(extension or {})})

        @app.get("/guarded")
        @requires_openrouter_key
        def guarded() -> str:
            return fingerprint(current_openrouter.api_key)

        site = Site(app, auth, emulator, Visitor(app), clock)

        @app.get("/-key", endpoint="-key")
        def look() -> str:
            site.seen_keys.append(current_openrouter.api_key)
            return ""

        return site

    return make


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()
