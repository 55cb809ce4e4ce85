"""What visitors see in each language: nothing that is not in its catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from cases import case
from catalogues import catalogue
from flask import Flask
from page import add_page
from page_checks import every_page, page_after_popup
from visible_text import VisibleText
from visitor import Visitor

from flask_openrouter.client import KeyInfo
from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import APIError
from flask_openrouter.languages import LANGUAGES
from flask_openrouter.pages.responses import show_callback_page, show_problem
from flask_openrouter.problems import PROBLEMS
from flask_openrouter.views.usage import Usage

AMOUNTS = (
    *(KeyInfo(limit=9, limit_remaining=5, limit_reset=f"{each}ly") for each in ("week", "month")),
    KeyInfo(limit=9, limit_remaining=0.001, limit_reset="daily"),
    KeyInfo(limit=9, limit_remaining=5),
    KeyInfo(usage=3.2),
)
CALLBACK_PAGES = (
    ("Almost connected", "This page goes on by itself."),
    ("Being connected", "OpenRouter is about to answer. Please go on in a moment."),
)
TRANSLATED = [name for name in LANGUAGES if name != "en"]
PIECES = """{{ openrouter_button() }} {{ openrouter_button("icon") }}
{{ openrouter_disconnect_button() }} {{ openrouter_usage() }}"""


def known_texts(name: str) -> re.Pattern[str]:
    """Return a pattern of every text in this language. A link divides its sentence into several."""
    parts = [
        re.sub(r"%\\\(\w+\\\)s", ".+", re.escape(part.strip()))
        for text in catalogue(name).values()
        for part in re.split(r"%\((?:link|end)\)s", text)
        if part.strip()
    ]
    return re.compile("|".join(parts))


def shown(app: Flask, emulator: Emulator, name: str) -> Iterator[tuple[str, str]]:
    """Yield what visitors of this language may see, as HTML, and where."""
    headers = {"Accept-Language": name.replace("_", "-")}
    add_page(app)
    app.config["PAGE"] = PIECES
    for path, answer in every_page(app, **headers):
        yield path, answer.text
    visitor = Visitor(app)
    visitor.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = headers["Accept-Language"]
    visitor.connect(emulator)
    yield "the pieces", visitor.get("/page").text
    yield "the end of a popup", page_after_popup(visitor, emulator).text
    emulator.reset()
    yield "the pieces for a dead key", visitor.get("/page").text
    error = APIError(403, help_url="https://openrouter.ai/settings")
    for code, problem in PROBLEMS.items():
        # htmx gets JSON about the others.
        for kind in ("DNT", "HX-Request") if problem.is_of_call else ("DNT",):
            with app.test_request_context("/", headers={**headers, kind: "true"}):
                response = show_problem(problem, error=error)
            yield f"{code} {kind}", response.get_data(as_text=True)
    for title, message in CALLBACK_PAGES:
        with app.test_request_context("/", headers=headers):
            page = show_callback_page(title, message, status=200, goes_on=True)
        yield title, page.get_data(as_text=True)


@pytest.mark.parametrize("name", TRANSLATED)
def test_everything_that_visitors_see_is_in_their_language(
    app: Flask, emulator: Emulator, name: str
) -> None:
    known, tag = known_texts(name), name.replace("_", "-")
    seen = set()
    for where, html in shown(app, emulator, name):
        for marks, text in VisibleText(html).pieces:
            with case(where, text):
                assert marks == (tag, "ltr")
                assert known.fullmatch(text)
                seen.add(text)
    # A problem has two texts at least.
    assert len(seen) > 2 * len(PROBLEMS)


@pytest.mark.parametrize("name", LANGUAGES)
def test_scripts_get_their_message_in_the_language(app: Flask, name: str) -> None:
    texts = {} if name == "en" else catalogue(name)
    for code, problem in PROBLEMS.items():
        headers = {"Accept": "application/json", "Accept-Language": name.replace("_", "-")}
        with app.test_request_context("/", headers=headers):
            data = show_problem(problem).get_json()
        assert data["error"] == code
        assert data["message"] == texts.get(problem.title, problem.title)


@pytest.mark.parametrize("name", TRANSLATED)
def test_the_meter_is_in_the_language(app: Flask, name: str) -> None:
    known = known_texts(name)
    headers = {"Accept-Language": name.replace("_", "-")}
    for info in AMOUNTS:
        usage = Usage.from_key_info(info)
        assert usage is not None
        english = usage.text
        with app.test_request_context("/", headers=headers):
            assert known.fullmatch(usage.text)
            assert usage.text != english
