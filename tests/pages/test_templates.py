"""Our pages and pieces in apps with any Jinja options, and the app's own versions of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest
from cases import case
from flask import Flask, before_render_template, render_template_string, template_rendered
from jinja2.ext import Extension
from markupsafe import Markup
from visitor import Visitor

from flask_openrouter import current_openrouter
from flask_openrouter.emulator import Emulator


class Shouting(Extension):
    """Rewrites the source of every template."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return source.replace("{%", "THIS IS NO TAG").upper()


class Loud(jinja2.StrictUndefined): ...


VUE = {"variable_start_string": "[[", "variable_end_string": "]]"}
OTHER_SYNTAX = {
    **VUE,
    "block_start_string": "<%",
    "block_end_string": "%>",
    "comment_start_string": "<#",
    "comment_end_string": "#>",
}
OPTIONS: list[dict[str, Any]] = [
    VUE,
    OTHER_SYNTAX,
    {"enable_async": True},
    {"enable_async": True, **OTHER_SYNTAX},
    {"autoescape": False},
    {"autoescape": True},
    {"undefined": Loud},
    {"undefined": jinja2.DebugUndefined},
    {"line_statement_prefix": "<", "line_comment_prefix": "    "},
    {"line_statement_prefix": "#", "line_comment_prefix": "##"},
    {"extensions": [Shouting]},
    {"extensions": ["jinja2.ext.i18n", "jinja2.ext.do", "jinja2.ext.loopcontrols"]},
    {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True},
    {"finalize": lambda value: Markup("!") + value if value else value},
    {"optimized": False, "cache_size": 0},
    {"loader": None},
    {"loader": jinja2.DictLoader({})},
]


def pages_of(app: Flask, emulator: Emulator) -> list[str]:
    """Return every kind of page of ours."""
    visitor = Visitor(app)
    lost = visitor.get("/openrouter/callback")
    assert lost.status_code == 400
    code = visitor.get("/openrouter/code")
    visitor.connect(emulator)
    gone = visitor.post("/openrouter/disconnect")
    pages = [lost, code, visitor.get(gone.location), visitor.get("/openrouter/connected")]
    assert [page.status_code for page in pages[1:]] == [200, 200, 200]
    return [page.text for page in pages]


def normal(html: str) -> str:
    """Return what is the same in every run."""
    return re.sub(r"reference \w{8}|[0-9a-f]{64}|(challenge|value)=[^&<]*", "", html)


@pytest.mark.requirement("W6")
@pytest.mark.parametrize("is_async_view", [False, True])
def test_pages_and_pieces_are_the_same_whatever_the_options_are(
    make_app: Any, emulator: Emulator, is_async_view: bool, every_variant: bool
) -> None:
    expected = [normal(page) for page in pages_of(make_app(), emulator)]
    for options in OPTIONS if every_variant or not is_async_view else OPTIONS[1:4]:
        with case(options):
            app: Flask = make_app()
            app.jinja_options = options
            if is_async_view:
                # A handler of the app that is async: the page is rendered in its event loop.
                app.before_request(_wait)
                for name, view in app.view_functions.items():
                    if name.startswith("openrouter."):
                        app.view_functions[name] = _async(view)
            assert [normal(page) for page in pages_of(app, emulator)] == expected


async def _wait() -> None: ...


def _async(view: Callable[..., Any]) -> Callable[..., Any]:
    async def run(**values: Any) -> Any:
        return view(**values)

    return run


PIECES = (
    "openrouter_styles()",
    "openrouter_button(label='<b>')",
    "openrouter_disconnect_button()",
    "openrouter_usage()",
)


@pytest.mark.requirement("W6")
def test_pieces_in_the_apps_own_pages_are_the_same_as_well(make_app: Any) -> None:
    for options in OPTIONS:
        app: Flask = make_app()
        app.jinja_options = options
        start = options.get("variable_start_string", "{{")
        end = options.get("variable_end_string", "}}")
        text = " ".join(f"{start} {piece} {end}" for piece in PIECES)

        @app.get("/page")
        def page(text: str = text) -> str:
            # An extension that spoils the app's own pages is not tested here.
            return render_template_string(text)

        if options.get("extensions") == [Shouting]:
            continue
        html = Visitor(app).get("/page").text
        with case(options):
            assert 'href="/openrouter/static/pieces.css"' in html
            assert 'href="/openrouter/login?next=/page"' in html
            assert "&lt;b&gt;" in html
            assert 'action="/openrouter/disconnect"' in html
            assert start not in html


@pytest.mark.requirement("W6")
def test_the_app_overrides_a_page_in_its_own_syntax(
    make_app: Any, tmp_path: Path, emulator: Emulator
) -> None:
    """An override can extend the app's templates; our other pages use the overriding layout."""
    folder = tmp_path / "templates"
    (folder / "openrouter").mkdir(parents=True)
    (folder / "site.html").write_text("<nav>[[ name ]] <% block body %><% endblock %></nav>")
    (folder / "openrouter" / "layout.html").write_text(
        '<% extends "site.html" %><% block body %>'
        "<h1>[[ self.title() ]]</h1>[[ openrouter_button('icon') ]][[ '<' ]]"
        "<% block content %><% endblock %><% block title %><% endblock %><% endblock %>"
    )
    (folder / "openrouter" / "disconnected.html").write_text("Bye from [[ keys_url ]], [[ name ]]")
    for options in (OTHER_SYNTAX, {**OTHER_SYNTAX, "enable_async": True, "autoescape": False}):
        app: Flask = make_app()
        app.jinja_options = options
        app.template_folder = str(folder)
        app.jinja_loader = jinja2.FileSystemLoader(folder)
        app.context_processor(lambda: {"name": "My site"})
        with case(options):
            lost, code, bye, connected = pages_of(app, emulator)
            assert bye.startswith("Bye from http")
            assert bye.endswith("My site")
            for page, title in (
                (lost, "This link is not complete"),
                (code, "Connect with a code"),
                (connected, "Continue"),
            ):
                assert page.startswith("<nav>My site")
                assert f"<h1>{title}</h1><a class=" in page
                assert "</a>&lt;" in page


@pytest.mark.requirement("W20")
def test_a_template_of_the_app_adds_a_style_sheet_to_every_page(
    make_app: Any, emulator: Emulator
) -> None:
    app: Flask = make_app()
    link = '<link rel="stylesheet" href="/static/colours.css">'
    app.jinja_loader = jinja2.DictLoader({"openrouter/head.html": link})
    for page in pages_of(app, emulator):
        assert page.index("openrouter.css") < page.index(link) < page.index("</head>")


class Compiled(jinja2.BaseLoader):
    """Templates without source, as ModuleLoader has them."""

    has_source_access = False

    def load(self, environment: Any, name: str, globals: Any = None) -> jinja2.Template:
        if name != "openrouter/disconnected.html":
            raise jinja2.TemplateNotFound(name)
        template: jinja2.Template = environment.from_string("compiled", globals)
        return template


@pytest.mark.requirement("W6")
def test_templates_that_were_compiled_in_advance_can_override_ours(make_app: Any) -> None:
    app: Flask = make_app()
    app.jinja_options = {"loader": Compiled()}
    visitor = Visitor(app)
    assert visitor.get("/openrouter/disconnected").text == "compiled"
    assert "<h1>This link is not complete" in visitor.get("/openrouter/callback").text


def test_a_missing_template_of_the_apps_own_is_an_error(make_app: Any) -> None:
    app: Flask = make_app()
    layout = '{% extends "nowhere.html" %}'
    app.jinja_loader = jinja2.DictLoader({"openrouter/layout.html": layout})
    with pytest.raises(jinja2.TemplateNotFound, match=r"nowhere\.html"):
        Visitor(app).get("/openrouter/disconnected")


def test_filters_and_names_of_the_app_are_there_and_its_signals_are_sent(app: Flask) -> None:
    override = "{{ 'bye'|shout }} {{ now() }} {{ current_openrouter|length if 0 else 1 }}"
    app.jinja_loader = jinja2.DictLoader({"openrouter/disconnected.html": override})
    app.add_template_filter(str.upper, "shout")
    app.add_template_global(lambda: "today", "now")
    seen = []

    def see(sender: Flask, template: jinja2.Template, **_: object) -> None:
        seen.append((sender, template.name))

    with before_render_template.connected_to(see, app), template_rendered.connected_to(see, app):
        assert Visitor(app).get("/openrouter/disconnected").text == "BYE today 1"
    assert seen == [(app, "openrouter/disconnected.html")] * 2


@pytest.mark.requirement("W6")
def test_a_connection_can_be_shown_in_an_async_page(make_app: Any, emulator: Emulator) -> None:
    app: Flask = make_app()
    app.jinja_options = {"enable_async": True}

    @app.get("/page")
    def page() -> str:
        assert current_openrouter
        return render_template_string(
            "{{ current_openrouter.masked_key }} {{ openrouter_usage() }}"
        )

    visitor = Visitor(app)
    visitor.connect(emulator)
    html = visitor.get("/page").text
    assert html.startswith("sk-or-v1-")
    assert "openrouter-usage" in html
