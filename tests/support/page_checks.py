"""Checks of the extension's own pages: harmless markup, strict headers, and a way on."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from visitor import Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.problems import PROBLEMS

#: The policy that every page of the extension has.
CSP = {
    "default-src 'none'",
    "style-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
}


class Page(HTMLParser):
    """The tags, attributes, texts and inline code of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def assert_harmless(page: Page, *, scripts: tuple[str, ...] = ()) -> None:
    """The strict policy blocks nothing of this page."""
    assert tuple(str(script.get("src")) for script in page.all("script")) == scripts
    for tag, attributes in page.tags:
        assert tag not in {"style", "iframe", "object", "embed", "base", "img", "svg"}
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name != "style"
            if name in {"href", "src", "action", "formaction"}:
                assert urlsplit(value or "").scheme in {"", "http", "https"}, value
    for link in page.all("link"):
        assert str(link["href"]).startswith("/openrouter/static/")
    assert not [meta for meta in page.all("meta") if "http-equiv" in meta]


def assert_headers(answer: Any, *, scripts: bool = False) -> None:
    """The response has all protective headers."""
    policy = set(answer.headers["Content-Security-Policy"].split("; "))
    assert policy == CSP | ({"script-src 'self'"} if scripts else set())
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Cookie" in answer.headers["Vary"]


def assert_explains(answer: Any) -> None:
    """The page has a reference, no technical words, and a link or form that helps."""
    page = Page(answer.text)
    words = " ".join(page.text.split())
    assert re.search(r"reference [0-9a-f]{8}", words)
    assert not re.search(
        r"(?i)traceback|\.py\b|/usr|flask|requests\.|urllib|exception|errno|werkzeug|nginx", words
    )
    # By click only: nothing restarts by itself.
    assert "Location" not in answer.headers
    assert "Refresh" not in answer.headers
    assert not [meta for meta in page.all("meta") if "http-equiv" in meta]
    targets = [a["href"] for a in page.all("a")] + [form["action"] for form in page.all("form")]
    assert any(
        str(target).startswith(("/openrouter/login", "/openrouter/save"))
        or "/settings/credits" in str(target)
        for target in targets
    )


def every_page(app: Flask, **headers: str) -> list[tuple[str, Any]]:
    """Return path and response of each page of the extension, and of each problem as a page."""
    from flask_openrouter.pages.responses import show_problem

    for code in PROBLEMS:

        def show(code: str = code) -> Any:
            return show_problem(PROBLEMS[code], next_url="/a?b=c")

        app.add_url_rule(f"/problem/{code}", code, show)
    visitor = Visitor(app)
    paths = [f"/problem/{code}" for code in PROBLEMS]
    paths += [f"/openrouter/{name}" for name in ("disconnected", "code", "connected")]
    return [(path, visitor.get(path, **headers)) for path in paths]


def page_after_popup(visitor: Visitor, emulator: Emulator) -> Any:
    """Return the response at the end of a login in a popup."""
    login = visitor.get("/openrouter/login?display=popup&next=/a")
    return visitor.get(visitor.get(emulator.approve(login.location)).location)
