"""The app's own session during a login: strict, slow, permanent, on the server, or gone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from typing import Any

import pytest
from attack import exchanges, load_jar, save_jar
from cases import case
from flask import Flask, session
from live_app import Browser, live
from visitor import Visitor
from werkzeug.test import TestResponse

from flask_openrouter.emulator import Emulator

MakeApp = Callable[..., Flask]
CROSS_SITE = {"Sec-Fetch-Site": "cross-site"}
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


def with_users(app: Flask) -> Flask:
    """Let visitors sign in; their id is in Flask's session."""
    services = app.extensions["openrouter"]
    services.app_functions.owner_loader = lambda: session.get("user_id")

    @app.post("/sign-in/<user_id>")
    def sign_in(user_id: str) -> str:
        session["user_id"] = user_id
        return user_id

    @app.post("/sign-out")
    def sign_out() -> str:
        session.clear()
        return "bye"

    return app


def come_back(visitor: Visitor, callback: str, **headers: str) -> TestResponse:
    """Visit the callback as from another site: the browser withholds what is SameSite=Strict."""
    jar = save_jar(visitor)
    load_jar(visitor, {name: value for name, value in jar.items() if name != "session"})
    answer = visitor.get(callback, **CROSS_SITE, **headers)
    load_jar(visitor, {"session": jar["session"], **save_jar(visitor)})
    return answer


