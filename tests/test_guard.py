"""``requires_openrouter_key``: where it can stand. No view runs without a key."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, request, request_started
from flask.views import MethodView, View

from flask_openrouter import current_openrouter, requires_openrouter_key

pytest_plugins = "sites"


class Ran(list[str]):
    """The names of the views that ran."""

    def __call__(self, name: str = "view") -> str:
        self.append(name)
        return f"{name} {current_openrouter.masked_key[:9]}"


@pytest.fixture
def ran() -> Ran:
    return Ran()


def check(site: Any, ran: Ran, path: str = "/view", text: str = "view sk-or-v1-") -> None:
    """Check that the view does not run without a key, and runs with one."""
    response = site.visitor.get(path)
    assert (response.status_code, len(ran)) == (303, 0)
    assert response.location == f"/openrouter/login?next={path}"
    site.connect()
    response = site.visitor.get(path)
    assert (response.text, len(ran)) == (text, 1)


def test_a_bare_decorator(site: Any, ran: Ran) -> None:
    site.app.add_url_rule("/view", "view", requires_openrouter_key(lambda: ran()))
    check(site, ran)


def test_a_decorator_with_empty_brackets(site: Any, ran: Ran) -> None:
    @site.app.get("/view/<int:number>")
    @requires_openrouter_key()
    def view(number: int) -> str:
        """A docstring."""
        assert number == 7
        return ran()

    assert (view.__name__, view.__doc__) == ("view", "A docstring.")
    check(site, ran, "/view/7")


def test_a_callable_can_be_guarded(site: Any, ran: Ran) -> None:
    class Page:
        def show(self, name: str) -> str:
            return ran(name)

    view = requires_openrouter_key(functools.partial(Page().show, "view"))
    bound = requires_openrouter_key(Page().show)
    site.app.add_url_rule("/view", "view", view)
    site.app.add_url_rule("/bound/<name>", "bound", bound)
    assert site.visitor.get("/bound/x").status_code == 303
    check(site, ran)
    assert site.visitor.get("/bound/x").text.startswith("x sk-or")


def test_an_async_view_is_awaited_once(site: Any, ran: Ran) -> None:
    @site.app.get("/view")
    @requires_openrouter_key
    async def view() -> str:
        await asyncio.sleep(0)
        return ran()

    check(site, ran)


def test_exceptions_of_a_view_pass_through(site: Any) -> None:
    class Mine(Exception): ...

    @site.app.get("/sync")
    @requires_openrouter_key
    def sync_view() -> str:
        raise Mine("sync")

    @site.app.get("/async")
    @requires_openrouter_key
    async def async_view() -> str:
        raise Mine("async")

    site.connect()
    for name in ("sync", "async"):
        with pytest.raises(Mine, match=name):
            site.visitor.get(f"/{name}")


def test_class_based_views(site: Any, ran: Ran) -> None:
    class Page(View):
        decorators = (requires_openrouter_key,)

        def dispatch_request(self) -> str:
            return ran()

    class Methods(MethodView):
        decorators = (requires_openrouter_key(on_missing="json"),)

        def get(self) -> str:
            return ran("get")

        async def post(self) -> str:
            return ran("post")

    site.app.add_url_rule("/view", view_func=Page.as_view("page"))
    site.app.add_url_rule("/methods", view_func=Methods.as_view("methods"))
    assert site.visitor.get("/methods").status_code == 401
    assert site.visitor.post("/methods").status_code == 401
    check(site, ran)
    assert site.visitor.get("/methods").text.startswith("get")
    assert site.visitor.post("/methods").text.startswith("post")


def test_a_single_method_of_a_class(site: Any, ran: Ran) -> None:
    class Methods(MethodView):
        @requires_openrouter_key
        def get(self) -> str:
            return ran()

        def post(self) -> str:
            return "open"

    site.app.add_url_rule("/view", view_func=Methods.as_view("methods"))
    assert site.visitor.post("/view").text == "open"
    check(site, ran)


def test_a_whole_blueprint(site: Any, ran: Ran) -> None:
    outer, inner, other = (Blueprint(name, name) for name in ("outer", "inner", "other"))
    outer.get("/view")(lambda: ran())
    inner.add_url_rule("/inner", "inner", lambda: ran(), methods=["GET", "POST"])
    other.get("/other")(lambda: "open")
    site.auth.protect(outer)
    outer.register_blueprint(inner)
    site.app.register_blueprint(outer)
    site.app.register_blueprint(other)
    assert site.visitor.get("/other").text == "open"
    assert site.visitor.get("/inner").status_code == 303
    assert site.visitor.post("/inner").status_code == 303
    assert (
        site.visitor.client.get("/view", headers={"Accept": "application/json"}).status_code == 401
    )
    check(site, ran)


def test_only_a_blueprint_that_is_not_registered_yet_can_be_protected(site: Any) -> None:
    """A protected app would protect the login, too, which would redirect to itself for ever."""
    with pytest.raises(TypeError, match=r"^protect guards a blueprint: pass one, before it is"):
        site.auth.protect(site.app)
    late = Blueprint("late", "late")
    site.app.register_blueprint(late)
    # Flask's own message. What matters: it is an error and not an open view.
    with pytest.raises(AssertionError, match="before registering it"):
        site.auth.protect(late)


def test_options_passes_without_a_key(site: Any, ran: Ran) -> None:
    """A preflight carries no cookies, so it cannot be from a visitor who is connected."""
    pages = Blueprint("pages", "pages")
    pages.get("/page")(lambda: ran())
    site.auth.protect(pages)
    site.app.register_blueprint(pages)
    responses = [site.app.test_client().options(path) for path in ("/guarded", "/page")]
    for response in responses:
        assert response.status_code == 200
        assert "GET" in response.headers["Allow"]
        assert "Cookie" not in response.headers.get("Vary", "")
    assert ran == []


def test_a_view_that_answers_options_itself_gets_no_key(site: Any) -> None:
    @site.app.route("/view", methods=["GET", "OPTIONS"])
    @requires_openrouter_key
    def view() -> str:
        if request.method == "OPTIONS":
            return str(bool(current_openrouter))
        return current_openrouter.api_key

    assert site.app.test_client().options("/view").text == "False"


def wrapped(view: Callable[[], str]) -> Callable[[], str]:
    return functools.wraps(view)(lambda: view())


def wraps_itself(view: Callable[[], str]) -> Callable[[], str]:
    return functools.update_wrapper(view, view)


WRONG_ORDERS: list[Callable[[Flask, Callable[[], str]], None]] = [
    lambda app, view: requires_openrouter_key(app.get("/view")(view)),
    lambda app, view: requires_openrouter_key()(app.get("/view")(view)),
    lambda app, view: requires_openrouter_key(app.route("/view", methods=["GET", "POST"])(view)),
    lambda app, view: requires_openrouter_key(app.get("/view")(app.get("/other")(view))),
    lambda app, view: requires_openrouter_key(app.get("/view")(wrapped(view))),
    # Others between the two.
    lambda app, view: requires_openrouter_key(wrapped(wrapped(app.get("/view")(view)))),
]


@pytest.mark.parametrize("decorate", WRONG_ORDERS)
def test_a_guard_above_the_route_is_an_error_and_never_an_open_view(
    decorate: Any, site: Any, ran: Ran, caplog: pytest.LogCaptureFixture
) -> None:
    def view() -> str:
        return ran()

    decorate(site.app, view)
    message = (
        "The view 'view' is not guarded: requires_openrouter_key stands above the route"
        " decorator. Put it below, next to the function."
    )
    for _ in range(2):
        with pytest.raises(RuntimeError) as raised:
            site.visitor.get("/view")
        assert str(raised.value) == message
        site.connect()
    assert ran == []
    logged = [each for each in caplog.record_tuples if each[1] == logging.ERROR]
    assert logged == [("flask_openrouter", logging.ERROR, message)]


def test_a_guard_above_the_route_is_found_after_requests_to_other_apps(
    make_site: Any, ran: Ran
) -> None:
    site, other = make_site(), make_site()
    requires_openrouter_key(site.app.get("/view")(lambda: ran()))
    assert other.visitor.get("/guarded").status_code == 303
    with pytest.raises(RuntimeError, match="is not guarded"):
        site.visitor.get("/view")
    assert ran == []
    # One look is enough: it costs no further request anything.
    assert [*request_started.receivers_for(site.app)] == []


def test_a_guard_above_a_route_of_a_blueprint_is_an_error_as_well(site: Any, ran: Ran) -> None:
    pages = Blueprint("pages", "pages")

    @requires_openrouter_key
    @pages.get("/view")
    def view() -> str:
        return ran()

    site.app.register_blueprint(pages)
    with pytest.raises(RuntimeError, match=r"'pages\.view' is not guarded"):
        site.visitor.get("/view")
    assert ran == []


def test_a_function_that_wraps_itself_is_guarded(site: Any, ran: Ran) -> None:
    def view() -> str:
        return ran()

    site.app.add_url_rule("/view", "view", requires_openrouter_key(wraps_itself(view)))
    check(site, ran)


def test_a_guard_may_stand_between_other_decorators(site: Any, ran: Ran) -> None:
    @site.app.get("/view")
    @wrapped
    @requires_openrouter_key
    @requires_openrouter_key
    @wrapped
    def view() -> str:
        return ran()

    check(site, ran)


def test_only_functions_can_be_guarded() -> None:
    class Page(View): ...

    class Methods(MethodView): ...

    guard: Any = requires_openrouter_key
    for decorate in (guard, guard()):
        for view in (Page, Methods, 7, "view", *([None] if decorate is not guard else [])):
            with pytest.raises(TypeError) as raised:
                decorate(view)
            assert str(raised.value) == (
                "requires_openrouter_key guards functions. In a class-based view write"
                " decorators = [requires_openrouter_key]."
            ), view


def test_a_wrong_argument_is_refused_when_decorating() -> None:
    guard: Any = requires_openrouter_key
    for value in ("Redirect", "html", "", 7, True, object(), ["json"], "page"):
        with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message is compared below
            guard(on_missing=value)
        assert str(raised.value) == 'on_missing must be "redirect", "json" or a callable.', value
    for value in ("//evil.example", "https://evil.example", "chat", "", "/\\a", 7):
        with pytest.raises(ValueError) as raised:  # noqa: PT011
            guard(next=value)
        assert str(raised.value) == "next must be a path on this host, such as /chat.", value
