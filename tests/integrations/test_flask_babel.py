"""Flask-Babel: its locale decides, and its folders add languages and change texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest
from catalogues import add_catalogue
from flask import Flask, render_template_string, request
from flask_babel import Babel, force_locale
from visible_text import VisibleText
from visitor import Visitor

from flask_openrouter.pages.language import current_language

MakeApp = Callable[..., Flask]


@pytest.fixture
def make(make_app: MakeApp, tmp_path: Path) -> Callable[..., Flask]:
    """Make an app whose visitors choose their language by ``?lang=``."""

    def make_with_babel(**config: Any) -> Flask:
        app = make_app(BABEL_TRANSLATION_DIRECTORIES=str(tmp_path), **config)
        Babel(app, locale_selector=lambda: request.args.get("lang"))

        @app.get("/page")
        def page() -> str:
            return render_template_string("{{ openrouter_button() }}")

        return app

    return make_with_babel


def button(app: Flask, query: str) -> tuple[tuple[str | None, str | None], str]:
    """Return the language, the direction and the text of the button."""
    response = Visitor(app).get(f"/page?{query}", **{"Accept-Language": "fr"})
    assert "Vary" not in response.headers
    ((marks, text),) = VisibleText(response.text).pieces
    return marks, text


def test_the_locale_of_flask_babel_decides(make: MakeApp) -> None:
    app = make(OPENROUTER_LANGUAGE="es")
    for locale, tag, text in (
        ("de_AT", "de", "OpenRouter verbinden"),
        ("pt_PT", "pt-BR", "Conectar o OpenRouter"),
        ("zh_CN", "zh-Hans", "连接 OpenRouter"),
        ("zh_Hant_TW", "en", "Connect OpenRouter"),
        ("ar", "en", "Connect OpenRouter"),
        ("", "en", "Connect OpenRouter"),
    ):
        assert button(app, f"lang={locale}" if locale else "") == ((tag, "ltr"), text), locale
    page = Visitor(app).get("/openrouter/callback?lang=ja", **{"Accept-Language": "fr"})
    assert '<html lang="ja" dir="ltr">' in page.text
    assert page.headers["Vary"] == "Cookie"
    with app.test_request_context("/?lang=de"), force_locale("ja"):
        assert "OpenRouterを接続する" in render_template_string("{{ openrouter_button() }}")


def test_the_app_adds_a_language_and_changes_a_text(make: MakeApp, tmp_path: Path) -> None:
    add_catalogue(tmp_path, "ar", {"Connect OpenRouter": "ربط OpenRouter"})
    add_catalogue(tmp_path, "de", {"Connect OpenRouter": "Mit OpenRouter los"})
    add_catalogue(tmp_path, "en", {"Connect OpenRouter": "Use your own account"})
    app = make()
    assert button(app, "lang=ar") == (("ar", "rtl"), "ربط OpenRouter")
    assert button(app, "lang=de_CH") == (("de", "ltr"), "Mit OpenRouter los")
    assert button(app, "lang=en_US") == (("en", "ltr"), "Use your own account")
    page = Visitor(app).get("/openrouter/callback?lang=de").text
    assert "Dieser Link ist unvollständig" in page


def test_templates_of_the_app_keep_the_apps_translations(make: MakeApp) -> None:
    """``_`` in a template that replaces one of ours is Flask-Babel's."""
    app = make()
    layout = "{{ _('Menu') }} {{ openrouter_text('Continue') }}{% block content %}{% endblock %}"
    app.jinja_loader = jinja2.DictLoader({"openrouter/layout.html": layout})
    page = Visitor(app).get("/openrouter/disconnected?lang=de").text
    assert page.startswith("Menu Weiter")
    assert "Zurück zur Website" in page


def test_a_page_about_a_failure_needs_no_locale(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    """A selector may read a database that is down."""
    app = make_app()

    def fail() -> str:
        raise OSError("the database is down")

    Babel(app, locale_selector=fail)
    response = Visitor(app).get("/openrouter/callback", **{"Accept-Language": "de"})
    assert (response.status_code, '<html lang="de"' in response.text) == (400, True)
    assert "Flask-Babel's locale selector failed." in caplog.text
    # A visitor who makes it fail does not flood the log, and a page waits for it once.
    assert caplog.text.count("selector failed") == 1
    with app.app_context():
        assert current_language().tag == "en"


def test_an_app_without_flask_babel_is_not_asked(app: Flask) -> None:
    """Another extension may have the name."""
    app.extensions["babel"] = object()
    assert Visitor(app).get("/openrouter/callback").status_code == 400


def test_a_visitor_who_may_name_any_locale_neither_breaks_a_page_nor_leaves_the_folder(
    make: MakeApp, tmp_path: Path
) -> None:
    add_catalogue(tmp_path / "elsewhere", "de", {"Connect OpenRouter": "Elsewhere"})
    (tmp_path / "de_DE@").mkdir()
    app = make()
    for modifier in ("/../elsewhere/de", "x" * 300, "\0", "\ud800", '"><script>'):
        with app.test_request_context(), force_locale(f"de_DE@{modifier}"):
            page = render_template_string("{{ openrouter_button() }}")
        assert 'lang="de"' in page, modifier
        assert "OpenRouter verbinden" in page, modifier
