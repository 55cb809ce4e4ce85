"""The names that templates of the app see."""

from __future__ import annotations

from typing import Any

from flask import Flask

from .connection import current_openrouter


def add_template_names(app: Flask) -> None:
    """Let every template of the app use ``current_openrouter``."""

    @app.context_processor
    def names() -> dict[str, Any]:
        return {"current_openrouter": current_openrouter}
