"""Which language a visitor gets, and what caches are told about it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask, render_template_string
from page import add_page
from visible_text import VisibleText
from visitor import Visitor

from flask_openrouter.pages.language import current_language

MakeApp = Callable[..., Flask]

CONNECT = {
    "de": "OpenRouter verbinden",
    "en": "Connect OpenRouter",
    "pt-BR": "Conectar o OpenRouter",
}


def vary(app: Flask, template: str, **headers: str) -> tuple[str, str | None]:
    """Return the page that shows this template, and its ``Vary``."""
    app.config["PAGE"] = template
    response = Visitor(app).get("/page", **headers)
    return response.text, response.headers.get("Vary")


@pytest.fixture
def paged(make_app: MakeApp) -> Callable[..., Flask]:
    def make(**config: object) -> Flask:
        app = make_app(**config)
        add_page(app)
        return app

    return make


def test_the_browser_decides(app: Flask) -> None:
    visitor = Visitor(app)
    for header, tag in {
        "": "en",
        "de": "de",
        "de-AT,en;q=0.5": "de",
        "it,fr;q=0.4,de;q=0.8": "de",
        "en-US,en;q=0.9,de;q=0.8": "en",
        "pt-PT": "pt-BR",
        "zh-CN,zh;q=0.9": "zh-Hans",
        "zh-TW": "en",
        "zh-TW,zh;q=0.9,en;q=0.8": "zh-Hans",
        "it, *": "en",
        "*": "en",
        "de;q=0": "en",
        "de;q=0,fr;q=0.1": "fr",
        ",;q=,=\x7f,-,_": "en",
        "de" * 5000: "en",
    }.items():
        response = visitor.get("/openrouter/callback", **{"Accept-Language": header})
        marks = {marks for marks, _ in VisibleText(response.text).pieces}
        assert marks == {(tag, "ltr")}, header
        assert response.headers["Vary"] == "Cookie, Accept-Language"
    no_header = visitor.get("/openrouter/callback")
    assert '<html lang="en" dir="ltr">' in no_header.text
    assert no_header.headers["Vary"] == "Cookie, Accept-Language"


@pytest.mark.parametrize("name", ["de", "de-AT", "DE_de"])
def test_the_setting_decides_for_all(make_app: MakeApp, name: str) -> None:
    visitor = Visitor(make_app(OPENROUTER_LANGUAGE=name))
    page = visitor.get("/openrouter/callback", **{"Accept-Language": "fr"})
    assert '<html lang="de" dir="ltr">' in page.text
    assert page.headers["Vary"] == "Cookie"
    data = visitor.get("/guarded", Accept="application/json").get_json()
    assert data["message"] == "Verbinden Sie zuerst OpenRouter"
    assert data["error"] == "key_required"


def test_what_the_developer_reads_is_english(make_app: MakeApp) -> None:
    visitor = Visitor(make_app(DEBUG=True))
    page = visitor.get(f"/openrouter/callback?code=c&state={'s' * 43}", **{"Accept-Language": "de"})
    pieces = VisibleText(page.text).pieces
    assert (("de", "ltr"), "Was passiert sein könnte") in pieces
    assert (("en", "ltr"), "For the developer") in pieces
    assert pieces[-1][0] == ("de", "ltr")


def test_the_button_of_a_page_is_marked_with_its_language(paged: Callable[..., Flask]) -> None:
    app = paged()
    for header, tag in (("de", "de"), ("it", "en"), ("pt", "pt-BR")):
        html, _ = vary(app, "{{ openrouter_button() }}", **{"Accept-Language": header})
        assert VisibleText(html).pieces == [((tag, "ltr"), CONNECT[tag])]


def test_the_label_of_the_app_is_in_the_language_of_its_page(paged: Callable[..., Flask]) -> None:
    template = """{{ openrouter_button(label="Los") }}{{ openrouter_disconnect_button("Weg") }}"""
    html, varies = vary(paged(), template, **{"Accept-Language": "fr"})
    assert VisibleText(html).pieces == [((None, None), "Los"), ((None, None), "Weg")]
    assert varies is None


def test_a_page_depends_on_the_header_only_where_the_header_decides(
    paged: Callable[..., Flask],
) -> None:
    button = "{{ openrouter_button() }}"
    app = paged()
    assert vary(app, button)[1] == "Accept-Language"
    assert vary(app, "{% if not current_openrouter %}" + button + "{% endif %}")[1] == (
        "Cookie, Accept-Language"
    )
    assert vary(app, "{{ openrouter_styles() }}")[1] is None
    assert vary(paged(OPENROUTER_LANGUAGE="en"), button)[1] is None


def test_the_vary_of_a_view_is_kept(app: Flask) -> None:
    @app.get("/page")
    def page() -> tuple[str, dict[str, str]]:
        button = render_template_string("{{ openrouter_button() }}")
        return button, {"Vary": "Accept, accept-language"}

    assert Visitor(app).get("/page").headers.getlist("Vary") == ["Accept, accept-language"]


def test_texts_are_english_where_there_is_no_visitor(make_app: MakeApp) -> None:
    assert current_language().tag == "en"
    with make_app().app_context():
        assert current_language().tag == "en"
    with make_app(OPENROUTER_LANGUAGE="ja").app_context():
        assert current_language().tag == "ja"
