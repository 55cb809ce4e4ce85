"""Blocks of docs/deployment.md that need something beside them: files, a package that counts."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from doc_blocks import blocks
from flask import Flask
from visitor import Visitor

from flask_openrouter import OpenRouterAuth
from flask_openrouter.emulator import Emulator
from flask_openrouter.testing import app_config


def code_with(words: str) -> str:
    """Return the one Python block of the page that contains these words."""
    (found,) = [
        block.code
        for block in blocks("python")
        if block.page.stem == "deployment" and words in block.code
    ]
    return found


@pytest.mark.requirement("P13")
def test_secrets_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "SECRET_KEY").write_text("a secret\n", encoding="utf-8")
    # Kubernetes keeps the files in such a folder.
    (tmp_path / "..data").mkdir()
    app = Flask("documented")
    exec(code_with("/run/secrets").replace("/run/secrets", str(tmp_path)), {"app": app})  # noqa: S102
    assert app.config["SECRET_KEY"] == "a secret"


@pytest.mark.requirement("P13")
def test_logins_and_failures_are_counted(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: Counter[tuple[str, ...]] = Counter()

    class Metric:
        """As much of prometheus_client.Counter as the page uses."""

        def __init__(self, name: str, documentation: str, labels: Any = ()) -> None:
            self.key: tuple[str, ...] = (name,)

        def labels(self, *values: str) -> Metric:
            metric = Metric(self.key[0], "")
            metric.key += values
            return metric

        def inc(self) -> None:
            counts[self.key] += 1

    module = ModuleType("prometheus_client")
    module.Counter = Metric  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "prometheus_client", module)
    app = Flask("documented")
    app.config.update(app_config(emulator))
    OpenRouterAuth(app)
    namespace = {"app": app}
    exec(code_with("prometheus_client"), namespace)  # noqa: S102 - our own documentation
    visitor = Visitor(app)
    visitor.connect(emulator)
    visitor.post("/openrouter/disconnect")
    visitor.get(visitor.callback_url(visitor.start(), code="made-up-code-of-a-stranger"))
    assert counts == {
        ("openrouter_keys_connected",): 1,
        ("openrouter_keys_forgotten", "visitor"): 1,
        ("openrouter_logins_failed", "code_refused"): 1,
    }
