"""Navigations that a service worker, htmx or Turbo makes, and loads that can be none."""

from __future__ import annotations

from typing import Any

import pytest
from attack import pending
from background_loads import assert_nothing_happened, bare
from cases import case
from flask import Flask, render_template_string, request
from visitor import NAVIGATE, Visitor

from flask_openrouter import requires_openrouter_key
from flask_openrouter.emulator import Emulator

HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

#: What browsers send when a service worker fetches the page of a tab.
WORKER_NAVIGATIONS = [
    # Chromium, fetch(event.request).
    {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"},
    # fetch(event.request, {…}): options turn "navigate" into "same-origin".
    {"Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Dest": "document"},
    {"Sec-Fetch-Mode": "navigate"},
]
#: Loads that no tab makes.
OTHER_LOADS = [
    {"Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Dest": "empty", "Accept": "*/*"},
    {"Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Dest": "empty", "Accept": "application/json"},
    {"Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Dest": "empty", "Accept": "text/html;q=0,*/*"},
    {"Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Dest": "serviceworker", "Accept": HTML},
    {"Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Dest": "worker", "Accept": HTML},
    {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Accept": HTML},
    {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "document", "Accept": HTML},
    {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty", "Accept": HTML},
    {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "style", "Accept": HTML},
    {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "audio", "Accept": HTML},
    {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe", "Accept": HTML},
    {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "image", "Accept": HTML},
    {"Sec-Fetch-Mode": "websocket", "Sec-Fetch-Dest": "websocket"},
    {"X-Requested-With": "XMLHttpRequest", "Accept": "*/*"},
    {"X-Requested-With": "XMLHttpRequest", "Accept": HTML},
    {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "X-Sec-Purpose": "prefetch"},
]


@pytest.mark.requirement("W1", "R48")
def test_a_login_goes_through_a_service_worker(app: Flask, emulator: Emulator) -> None:
    for headers in WORKER_NAVIGATIONS:
        with case(headers):
            visitor, sent = Visitor(app), {"Accept": HTML, **headers}
            asked = bare(visitor, "GET", "/guarded?a=1", sent)
            assert (asked.status_code, asked.location) == (
                303,
                "/openrouter/login?next=/guarded?a%3D1",
            )
            start = bare(visitor, "GET", asked.location, sent)
            assert start.status_code == 303
            landed = bare(visitor, "GET", emulator.approve(start.location), sent)
            assert landed.location == "/guarded?a=1"
            assert visitor.key is not None


@pytest.mark.requirement("W1", "R48", "R47")
def test_a_load_that_is_no_navigation_starts_and_finishes_nothing(
    app: Flask, emulator: Emulator
) -> None:
    for headers in OTHER_LOADS:
        emulator.reset()
        visitor = Visitor(app)
        with case(headers):
            for path in ("/openrouter/login", "/openrouter/code"):
                assert_nothing_happened(bare(visitor, "GET", path, headers), emulator)
            callback_url = emulator.approve(visitor.start("/a"))
            assert_nothing_happened(bare(visitor, "GET", callback_url, headers), emulator)
            assert len(pending(visitor)) == 1
            assert visitor.get(callback_url).location == "/a"


@pytest.mark.requirement("W1", "R54")
def test_a_script_never_gets_a_redirect(app: Flask) -> None:
    for headers in (
        {"Sec-Fetch-Mode": "cors", "Accept": HTML},
        {"Sec-Fetch-Mode": "no-cors", "Accept": HTML},
        {"Sec-Fetch-Mode": "same-origin"},
        {"Sec-Fetch-Mode": "same-origin", "Accept": "*/*"},
        {"Accept": "image/png"},
        {"Accept": "text/plain"},
        {"Sec-Fetch-Mode": "navigate", "Accept": "application/json"},
        {"Sec-Fetch-Mode": "navigate", "Accept": HTML, "X-Requested-With": "XMLHttpRequest"},
    ):
        answer = app.test_client().get("/guarded", headers=headers)
        assert (answer.status_code, answer.is_json) == (401, True), headers


@pytest.mark.requirement("W1")
def test_the_script_of_a_worker_is_never_the_page_to_come_back_to(app: Flask) -> None:
    app.add_url_rule(
        "/ask", "ask", requires_openrouter_key(lambda: "asked"), methods=["GET", "POST"]
    )
    for path in (
        "/sw.js",
        "/sw.js?v=3",
        "/SW",
        "/static/worker.mjs",
        "/service-worker",
        "/ServiceWorker.js#a",
        "/assets/app.ts",
        "/shared_worker",
        "/styles.css",
    ):
        sent = {"Referer": f"http://localhost{path}"}
        script = app.test_client().get("/ask", headers={**sent, "Sec-Fetch-Mode": "cors"})
        assert script.json is not None
        assert script.json["login_url"] == "/openrouter/login", path
        form = app.test_client().post("/ask", headers={**sent, **NAVIGATE})
        assert form.location == "/openrouter/login", path
    for path in ("/chat", "/js/", "/worker/7", "/page.html", "/a?file=b.js", "/coworker"):
        script = app.test_client().get(
            "/ask", headers={"Referer": f"http://localhost{path}", "Sec-Fetch-Mode": "cors"}
        )
        assert script.json is not None
        assert "next=" in script.json["login_url"], path


HTMX = {"HX-Request": "true", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
#: htmx on plain http, where browsers send no Fetch Metadata.
HTMX_ON_HTTP = {"HX-Request": "true", "HX-Boosted": "true", "Accept": "text/html, */*"}


@pytest.mark.requirement("W2")
def test_htmx_opens_the_login_in_the_tab(app: Flask, emulator: Emulator) -> None:
    for headers in (HTMX, {**HTMX, "Accept": "text/html"}, HTMX_ON_HTTP):
        for path in (
            "/openrouter/login",
            "/openrouter/login?next=/a%3Fb%3Dc%26d",
            "/openrouter/login?next=/a&display=popup",
            "/openrouter/code?next=/a",
        ):
            visitor = Visitor(app)
            answer = bare(visitor, "GET", path, headers)
            assert answer.headers["HX-Redirect"] == path
            assert_nothing_happened(answer, emulator)


@pytest.mark.requirement("W2")
def test_htmx_is_told_nothing_of_a_callback(app: Flask, emulator: Emulator) -> None:
    visitor = Visitor(app)
    callback_url = emulator.approve(visitor.start("/a"))
    answer = bare(visitor, "GET", callback_url, HTMX)
    assert "HX-Redirect" not in answer.headers
    assert_nothing_happened(answer, emulator)
    assert visitor.get(callback_url).location == "/a"


@pytest.mark.requirement("W2")
def test_a_header_of_htmx_cannot_be_split_or_lead_elsewhere(app: Flask) -> None:
    answer = bare(Visitor(app), "GET", "/openrouter/login?next=%0d%0aA:%20b&x=%C3%A4 y", HTMX)
    where = answer.headers["HX-Redirect"]
    assert where.startswith("/openrouter/login?next=%0d%0aA:%20b")
    assert where.isascii()
    assert " " not in where


@pytest.mark.requirement("W2")
def test_a_boosted_link_comes_back_to_the_page_that_it_leads_to(app: Flask) -> None:
    sent = {**HTMX, "Referer": "http://localhost/start"}
    boosted = app.test_client().get("/guarded?a=b", headers={**sent, "HX-Boosted": "true"})
    assert boosted.status_code == 401
    assert boosted.headers["HX-Redirect"] == "/openrouter/login?next=/guarded?a%3Db"
    # Anything else of htmx is a part of the page where the visitor is.
    part = app.test_client().get("/guarded?a=b", headers=sent)
    assert part.headers["HX-Redirect"] == "/openrouter/login?next=/start"
    form = app.test_client().post("/openrouter/disconnect", headers={**sent, "HX-Boosted": "true"})
    assert form.status_code == 303


@pytest.mark.requirement("W2")
@pytest.mark.parametrize(
    ("url", "login_url"),
    [
        ("http://localhost/chat?room=1#end", "/openrouter/login?next=/chat?room%3D1%23end"),
        ("http://localhost/openrouter/code", "/openrouter/login"),
        ("http://localhost//evil.example", "/openrouter/login"),
        ("http://localhost/sw.js", "/openrouter/login"),
        ("https://evil.example/chat", "/openrouter/login"),
        ("http://localhost@evil.example/chat", "/openrouter/login"),
        ("javascript:alert(1)", "/openrouter/login"),
        ("/chat", "/openrouter/login"),
        ("", "/openrouter/login?next=/before"),
        (None, "/openrouter/login?next=/before"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_htmx_names_the_page_to_come_back_to(
    app: Flask, url: str | None, login_url: str, method: str
) -> None:
    """A page with the referrer policy "no-referrer" or "origin" says it nowhere else."""
    view = requires_openrouter_key(lambda: "")
    app.add_url_rule("/part", "part", view, methods=["GET", "POST"])
    sent = {**HTMX, "Referer": "http://localhost/before"}
    if url is not None:
        sent["HX-Current-URL"] = url
    answer = app.test_client().open("/part", method=method, headers=sent)
    assert answer.headers["HX-Redirect"] == login_url
    # Only htmx sends it: a page cannot be sure of such a header from others.
    plain = {**sent, "HX-Request": "false"}
    other = app.test_client().open("/part", method=method, headers=plain)
    assert other.json["login_url"] == "/openrouter/login?next=/before"


@pytest.mark.requirement("W2")
def test_links_and_forms_of_ours_are_never_loaded_by_htmx_or_turbo(
    make_app: Any, emulator: Emulator
) -> None:
    app: Flask = make_app()

    @app.get("/pieces")
    def pieces() -> str:
        return render_template_string(
            "{{ openrouter_button() }}{{ openrouter_disconnect_button() }}"
        )

    visitor = Visitor(app)
    for page in (
        visitor.get("/pieces"),
        visitor.get("/openrouter/callback"),
        visitor.get("/openrouter/code"),
    ):
        tags = [each for each in page.text.split("<") if each.startswith(("a ", "form "))]
        ours = [each for each in tags if "/openrouter/" in each or each.startswith("form")]
        assert ours
        for tag in ours:
            assert 'hx-boost="false" data-turbo="false"' in tag


@pytest.mark.requirement("W24")
def test_an_event_source_gets_an_event_that_it_can_read(app: Flask, site_error: Any) -> None:
    """It cannot read a response whose status is an error, and shows its page nothing of it."""
    app.add_url_rule("/broke", "broke", site_error)
    sent = {"Accept": "text/event-stream", "Sec-Fetch-Mode": "cors", "Cache-Control": "no-cache"}
    for path, error in (("/guarded", "key_required"), ("/broke", "out_of_credit")):
        answer = app.test_client().get(
            path, headers={**sent, "Referer": "http://localhost/chat", "Origin": "http://localhost"}
        )
        assert (answer.status_code, answer.mimetype) == (200, "text/event-stream")
        lines = answer.text.split("\n")
        assert lines[0].startswith("retry: ")
        assert lines[1] == "event: openrouter"
        assert lines[2].startswith("data: {")
        assert f'"error": "{error}"' in lines[2]
        assert '"login_url": "/openrouter/login' in lines[2]
        assert lines[3:] == ["", ""]
        assert answer.headers["Cache-Control"] == "no-store"
    # A POST is no EventSource, and neither is a script that takes JSON as well.
    posted = app.test_client().post("/guarded", headers=sent)
    assert posted.status_code == 405
    both = app.test_client().get(
        "/guarded", headers={"Accept": "text/event-stream, application/json"}
    )
    assert (both.status_code, both.is_json) == (401, True)


@pytest.fixture
def site_error() -> Any:
    from flask_openrouter.errors import OutOfCreditError

    def broke() -> str:
        assert request.method == "GET"
        raise OutOfCreditError(402)

    return broke


@pytest.mark.requirement("W3")
def test_no_response_of_ours_has_an_empty_body(app: Flask, emulator: Emulator) -> None:
    """hypercorn sends nothing for a WSGI app whose body is empty, and answers 500."""
    visitor = Visitor(app)
    answers = [
        visitor.get("/guarded"),
        visitor.get("/openrouter/login"),
        visitor.connect(emulator, "/a"),
        visitor.post("/openrouter/disconnect"),
        visitor.get("/openrouter/login", **{"Sec-Purpose": "prefetch"}),
    ]
    assert [each.status_code for each in answers] == [303, 303, 303, 303, 503]
    for answer in answers:
        assert 0 < len(answer.data) < 100
        assert answer.content_length == len(answer.data)
        # The address has the state of a login.
        assert answer.location is None or answer.location not in answer.text
