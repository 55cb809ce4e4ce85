"""Errors of ours in apps whose own handlers are nearer: nested blueprints, REST APIs."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from flask import Blueprint, Flask, jsonify
from flask.views import MethodView
from visitor import Visitor
from werkzeug.exceptions import NotFound

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.errors import (
    APIError,
    ConfigurationError,
    KeyRejectedError,
    KeyStorageError,
    OpenRouterError,
    OutOfCreditError,
)

pytest_plugins = "sites"

SCRIPT = {"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}


@pytest.mark.requirement("W22")
@pytest.mark.parametrize("depth", [1, 2])
def test_a_dead_key_heals_in_a_nested_blueprint_with_a_handler_for_exception(
    depth: int, site: Any
) -> None:
    parent = Blueprint("parent", "parent", url_prefix="/parent")
    site.auth.protect(parent)
    outer = parent
    for number in range(depth):
        child = Blueprint(f"child{number}", "child", url_prefix=f"/{number}")
        child.register_error_handler(Exception, lambda error: ("broken", 500))
        child.add_url_rule("/view", "view", lambda: str(current_openrouter.key_info()))
        outer.register_blueprint(child)
        outer = child

    @outer.get("/left")
    def left() -> str:
        current_openrouter.disconnect()
        return current_openrouter.api_key

    @outer.get("/own")
    def own() -> str:
        raise ValueError

    site.app.register_blueprint(parent)
    path = "/parent" + "".join(f"/{number}" for number in range(depth))
    site.connect()
    assert site.visitor.get(f"{path}/view").status_code == 200
    site.emulator.revoke(site.issued_key())
    asked = site.visitor.get(f"{path}/view")
    assert (asked.status_code, asked.location) == (303, f"/openrouter/login?next={path}/view")
    assert site.visitor.key is None
    site.connect()
    assert site.visitor.get(f"{path}/left").status_code == 303
    site.connect()
    assert site.visitor.get(f"{path}/own").text == "broken"


@pytest.mark.requirement("W22")
@pytest.mark.parametrize("kind", [KeyRejectedError, APIError, OpenRouterError])
def test_a_nested_blueprints_own_handler_for_our_errors_is_kept(kind: Any, site: Any) -> None:
    parent, child, other = (Blueprint(name, name) for name in ("parent", "child", "other"))
    site.auth.protect(parent)
    child.register_error_handler(kind, lambda error: ("mine", 418))
    child.add_url_rule("/view", "view", lambda: str(current_openrouter.key_info()))
    parent.register_blueprint(child)
    other.register_error_handler(Exception, lambda error: ("broken", 500))
    other.add_url_rule("/other", "view", lambda: str(current_openrouter.key_info()))
    site.app.register_blueprint(parent)
    site.app.register_blueprint(other)
    site.connect()
    site.emulator.revoke(site.issued_key())
    assert site.visitor.get("/view").text == "mine"
    # A blueprint that is not protected decides for itself.
    assert site.visitor.get("/other").text == "broken"


class Api:
    """Takes the errors of its resources, as Flask-RESTX and Flask-RESTful do."""

    def __init__(self, app: Flask, handlers: dict[type[Exception], Any] | None = None) -> None:
        self.error_handlers = handlers or {}
        app.handle_user_exception = partial(  # type: ignore[method-assign]
            self.error_router, app.handle_user_exception
        )

    def error_router(self, original: Any, error: Exception) -> Any:
        for kind, handler in self.error_handlers.items():
            if isinstance(error, kind):
                return handler(error)
        return jsonify(message="Internal Server Error"), 500


class Resource(MethodView): ...


#: As a class of Flask-RESTX says it.
Resource.__module__ = "flask_restx.resource"


def marshal(view: Any) -> Any:
    """Serialize whatever the view returns, as ``marshal_with`` does."""
    return lambda *args, **kwargs: jsonify(answer=getattr(view(*args, **kwargs), "answer", None))


@pytest.fixture
def rest(site: Any) -> Any:
    """A site with an API that takes all errors."""
    Api(site.app)
    return site


def raise_(error: Exception) -> str:
    raise error


@pytest.mark.requirement("W10")
def test_errors_of_a_resource_are_the_same_json_as_elsewhere(rest: Any) -> None:
    cases: list[tuple[str, Any, int, str]] = [
        ("/stranger", lambda: current_openrouter.api_key, 401, "key_required"),
        ("/credit", lambda: raise_(OutOfCreditError(402)), 402, "out_of_credit"),
        ("/storage", lambda: raise_(KeyStorageError("x")), 503, "storage_unavailable"),
    ]
    for path, view, _, _ in cases:
        rest.app.add_url_rule(path, path[1:], view)
    for path, _, status, error in cases:
        answer = rest.visitor.get(path, **SCRIPT)
        assert (answer.status_code, answer.json["error"]) == (status, error)
        assert answer.json["login_url"] == "/openrouter/login"


@pytest.mark.requirement("W10")
def test_a_dead_key_heals_in_a_protected_blueprint_of_resources(rest: Any) -> None:
    pages = Blueprint("pages", "pages")
    rest.auth.protect(pages)
    pages.add_url_rule("/dead", "dead", lambda: str(current_openrouter.key_info()))
    rest.app.register_blueprint(pages)
    rest.connect()
    rest.emulator.revoke(rest.issued_key())
    assert rest.visitor.get("/dead", **SCRIPT).json["error"] == "key_rejected"
    assert rest.visitor.key is None


@pytest.mark.requirement("W10")
def test_other_errors_are_still_the_apis(rest: Any) -> None:
    rest.app.add_url_rule("/own", "own", lambda: raise_(ValueError()))
    rest.app.add_url_rule("/ours", "ours", lambda: raise_(ConfigurationError("a wrong argument")))
    rest.connect()
    for path in ("/own", "/ours"):
        answer = rest.visitor.get(path, **SCRIPT)
        assert (answer.status_code, answer.json) == (500, {"message": "Internal Server Error"})


@pytest.mark.requirement("W10")
def test_an_error_of_the_apps_own_handler_passes_through(rest: Any) -> None:
    rest.app.register_error_handler(OutOfCreditError, lambda error: raise_(OutOfCreditError(403)))
    rest.app.add_url_rule("/credit", "credit", lambda: raise_(OutOfCreditError(402)))
    with pytest.raises(OutOfCreditError, match="403"):
        rest.visitor.get("/credit")


@pytest.mark.requirement("W10")
def test_an_apis_own_handler_for_our_errors_is_kept(site: Any) -> None:
    Api(site.app)
    Api(site.app, {OutOfCreditError: lambda error: ("mine", 418)})
    site.app.add_url_rule("/credit", "credit", lambda: raise_(OutOfCreditError(402)))
    assert site.visitor.get("/credit").text == "mine"


@pytest.mark.requirement("W10")
@pytest.mark.parametrize("raises", [False, True])
def test_no_serializer_sees_a_refusal_as_a_value(raises: bool, rest: Any) -> None:
    """In a resource always, and anywhere with the option ``raises``."""
    guard = requires_openrouter_key(raises=raises)

    class Guarded(Resource if not raises else MethodView):  # type: ignore[misc]
        @marshal
        @guard
        def get(self) -> Any:
            return type("Answer", (), {"answer": current_openrouter.masked_key[:9]})

        @marshal
        @guard
        def post(self) -> Any:
            return current_openrouter.key_info()

    rest.app.add_url_rule("/answer", view_func=Guarded.as_view("answer"))
    script = rest.visitor.get("/answer", **SCRIPT)
    assert (script.status_code, script.json["error"]) == (401, "key_required")
    assert script.headers["Cache-Control"] == "no-store"
    assert rest.visitor.get("/answer").location == "/openrouter/login?next=/answer"
    rest.connect()
    assert rest.visitor.get("/answer", **SCRIPT).json == {"answer": "sk-or-v1-"}
    rest.emulator.revoke(rest.issued_key())
    assert rest.visitor.post("/answer", headers=SCRIPT).json["error"] == "key_rejected"
    assert rest.visitor.key is None


@pytest.mark.requirement("W10")
def test_a_raised_refusal_is_flasks_own_where_no_api_is(site: Any) -> None:
    site.auth.unauthorized_handler(lambda: ("connect first", 402, {"X-Own": "1"}))

    @site.app.get("/view")
    @requires_openrouter_key(raises=True)
    def view() -> str:
        return "seen"

    site.app.register_error_handler(Exception, lambda error: ("broken", 500))
    answer = site.visitor.get("/view")
    assert (answer.text, answer.status_code, answer.headers["X-Own"]) == ("connect first", 402, "1")
    assert Visitor(site.app).get("/guarded").status_code == 402


def test_a_refusal_that_is_raised_arrives_though_the_app_traps_http_exceptions(
    make_app: Any,
) -> None:
    app: Flask = make_app(TRAP_HTTP_EXCEPTIONS=True, PROPAGATE_EXCEPTIONS=True)

    @app.get("/raises")
    @requires_openrouter_key(raises=True)
    def raises() -> str:
        return "never"

    visitor = Visitor(app)
    for _ in range(2):
        assert visitor.get("/raises").location == "/openrouter/login?next=/raises"
    with pytest.raises(NotFound):
        visitor.get("/nowhere")
