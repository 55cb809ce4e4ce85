"""Error pages: each has a reference and a way on, also in the app's own layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jinja2
import pytest
from failing_storage import FailingStorage
from flask import Flask
from page_checks import assert_explains, assert_headers, every_page
from visitor import Visitor

from flask_openrouter import current_openrouter
from flask_openrouter.emulator import Emulator
from flask_openrouter.pages.responses import show_problem
from flask_openrouter.problems import PROBLEMS

MakeApp = Callable[..., Flask]


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


def test_a_page_offers_what_helps(app: Flask) -> None:
    for code, words, absent in (
        ("connection_lost", "your keys at OpenRouter", "Save again"),
        ("not_saved", "Save again", "Try again"),
        ("out_of_credit", "Add credit at OpenRouter", "Try again"),
        ("declined", "Try again", "your keys at OpenRouter"),
    ):
        with app.test_request_context("/"):
            text = show_problem(PROBLEMS[code]).get_data(as_text=True)
        assert words in text, code
        assert absent not in text, code
        assert "Back to the site" in text, code


@pytest.mark.requirement("R60")
def test_every_problem_has_a_page_that_leads_on(app: Flask) -> None:
    for path, shown in every_page(app):
        if path.startswith("/problem/"):
            assert shown.status_code == PROBLEMS[path.removeprefix("/problem/")].status
            assert_explains(shown)


@pytest.mark.requirement("R61")
def test_an_app_may_bring_its_own_error_page(make_app: MakeApp, tmp_path: Path) -> None:
    """It gets the documented variables. All are fixed texts or checked addresses."""
    folder = tmp_path / "openrouter"
    folder.mkdir()
    (folder / "error.html").write_text(
        "OWN {{ problem.code }}|{{ problem.status }}|{{ problem.title }}|{{ problem.message }}|"
        "{{ problem.hints | length }}|{{ problem.key_may_exist }}|{{ login_url }}|{{ save_url }}|"
        "{{ home_url }}|{{ keys_url }}|{{ credits_url }}|{{ reference }}",
        encoding="utf-8",
    )
    app = make_app()
    app.jinja_loader = jinja2.FileSystemLoader(tmp_path)
    app.jinja_env.undefined = jinja2.StrictUndefined
    answer = Visitor(app).get("/openrouter/callback?code=<b>&state=<b>&error={{8191*131}}")
    assert answer.status_code == 400
    assert answer.text.startswith("OWN malformed|400|This link is not complete|")
    assert "<b>" not in answer.text
    assert str(8191 * 131) not in answer.text
    assert_headers(answer)


@pytest.mark.parametrize("path", ["/guarded", "/openrouter/disconnect", "/openrouter/callback"])
def test_a_layout_that_asks_for_the_connection_works_while_the_storage_is_down(
    path: str, make_app: MakeApp, emulator: Emulator
) -> None:
    storage = FailingStorage()
    app = make_app({"storage": storage}, PROPAGATE_EXCEPTIONS=False)

    @app.context_processor
    def describe_visitor() -> dict[str, object]:
        is_connected = "yes" if current_openrouter else "no"
        return {"visitor": f"{is_connected} {len(current_openrouter.visitor_id)}"}

    app.jinja_loader = jinja2.DictLoader(
        {"openrouter/layout.html": "{{ visitor }} {% block content %}{% endblock %}"}
    )
    visitor = Visitor(app)
    visitor.connect(emulator)
    callback = emulator.approve(visitor.start())
    storage.failing.add("get")
    answer = (
        visitor.post(path)
        if "disconnect" in path
        else visitor.get(callback if "callback" in path else path)
    )
    assert answer.status_code == 503
    assert answer.text.startswith("no 22 ")