class Refresh(HTMLParser):
    """The refreshes of a page, and its links."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.refreshes: list[str | None] = []
        self.links: list[str | None] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "meta" and attributes.get("http-equiv") == "refresh":
            self.refreshes.append(attributes["content"])
        if tag == "a":
            self.links.append(attributes["href"])


@pytest.mark.requirement("R22", "F23", "R36")
def test_the_login_of_a_user_whose_session_is_strict_ends_after_one_page(
    stored_apps: Any, emulator: Emulator
) -> None:
    visitor = Visitor(with_users(stored_apps(SESSION_COOKIE_SAMESITE="Strict")))
    visitor.post("/sign-in/ada")
    callback = emulator.approve(visitor.start("/guarded"))

    page = come_back(visitor, callback)
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    # Both lead to the address of the page itself, which is not repeated on it.
    shown = Refresh(page.text)
    assert shown.refreshes == ["0"]
    assert shown.links == [""]
    assert "state=" not in page.text
    assert "code=" not in page.text
    assert exchanges(emulator) == 0
    assert visitor.key is None

    assert visitor.get(callback, **SAME_ORIGIN).location == "/guarded"
    assert exchanges(emulator) == 1
    assert visitor.key is not None


@pytest.mark.requirement("R22", "W23")
def test_a_user_who_is_signed_out_meanwhile_is_told_so(
    make_app: MakeApp, emulator: Emulator
) -> None:
    """And finishes the same login after signing in again. Another user does not."""
    visitor = Visitor(with_users(make_app()))
    visitor.post("/sign-in/ada")
    callback = emulator.approve(visitor.start("/guarded"))
    visitor.post("/sign-out")
    assert visitor.get(callback, **CROSS_SITE).status_code == 200
    for _ in range(3):
        page = visitor.get(callback, **SAME_ORIGIN)
        assert page.status_code == 400
        assert "You are signed out of this site" in page.text
        assert "somebody else" not in page.text
        assert "http-equiv" not in page.text
        assert 'href="/openrouter/login?next=/guarded"' in page.text
    visitor.post("/sign-in/bob")
    assert "somebody else" in visitor.get(callback, **SAME_ORIGIN).text
    assert exchanges(emulator) == 0
    visitor.post("/sign-in/ada")
    assert visitor.get(callback, **SAME_ORIGIN).location == "/guarded"


@pytest.mark.requirement("R22")
def test_the_page_never_repeats_itself(make_app: MakeApp, emulator: Emulator) -> None:
    """Not in another tab, and not when the browser says that it comes from another site."""
    visitor = Visitor(with_users(make_app()))
    visitor.post("/sign-in/ada")
    callbacks = [emulator.approve(visitor.start()) for _ in range(2)]
    visitor.post("/sign-out")
    for callback in callbacks:
        statuses = [visitor.get(callback, **CROSS_SITE).status_code for _ in range(4)]
        assert statuses == [200, 400, 400, 400]
    assert exchanges(emulator) == 0


@pytest.mark.requirement("R6")
def test_the_page_makes_no_login_younger(make_app: MakeApp, emulator: Emulator, clock: Any) -> None:
    visitor = Visitor(with_users(make_app()))
    visitor.post("/sign-in/ada")
    callback = emulator.approve(visitor.start())
    clock.now += 590
    assert come_back(visitor, callback).status_code == 200
    clock.now += 11
    assert "took too long" in visitor.get(callback, **SAME_ORIGIN).text
    assert exchanges(emulator) == 0


def test_a_pasted_code_is_compared_at_once(make_app: MakeApp, emulator: Emulator) -> None:
    """A form of this site has the session with it."""
    visitor = Visitor(with_users(make_app()))
    visitor.post("/sign-in/ada")
    form = visitor.get("/openrouter/code").text
    state = form.partition('name="state" value="')[2].partition('"')[0]
    visitor.post("/sign-out")
    page = visitor.post("/openrouter/code", data={"state": state, "code": "a-code"})
    assert page.status_code == 400
    assert "You are signed out" in page.text


@pytest.mark.requirement("R22")
def test_visitors_who_are_nobody_see_no_page_between(make_app: MakeApp, emulator: Emulator) -> None:
    visitor = Visitor(with_users(make_app(SESSION_COOKIE_SAMESITE="Strict")))
    callback = emulator.approve(visitor.start("/guarded"))
    assert visitor.get(callback, **CROSS_SITE).location == "/guarded"


@pytest.mark.requirement("W7", "A13", "R41")
def test_a_slow_request_that_writes_the_session_back_loses_no_login(
    make_app: MakeApp, emulator: Emulator
) -> None:
    """It begins before the login and ends after it, and the same around the callback."""
    for is_permanent in (False, True):
        app = make_app()
        entered, leave = threading.Event(), threading.Event()

        @app.before_request
        def keep(is_permanent: bool = is_permanent) -> None:
            session.permanent = is_permanent

        @app.get("/slow")
        def slow(entered: Any = entered, leave: Any = leave) -> str:
            session["seen"] = session.get("seen", 0) + 1
            entered.set()
            leave.wait(60)
            return "slow"

        with live(app) as url, ThreadPoolExecutor(1) as pool, case(is_permanent):
            browser = Browser(url)
            for step in ("login", "callback"):
                entered.clear()
                leave.clear()
                late = pool.submit(browser.send, "GET", "/slow")
                assert entered.wait(60)
                if step == "login":
                    callback = emulator.approve(browser.start("/guarded"))
                else:
                    assert browser.get(callback).location == "/guarded"
                leave.set()
                assert any(line.startswith("session=") for line in late.result().set_cookies)
                browser.apply(late.result())
            assert browser.key is not None
            assert browser.get(callback).location == "/guarded"


@pytest.mark.requirement("F31", "R11")
def test_two_logins_of_the_same_moment_both_finish(app: Flask, emulator: Emulator) -> None:
    """Neither response knows of the other, and they arrive in either order."""
    with live(app) as url:
        for is_reversed in (False, True):
            browser = Browser(url)
            login = "/openrouter/login?next=/guarded"
            answers = [browser.send("GET", login) for _ in range(2)]
            for answer in reversed(answers) if is_reversed else answers:
                browser.apply(answer)
            for answer in answers:
                assert browser.get(emulator.approve(answer.location)).location == "/guarded"


@pytest.mark.requirement("S5", "R6")
def test_clocks_may_differ_by_a_minute_either_way(
    make_app: MakeApp, emulator: Emulator, clock: Any
) -> None:
    """The machine of the callback may be behind or ahead. The age of a login is not extended."""
    for seconds, status in ((-60, 303), (-61, 400), (-2, 303), (2, 303), (600, 303), (601, 400)):
        visitor = Visitor(make_app())
        callback = emulator.approve(visitor.start())
        clock.now += seconds
        with case(seconds):
            assert visitor.get(callback).status_code == status
        clock.now -= seconds


@pytest.mark.requirement("R27")
def test_a_cookie_that_is_not_host_locked_is_no_login_on_https(
    app: Flask, emulator: Emulator
) -> None:
    """Another host of the domain can set any cookie but those whose names begin with __Host-."""
    attacker, victim = Visitor(app), Visitor(app, "https://localhost")
    url = attacker.start()
    for name, value in save_jar(attacker).items():
        for tossed in (name, f"__host-{name}", f"__HOST-{name}"):
            victim.client.set_cookie(tossed, value, domain="localhost")
    planted = emulator.approve(url).replace("http://", "https://")
    assert victim.get(planted).status_code == 400
    assert exchanges(emulator) == 0
