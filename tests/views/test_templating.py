"""The buttons that templates of an app can use, and the templates in docs/frontend.md."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from doc_blocks import ROOT, Block, blocks
from flask import Flask, render_template_string
from visitor import Visitor

import flask_openrouter
from flask_openrouter.emulator import Emulator

Show = Callable[..., str]


PACKAGE = Path(flask_openrouter.__file__).parent


EVERYTHING = (
    "{{ openrouter_styles() }}{{ openrouter_disconnect_button() }}{{ openrouter_usage() }}"
    "{% for v in ('default', 'minimal', 'branded', 'icon', 'cta') %}"
    "{% for s in ('sm', 'md', 'lg', 'xl') %}{{ openrouter_button(v, s) }}{% endfor %}{% endfor %}"
)


PAGE = ROOT / "docs" / "frontend.md"


TEMPLATES = [block for block in blocks("html") if block.page == PAGE]


def next_of(html: str) -> str | None:
    """Return where the login of the first button leads."""
    found = re.search(r'href="(/openrouter/login[^"]*)"', html)
    assert found
    (value,) = parse_qs(urlsplit(found[1].replace("&amp;", "&")).query).get("next", [None])
    return value


def test_a_button_leads_through_login_back_to_its_page(
    show: Show, visitor: Visitor, emulator: Emulator
) -> None:
    html = show("{{ openrouter_button() }}", "/page?q=a%26b")
    assert next_of(html) == "/page?q=a%26b"
    assert visitor.connect(emulator, next_of(html)).location == "/page?q=a%26b"


def test_next_can_be_another_page(show: Show) -> None:
    assert next_of(show("{{ openrouter_button(next='/chat?a=1') }}")) == "/chat?a=1"


def test_a_next_on_another_site_or_at_the_login_is_dropped(show: Show) -> None:
    for url in ("https://evil.example", "//evil.example", "/openrouter/login"):
        html = show(f"{{{{ openrouter_button(next='{url}') }}}}")
        assert next_of(html) is None, url
        assert "evil" not in html, url


def test_unusual_addresses_are_kept(app: Flask, visitor: Visitor) -> None:
    @app.get("/odd/<path:rest>")
    def odd(rest: str) -> str:
        return render_template_string("{{ openrouter_button() }}")

    for path in ("/odd/100%25", "/odd/a%23b", f"/odd/{quote('é')}", "/odd/a%3Fb?c=%2B"):
        assert next_of(visitor.get(path).text) == path


def test_the_setting_for_logins_without_next_applies(make_app: Any) -> None:
    app: Flask = make_app(OPENROUTER_LOGIN_REDIRECT_URL="/chat")
    app.add_url_rule("/page", view_func=lambda: render_template_string("{{ openrouter_button() }}"))
    assert next_of(Visitor(app).get("/page").text) is None


def test_a_login_never_leads_back_to_the_response_to_a_form_or_a_script(
    app: Flask, visitor: Visitor
) -> None:
    app.config["PAGE"] = "{{ openrouter_button() }}"
    assert next_of(visitor.post("/page").text) is None
    assert next_of(visitor.get("/page", **{"HX-Request": "true"}).text) is None


def test_a_mounted_app_gets_addresses_below_its_path(app: Flask) -> None:
    app.config["PAGE"] = "{{ openrouter_styles() }}{{ openrouter_button() }}"
    html = app.test_client().get("/page", base_url="http://localhost/below").text
    assert 'href="/below/openrouter/static/pieces.css"' in html
    assert 'href="/below/openrouter/login?next=/below/page"' in html


def test_a_label_is_text_and_the_name_of_every_variant(show: Show) -> None:
    for variant in ("default", "minimal", "branded", "icon", "cta"):
        html = show(f"{{{{ openrouter_button('{variant}', label='<Los & geht es>') }}}}")
        assert re.search(r"<span[^>]*>&lt;Los &amp; geht es&gt;</span>", html)
        assert 'aria-hidden="true"' in html
    assert "Connect OpenRouter" in show("{{ openrouter_button() }}")


def test_a_wrong_variant_or_size_is_an_error(app: Flask) -> None:
    for call, message in (
        ("openrouter_button('huge')", "variant is 'huge'. It must be one of: default, minimal"),
        ("openrouter_button(size='xxl')", "size is 'xxl'. It must be one of: sm, md, lg, xl"),
    ):
        with app.test_request_context(), pytest.raises(ValueError, match=re.escape(message)):
            render_template_string(f"{{{{ {call} }}}}")


def test_the_disconnect_button_disconnects(
    show: Show, visitor: Visitor, emulator: Emulator
) -> None:
    visitor.connect(emulator)
    html = show("{{ openrouter_disconnect_button(label='Bye', next='/page?bye') }}")
    assert "csrf_token" not in html
    assert "Bye</button>" in html
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html))
    (action,) = re.findall(r'<form[^>]*method="post" action="([^"]*)"', html)
    assert visitor.post(action, data=fields).location == "/page?bye"
    assert visitor.key is None


def test_the_disconnect_button_drops_a_next_on_another_site(show: Show) -> None:
    html = show("{{ openrouter_disconnect_button(next='https://evil.example') }}")
    assert "evil" not in html
    assert "hidden" not in html


@pytest.mark.parametrize("value", ["a text", lambda: "a text"], ids=["text", "function"])
def test_the_disconnect_button_sends_the_csrf_token_of_the_app(
    app: Flask, show: Show, value: object
) -> None:
    """Flask-WTF provides a function; other packages may provide the text."""
    app.context_processor(lambda: {"csrf_token": value})
    app.config["WTF_CSRF_FIELD_NAME"] = "proof"
    html = show("{{ openrouter_disconnect_button() }}")
    assert '<input type="hidden" name="proof" value="a text">' in html


def test_pieces_need_nothing_inline(show: Show, visitor: Visitor, emulator: Emulator) -> None:
    """They work under ``style-src 'self'`` and without scripts."""
    visitor.connect(emulator)
    html = show(EVERYTHING)
    assert html.count("openrouter-button-xl") == 5
    assert not re.search(r"<style|<script|\sstyle=|\son\w+=|javascript:", html)
    # xmlns and the like are not needed in HTML, so no foreign address is either.
    assert "://" not in html


def test_the_style_sheet_is_served_and_has_only_selectors_of_the_extension(
    show: Show, visitor: Visitor
) -> None:
    (url,) = re.findall(
        r'<link rel="stylesheet" href="([^"]+)">', show("{{ openrouter_styles() }}")
    )
    with visitor.get(url) as answer:
        css = answer.text
    assert "://" not in css
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.S)
    selectors = re.findall(r"(?:^|[{}])\s*([^@{};]+?)\s*\{", css)
    assert len(selectors) > 10
    for selector in selectors:
        assert all(
            part.strip().startswith((".openrouter-", "[data-openrouter-theme"))
            # Only the accent, and without specificity: a rule of the app always wins.
            or part.strip() == ":where(:root)"
            for part in selector.split(",")
        ), selector


def test_every_class_has_a_style() -> None:
    css = (PACKAGE / "static/openrouter/pieces.css").read_text()
    for name in ("button", "minimal", "branded", "icon", "cta", "sm", "lg", "xl"):
        assert f".openrouter-button{'' if name == 'button' else '-' + name}" in css


def test_the_documented_templates_are_found() -> None:
    assert len(TEMPLATES) >= 2


@pytest.mark.parametrize("block", TEMPLATES, ids=lambda block: block.name)
def test_a_documented_template_renders_before_and_after_connecting(
    block: Block, show: Callable[..., str], visitor: Visitor, emulator: Emulator
) -> None:
    assert "<" in show(block.code)
    visitor.connect(emulator)
    assert "<button" in show(block.code)


def test_every_name_for_templates_is_documented(app: Flask) -> None:
    text = PAGE.read_text(encoding="utf-8")
    with app.test_request_context():
        names: dict[str, object] = {}
        app.update_template_context(names)
    ours = [name for name in names if "openrouter" in name]
    assert len(ours) == 5
    assert all(f"`{name}" in text for name in ours)
