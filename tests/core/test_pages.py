"""Our own answers: which form they take, and where they lead."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from jinja2 import DictLoader
from visitor import Visitor

from flask_openrouter import current_openrouter
from flask_openrouter.emulator import Emulator
from flask_openrouter.pages.responses import protect_page, see_other, show_problem
from flask_openrouter.pages.urls import home_url, next_of_request, own_path
from flask_openrouter.pages.visit import is_htmx, is_script
from flask_openrouter.problems import PROBLEMS
from flask_openrouter.storage.memory import MemoryStorage


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("text/*", False),
        ("text/html", False),
        ("text/html,application/json", False),
        ("application/json,text/html", False),
        ("text/html,*/*;q=0.8", False),
        ("application/xhtml+xml,*/*", False),
        ("application/json;q=0", False),
        ("application/json", True),
        ("application/*", True),
        ("application/json,*/*", True),
        ("application/json, text/plain, */*", True),
        ("application/json,text/html;q=0.9", True),
        ("text/html;q=0,*/*", True),
    ],
)
def test_who_prefers_json_is_a_script(accept: str | None, expected: bool, app: Flask) -> None:
    headers = {} if accept is None else {"Accept": accept}
    with app.test_request_context("/", headers=headers):
        assert is_script() is expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}, False),
        ({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, False),
        ({"Sec-Fetch-Mode": "cors", "Accept": "text/html"}, True),
        ({"Sec-Fetch-Mode": "websocket"}, True),
        ({"Sec-Fetch-Dest": "empty"}, True),
        ({"X-Requested-With": "XMLHttpRequest", "Accept": "text/html"}, True),
        ({"HX-Request": "True"}, True),
        ({"Content-Type": "application/json; charset=utf-8"}, True),
        ({"Content-Type": "text/plain"}, False),
    ],
    ids=str,
)
def test_what_a_browser_says_about_a_request_counts(
    headers: dict[str, str], expected: bool, app: Flask
) -> None:
    with app.test_request_context("/", headers=headers):
        assert is_script() is expected


def test_htmx_is_known_by_its_header(app: Flask) -> None:
    for value, expected in (("true", True), ("TRUE", True), ("1", False), ("", False)):
        with app.test_request_context("/", headers={"HX-Request": value}):
            assert is_htmx() is expected


def test_a_problem_is_a_page_or_json_with_the_same_reference_in_the_log(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    problem = PROBLEMS["unknown"]
    with app.test_request_context("/"):
        page = show_problem(problem, next_url="/a?b=c")
    assert page.status_code == 400
    text = page.get_data(as_text=True)
    assert 'href="/openrouter/login?next=/a?b%3Dc"' in text
    for words in (problem.title, problem.message.partition(".")[0], "What may have happened"):
        assert words in text
    reference = text.partition("reference ")[2][:8]
    assert f"(unknown): shown with reference {reference}" in caplog.text
    with app.test_request_context("/", headers={"Accept": "application/json"}):
        data = show_problem(problem).get_json()
    assert data == {
        "error": "unknown",
        "message": problem.title,
        "login_url": "/openrouter/login",
        "reference": data["reference"],
    }
    assert f"(unknown): shown with reference {data['reference']}" in caplog.text
    assert data["reference"] != reference


@pytest.mark.parametrize(
    ("code", "words", "absent"),
    [
        ("connection_lost", "your keys at OpenRouter", "Save again"),
        ("not_saved", "Save again", "Try again"),
        ("out_of_credit", "Add credit at OpenRouter", "Try again"),
        ("declined", "Try again", "your keys at OpenRouter"),
    ],
)
def test_a_page_offers_what_helps(code: str, words: str, absent: str, app: Flask) -> None:
    with app.test_request_context("/"):
        text = show_problem(PROBLEMS[code]).get_data(as_text=True)
    assert words in text
    assert absent not in text
    assert "Back to the site" in text


@pytest.mark.parametrize("path", ["/guarded", "/openrouter/disconnect", "/openrouter/callback"])
def test_a_navigation_bar_that_asks_who_is_connected_does_not_break_the_page_of_a_dead_storage(
    path: str, make_app: Any, emulator: Emulator
) -> None:
    class Storage(MemoryStorage):
        is_dead = False

        def get(self, owner_id: str) -> str | None:
            if self.is_dead:
                raise OSError("down")
            return super().get(owner_id)

    storage = Storage()
    app = make_app({"storage": storage}, PROPAGATE_EXCEPTIONS=False)
    app.context_processor(lambda: {"connected": "yes" if current_openrouter else "no"})
    app.jinja_loader = DictLoader(
        {"openrouter/layout.html": "{{ connected }} {% block content %}{% endblock %}"}
    )
    visitor = Visitor(app)
    visitor.connect(emulator)
    callback = emulator.approve(visitor.start())
    storage.is_dead = True
    answer = (
        visitor.post(path)
        if "disconnect" in path
        else visitor.get(callback if "callback" in path else path)
    )
    assert answer.status_code == 503
    assert answer.text.startswith("no ")


def test_headers_are_added_to_those_that_are_there(app: Flask) -> None:
    with app.test_request_context("/"):
        answer = app.make_response(("x", {"Vary": "Accept", "X-Own": "1"}))
        protected = protect_page(answer)
        with_scripts = protect_page(app.make_response("x"), scripts=True)
    assert protected is answer
    assert (answer.headers["Vary"], answer.headers["X-Own"]) == ("Accept, Cookie", "1")
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in with_scripts.headers["Content-Security-Policy"]


def test_a_form_may_lead_to_the_site_where_logins_end(make_app: Any) -> None:
    for url, targets in (
        (None, "form-action 'self';"),
        ("/chat", "form-action 'self';"),
        ("https://chat.example:8443/a?b=c", "form-action 'self' https://chat.example:8443;"),
    ):
        app = make_app(OPENROUTER_LOGIN_REDIRECT_URL=url)
        with app.test_request_context("/"):
            answer = protect_page(app.make_response("x"))
        assert targets in answer.headers["Content-Security-Policy"]


def test_a_redirect_says_nothing_but_where_to(app: Flask) -> None:
    with app.test_request_context("/"):
        answer = see_other("https://openrouter.ai/auth?a=b")
    assert (answer.status_code, answer.data) == (303, b"")
    assert answer.headers["Location"] == "https://openrouter.ai/auth?a=b"


@pytest.mark.parametrize(
    ("prefix", "root", "own", "home"),
    [
        ("/openrouter", "", "/openrouter", "/"),
        ("/a/b", "/sub", "/sub/a/b", "/sub/"),
        ("/öffnen", "", "/öffnen", "/"),
    ],
)
def test_paths_of_ours_and_of_the_app(
    prefix: str, root: str, own: str, home: str, make_app: Any
) -> None:
    app = make_app({"url_prefix": prefix})
    with app.test_request_context("/", base_url=f"http://localhost{root}"):
        assert own_path() == own
        assert home_url() == home


def test_next_comes_from_the_query_or_the_form(app: Flask) -> None:
    for context in (
        app.test_request_context("/?next=/a"),
        app.test_request_context("/", method="POST", data={"next": "/a"}),
    ):
        with context:
            assert next_of_request() == "/a"
    for query in ("", "?next=", "?next=//evil.example", "?next=/openrouter/login"):
        with app.test_request_context(f"/{query}"):
            assert next_of_request() is None
