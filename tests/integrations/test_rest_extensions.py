"""Flask-RESTX, flask-smorest and APIFlask: the JSON of elsewhere, and no serialized refusal."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from components import require
from flask import Blueprint
from visitor import Visitor

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.errors import KeyStorageError, OutOfCreditError

pytest_plugins = "sites"

SCRIPT = {"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}


def load(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return require(name, "pip install it to test with it")


def error_of(visitor: Visitor, path: str) -> tuple[int, str]:
    answer = visitor.get(path, **SCRIPT)
    assert answer.json is not None
    assert answer.json["login_url"] == "/openrouter/login"
    return answer.status_code, answer.json["error"]


@pytest.mark.requirement("W10")
@pytest.mark.parametrize("is_testing", [False, True])
def test_flask_restx(is_testing: bool, make_site: Any) -> None:
    restx = load("flask_restx")
    site = make_site(TESTING=is_testing, OPENROUTER_EMULATOR=True)
    pages = Blueprint("pages", "pages", url_prefix="/protected")
    site.auth.protect(pages)
    protected, api = restx.Api(pages), restx.Api(site.app)
    model = api.model("Answer", {"answer": restx.fields.String})

    @api.errorhandler(Exception)
    def broken(error: Exception) -> tuple[dict[str, str], int]:
        return {"message": "broken"}, 500

    def add(where: Any, path: str, view: Any) -> None:
        resource = type("Any" + path[1:], (restx.Resource,), {"get": view})
        where.route(path)(resource)

    def credit(self: Any) -> None:
        raise OutOfCreditError(402)

    def storage(self: Any) -> None:
        raise KeyStorageError("down")

    def own(self: Any) -> None:
        raise ValueError

    def use(self: Any) -> dict[str, Any]:
        return {"answer": current_openrouter.key_info().label}

    add(api, "/credit", credit)
    add(api, "/storage", storage)
    add(api, "/own", own)
    add(api, "/open", use)
    add(protected, "/dead", use)
    add(api, "/marshalled", api.marshal_with(model)(requires_openrouter_key(use)))
    site.app.register_blueprint(pages)
    assert error_of(site.visitor, "/credit") == (402, "out_of_credit")
    assert error_of(site.visitor, "/storage") == (503, "storage_unavailable")
    for path in ("/open", "/marshalled", "/protected/dead"):
        assert error_of(site.visitor, path) == (401, "key_required")
        assert site.visitor.get(path).location == f"/openrouter/login?next={path}"
    assert site.visitor.get("/own", **SCRIPT).json == {"message": "broken"}
    for path in ("/open", "/marshalled", "/protected/dead"):
        site.connect()
        assert site.visitor.get(path, **SCRIPT).json["answer"].startswith("sk-or-")
        site.clock.now += 601  # Not at once: else it would be OpenRouter that fails.
        site.emulator.revoke(site.issued_key())
        assert error_of(site.visitor, path) == (401, "key_rejected")


@pytest.mark.requirement("W10")
def test_flask_smorest(make_site: Any) -> None:
    smorest, marshmallow = load("flask_smorest"), load("marshmallow")
    site = make_site(API_TITLE="An API", API_VERSION="1", OPENAPI_VERSION="3.0.2")
    Answer = marshmallow.Schema.from_dict({"answer": marshmallow.fields.String()})
    pages = smorest.Blueprint("pages", "pages")
    _add_views(site, pages, pages.response(200, Answer))
    smorest.Api(site.app).register_blueprint(pages)
    _check(site)


@pytest.mark.requirement("W10")
def test_apiflask(make_site: Any, emulator: Any) -> None:
    apiflask = load("apiflask")
    site = make_site()
    app = apiflask.APIFlask("site")
    app.config.update(site.app.config)
    site.auth = OpenRouterAuth(app)
    site.app, site.visitor = app, Visitor(app)

    class Answer(apiflask.Schema):  # type: ignore[misc]
        answer = apiflask.fields.String()

    _add_views(site, app, app.output(Answer))
    _check(site)


def _add_views(site: Any, pages: Any, serialize: Any) -> None:
    def credit() -> None:
        raise OutOfCreditError(402)

    def guarded() -> dict[str, Any]:
        return {"answer": current_openrouter.key_info().label}

    pages.get("/credit", endpoint="credit")(serialize(credit))
    for raises in (False, True):
        view = requires_openrouter_key(raises=raises)(guarded)
        pages.get(f"/{raises}", endpoint=f"raises_{raises}")(serialize(view))


def _check(site: Any) -> None:
    assert error_of(site.visitor, "/credit") == (402, "out_of_credit")
    for path in ("/False", "/True"):
        assert error_of(site.visitor, path) == (401, "key_required")
    site.visitor.connect(site.emulator)
    for path in ("/False", "/True"):
        assert site.visitor.get(path, **SCRIPT).json["answer"].startswith("sk-or-")
