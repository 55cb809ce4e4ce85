"""Fixtures that run the doctor's command on apps with real mistakes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "doctor.schema.json").read_text(encoding="utf-8")
)

MakeApp = Callable[..., Flask]


class Diagnosis:
    """The JSON that the doctor printed, checked against the schema."""

    def __init__(self, text: str, exit_code: int) -> None:
        self.text = text
        self.document: dict[str, Any] = json.loads(text)
        jsonschema.Draft202012Validator(SCHEMA).validate(self.document)
        self.findings = {
            finding["code"]: finding
            for check in self.document["checks"]
            for finding in check["findings"]
        }
        self.checks = [check["name"] for check in self.document["checks"]]
        found = [finding["severity"] for finding in self.findings.values()]
        assert exit_code == int("problem" in found)

    @property
    def bad(self) -> dict[str, str]:
        """The severity of each finding that is not ok, by code."""
        return {
            code: finding["severity"]
            for code, finding in self.findings.items()
            if finding["severity"] != "ok"
        }

    def says(self, code: str, *words: str) -> None:
        """Check that the finding exists, and that its title or remedy contains these words."""
        text = f"{self.findings[code]['title']} {self.findings[code]['remedy']}"
        for word in words:
            assert word in text


@pytest.fixture(autouse=True)
def _in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name in ("WEB_CONCURRENCY", "GUNICORN_CMD_ARGS") or name.startswith("FLASK_"):
            monkeypatch.delenv(name)


@pytest.fixture
def diagnose() -> Callable[..., Diagnosis]:
    """Run ``flask openrouter doctor --json`` on an app."""

    def run(app: Flask, *options: str) -> Diagnosis:
        arguments = ["openrouter", "doctor", "--json", *options]
        result = app.test_cli_runner().invoke(args=arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return Diagnosis(result.stdout, result.exit_code)

    return run


@pytest.fixture
def production(make_app: MakeApp) -> MakeApp:
    """Create an app with correct production settings, except for those given."""

    def make(extension: dict[str, Any] | None = None, **config: Any) -> Flask:
        settings = {
            "TESTING": False,
            "OPENROUTER_BASE_URL": "https://openrouter.ai",
            "OPENROUTER_CALLBACK_URL": "https://app.example/openrouter/callback",
            "TRUSTED_HOSTS": ["app.example"],
            "SESSION_COOKIE_SECURE": True,
            **config,
        }
        if "OPENROUTER_STORAGE_URI" in config or "storage" in (extension or {}):
            settings.setdefault(
                "OPENROUTER_ENCRYPTION_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
            )
        app = make_app(extension, **settings)
        app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1)  # type: ignore[method-assign]
        return app

    return make
