"""An app that shows a template."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from page import add_page
from visitor import Visitor

Show = Callable[..., str]


@pytest.fixture
def app(make_app: Any) -> Flask:
    app: Flask = make_app()
    add_page(app)
    return app


@pytest.fixture
def show(app: Flask, visitor: Visitor) -> Show:
    """Show a template to the visitor, at ``/page`` or ``path``; return the HTML."""

    def render(template: str, path: str = "/page") -> str:
        app.config["PAGE"] = template
        answer = visitor.get(path)
        assert answer.status_code == 200
        return answer.text

    return render
