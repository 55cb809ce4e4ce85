"""Whole logins and guarded views in the corners of Flask."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import (
    Blueprint,
    Flask,
    abort,
    copy_current_request_context,
    g,
    redirect,
    session,
    stream_with_context,
    url_for,
)
from flask.views import MethodView
from visitor import Visitor
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.emulator import Emulator

pytest_plugins = "sites"


def test_error_handlers_for_everything_hide_no_login_and_no_dead_key(site: Any) -> None:
    site.app.register_error_handler(Exception, lambda error: ("broken", 500))
    site.app.register_error_handler(HTTPException, lambda error: ("http", 418))
    site.app.config["TRAP_HTTP_EXCEPTIONS"] = True

    @site.app.get("/dead")
    @requires_openrouter_key
    def dead() -> str:
        return str(current_openrouter.key_info())

    @site.app.get("/own")
    @requires_openrouter_key
    def own() -> str:
        abort(409)

    assert site.visitor.get("/dead").location == "/openrouter/login?next=/dead"
    site.connect()
    assert site.visitor.get("/own").status_code == 418
    site.emulator.revoke(site.issued_key())
    assert site.visitor.get("/dead").location == "/openrouter/login?next=/dead"
    assert site.visitor.key is None
    assert site.visitor.get("/openrouter/callback").status_code == 400


@pytest.mark.parametrize("propagates", [True, False])
def test_exceptions_of_views_reach_flask_as_the_app_says(propagates: bool, make_site: Any) -> None:
    site = make_site(PROPAGATE_EXCEPTIONS=propagates)

    @site.app.get("/own")
    @requires_openrouter_key
    def own() -> str:
        raise ValueError("mine")

    @site.app.get("/dead")
    def dead() -> str:
        return str(current_openrouter.key_info())

    site.connect()
    if propagates:
        with pytest.raises(ValueError, match="mine"):
            site.visitor.get("/own")
    else:
        assert site.visitor.get("/own").status_code == 500
    site.emulator.revoke(site.issued_key())
    assert site.visitor.get("/dead").status_code == 303


def test_the_connection_is_there_in_hooks_threads_and_streams(site: Any) -> None:
    seen: dict[str, Any] = {}

    @site.app.before_request
    def before() -> None:
        g.before = bool(current_openrouter)

    @site.app.teardown_request
    def teardown(_: BaseException | None) -> None:
        seen["teardown"] = bool(current_openrouter)

    @site.app.get("/view")
    @requires_openrouter_key
    def view() -> str:
        @copy_current_request_context
        def work() -> None:
            seen["thread"] = current_openrouter.masked_key

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return f"{g.before} {seen['thread'] == current_openrouter.masked_key}"

    @site.app.get("/stream")
    @requires_openrouter_key
    def stream() -> Any:
        def words() -> Iterator[str]:
            yield "a"
            yield current_openrouter.masked_key[:9]

        return site.app.response_class(stream_with_context(words()))

    site.connect()
    assert site.visitor.get("/view").text == "True True"
    assert site.visitor.get("/stream").text == "ask-or-v1-"
    assert seen["teardown"] is True


def test_a_class_based_view_of_one_instance(site: Any) -> None:
    class Page(MethodView):
        init_every_request = False
        decorators = (requires_openrouter_key,)

        def get(self) -> str:
            return current_openrouter.masked_key[:9]

        def head(self) -> str:
            return ""

    site.app.add_url_rule("/page", view_func=Page.as_view("page"))
    assert site.visitor.get("/page").status_code == 303
    head = site.visitor.client.head("/page")
    assert (head.status_code, head.data) == (303, b"")
    site.connect()
    assert site.visitor.get("/page").text == "sk-or-v1-"


def test_a_session_that_a_test_writes_disturbs_no_login(site: Any) -> None:
    site.app.add_url_rule("/user", "user", lambda: session["user"])
    url = site.visitor.start("/a")
    with site.visitor.client.session_transaction() as written:
        written["user"] = "alice"
    assert site.visitor.get(site.emulator.approve(url)).location == "/a"
    assert site.visitor.get("/user").text == "alice"


def test_nested_blueprints_on_a_path_with_a_variable(make_app: Any, emulator: Emulator) -> None:
    app: Flask = make_app({"url_prefix": "/<lang>/openrouter"})
    outer = Blueprint("outer", "outer", url_prefix="/<lang>")
    inner = Blueprint("inner", "inner", url_prefix="/inner")

    @app.url_value_preprocessor
    def take(endpoint: str | None, values: dict[str, Any] | None) -> None:
        g.lang = (values or {}).pop("lang", "en")

    @app.url_defaults
    def give(endpoint: str, values: dict[str, Any]) -> None:
        if app.url_map.is_endpoint_expecting(endpoint, "lang"):
            values.setdefault("lang", g.lang)

    @inner.get("/page")
    @requires_openrouter_key
    def page() -> str:
        return f"{g.lang} {url_for('openrouter.login')}"

    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    visitor = Visitor(app)
    asked = visitor.get("/fr/inner/page")
    assert asked.location == "/fr/openrouter/login?next=/fr/inner/page"
    assert (
        visitor.get("/fr/openrouter/login", **{"HX-Request": "true"}).headers["HX-Redirect"]
        == "/fr/openrouter/login"
    )
    start = visitor.get(asked.location)
    landed = visitor.get(emulator.approve(start.location))
    assert landed.location == "/fr/inner/page"
    assert visitor.get("/fr/inner/page").text == "fr /fr/openrouter/login"


def test_an_app_below_a_path_of_another_server(make_app: Any, emulator: Emulator) -> None:
    app: Flask = make_app(APPLICATION_ROOT="/shop")
    outside: Flask = make_app()
    outside.wsgi_app = DispatcherMiddleware(  # type: ignore[method-assign]
        outside.wsgi_app, {"/shop": app.wsgi_app}
    )
    visitor = Visitor(outside)
    asked = visitor.get("/shop/guarded")
    assert asked.location == "/shop/openrouter/login?next=/shop/guarded"
    boosted = visitor.get("/shop/openrouter/login?next=/shop/a", **{"HX-Request": "true"})
    assert boosted.headers["HX-Redirect"] == "/shop/openrouter/login?next=/shop/a"
    landed = visitor.get(emulator.approve(visitor.get(asked.location).location))
    assert landed.location == "/shop/guarded"
    assert visitor.get("/shop/guarded").status_code == 200
    assert visitor.get("/guarded").status_code == 303


def test_a_guarded_view_on_a_subdomain_leads_to_the_login_of_the_app(make_app: Any) -> None:
    app: Flask = make_app(SERVER_NAME="example.test")
    app.subdomain_matching = True
    app.add_url_rule(
        "/page", "page", requires_openrouter_key(lambda tenant: tenant), subdomain="<tenant>"
    )
    asked = app.test_client().get("/page", base_url="http://acme.example.test")
    assert asked.status_code == 303
    assert asked.location == "http://example.test/openrouter/login?next=/page"


def test_a_guarded_function_may_be_called_without_a_route(app: Flask) -> None:
    view = requires_openrouter_key(lambda: "seen")
    with app.test_request_context("/anything"):
        response: Any = view()
    assert response.location == "/openrouter/login?next=/anything"


def test_a_view_that_redirects_to_the_login_itself(site: Any) -> None:
    @site.app.get("/go")
    def go() -> Any:
        return redirect(url_for("openrouter.login", next="/guarded"))

    assert site.visitor.get("/go").location == "/openrouter/login?next=/guarded"
