"""A guard above the route decorator, and a function that another app serves openly on purpose."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint

from flask_openrouter import OpenRouterAuth, requires_openrouter_key

pytest_plugins = "sites"


def shared() -> str:
    return "shared"


def wrapped(view: Callable[[], str]) -> Callable[[], str]:
    return functools.wraps(view)(lambda: view())


shared_through_decorator = wrapped(shared)
also_guarded = requires_openrouter_key(shared)


@pytest.mark.requirement("W12")
@pytest.mark.parametrize("view", [shared, shared_through_decorator])
@pytest.mark.parametrize("is_open_first", [False, True])
def test_a_function_of_a_module_is_guarded_in_one_app_and_open_in_another(
    view: Any, is_open_first: bool, make_site: Any
) -> None:
    paid, free = make_site(), make_site()
    routes = [
        lambda: paid.app.add_url_rule("/view", "view", requires_openrouter_key(view)),
        lambda: free.app.add_url_rule("/view", "view", view),
    ]
    for add_route in routes[:: -1 if is_open_first else 1]:
        add_route()
    assert free.visitor.get("/view").text == "shared"
    assert paid.visitor.get("/view").status_code == 303
    paid.connect()
    assert paid.visitor.get("/view").text == "shared"
    assert free.visitor.get("/view").text == "shared"


@pytest.mark.requirement("W12")
def test_a_view_without_a_name_is_found_as_well(make_site: Any) -> None:
    class Partial(functools.partial[str]):
        pass

    def bare() -> str:
        return "open"

    site = make_site()
    requires_openrouter_key(bare)
    view = functools.update_wrapper(Partial(bare), bare)
    del view.__qualname__
    site.app.add_url_rule("/partial", "partial", view)
    with pytest.raises(RuntimeError, match="is not guarded"):
        site.visitor.get("/partial")


@pytest.mark.requirement("W12")
def test_views_stay_closed_when_the_first_look_at_them_fails(
    make_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> object:
        raise ImportError(f"{name} is loaded later")

    site = make_site()

    def view() -> str:
        return "open"

    requires_openrouter_key(site.app.get("/above")(view))
    lazy = types.ModuleType("lazy")
    lazy.__getattr__ = fail  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "lazy", lazy)
    view.__module__, view.__qualname__ = "lazy", "view"
    for _ in range(2):
        with pytest.raises(ImportError):
            site.visitor.get("/above")


@pytest.mark.requirement("W12")
@pytest.mark.parametrize("is_blueprint", [False, True])
def test_a_function_inside_of_a_function_is_served_openly_beside_a_guarded_route(
    is_blueprint: bool, make_site: Any
) -> None:
    def view() -> str:
        return "local"

    paid, free = make_site(), make_site()
    guarded = requires_openrouter_key(view)
    if is_blueprint:
        pages = Blueprint("pages", "pages")
        pages.add_url_rule("/view", "view", wrapped(guarded))
        paid.app.register_blueprint(pages)
    else:
        paid.app.add_url_rule("/view", "view", guarded)
    free.app.add_url_rule("/view", "view", view)
    assert free.visitor.get("/view").text == "local"
    assert paid.visitor.get("/view").status_code == 303


@pytest.mark.requirement("W12")
def test_a_guard_above_the_route_of_an_app_factory_is_found_in_each_app(make_site: Any) -> None:
    def add_views(site: Any) -> None:
        @requires_openrouter_key
        @site.app.get("/view")
        def view() -> str:
            raise AssertionError("the view ran")

    sites = [make_site(), make_site()]
    for site in sites:
        add_views(site)
    for site in sites:
        with pytest.raises(RuntimeError, match="'view' is not guarded"):
            site.visitor.get("/view")


@pytest.mark.requirement("W12")
def test_a_guard_above_the_route_of_a_module_is_found(make_site: Any, tmp_path: Any) -> None:
    """The name of the function is that of the guarded version, which no route has."""
    import importlib.util
    import sys

    file = tmp_path / "misplaced_views.py"
    file.write_text(
        "from flask import Blueprint\n"
        "from flask_openrouter import requires_openrouter_key\n"
        "pages = Blueprint('pages', __name__)\n"
        "@requires_openrouter_key\n"
        "@pages.get('/view')\n"
        "def view():\n"
        "    raise AssertionError('the view ran')\n"
    )
    spec = importlib.util.spec_from_file_location("misplaced_views", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["misplaced_views"] = module
    try:
        spec.loader.exec_module(module)
        site, other = make_site(), make_site()
        other.app.add_url_rule("/view", "view", lambda: "unrelated")
        site.app.register_blueprint(module.pages)
        with pytest.raises(RuntimeError, match="is not guarded"):
            site.visitor.get("/view")
    finally:
        del sys.modules["misplaced_views"]


def test_the_same_app_serves_no_function_of_a_function_openly_and_guarded(site: Any) -> None:
    """It cannot be told from a guard above the route, so it stays an error."""

    def view() -> str:
        raise AssertionError("the view ran")

    site.app.add_url_rule("/free", "free", view)
    site.app.add_url_rule("/paid", "paid", requires_openrouter_key(view))
    with pytest.raises(RuntimeError, match="'free' is not guarded"):
        site.visitor.get("/free")
    assert site.visitor.get("/paid").status_code == 303


def test_apps_are_not_kept_alive(make_site: Any) -> None:
    import gc
    import weakref

    from flask import Flask

    app = Flask("short-lived")
    app.config.update(TESTING=True, SECRET_KEY="0123456789abcdef" * 2)
    OpenRouterAuth(app)
    alive = weakref.ref(app)
    del app
    gc.collect()
    assert alive() is None


def registering_wrapper(site: Any, path: str) -> Callable[[Any], Any]:
    """Return a decorator like that of an extension: the route has a wrapper of the function."""

    def decorate(view: Any) -> Any:
        site.app.add_url_rule(path, view.__name__, wrapped(wrapped(view)))
        return view

    return decorate


def test_a_guard_above_a_decorator_that_registers_a_wrapper_is_found(site: Any) -> None:
    @requires_openrouter_key
    @registering_wrapper(site, "/above")
    def above() -> str:
        raise AssertionError("the view ran")

    @registering_wrapper(site, "/below")
    @requires_openrouter_key
    def below() -> str:
        return "below"

    with pytest.raises(RuntimeError, match="The view 'above' is not guarded"):
        site.visitor.get("/above")
    assert site.visitor.get("/below").status_code == 303
    site.connect()
    assert site.visitor.get("/below").text == "below"


@pytest.mark.requirement("W12")
def test_a_registered_wrapper_is_open_beside_a_guarded_route_of_another_app(
    make_site: Any,
) -> None:
    def view() -> str:
        return "local"

    paid, free = make_site(), make_site()
    registering_wrapper(free, "/view")(view)
    registering_wrapper(paid, "/view")(requires_openrouter_key(view))
    assert free.visitor.get("/view").text == "local"
    assert paid.visitor.get("/view").status_code == 303


@pytest.mark.parametrize("is_blueprint", [False, True])
def test_a_guard_above_before_request_is_found(is_blueprint: bool, site: Any) -> None:
    pages = Blueprint("pages", "pages")
    pages.add_url_rule("/view", "view", lambda: "view")
    place = pages if is_blueprint else site.app

    @requires_openrouter_key
    @place.before_request
    def check() -> None:
        raise AssertionError("the function ran")

    site.app.register_blueprint(pages)
    message = "'check' is not guarded: requires_openrouter_key stands above the before_request dec"
    for _ in range(2):
        with pytest.raises(RuntimeError, match=message):
            site.visitor.get("/view")


@pytest.mark.requirement("W12")
def test_a_function_before_requests_is_guarded_in_one_app_and_open_in_another(
    make_site: Any,
) -> None:
    ran = []

    def check() -> None:
        ran.append(1)

    paid, free = make_site(), make_site()
    for site, function in ((paid, requires_openrouter_key(check)), (free, check)):
        pages = Blueprint("pages", "pages")
        pages.before_request(function)
        pages.add_url_rule("/view", "view", lambda: "view")
        site.app.register_blueprint(pages)
    assert free.visitor.get("/view").text == "view"
    assert ran == [1]
    assert paid.visitor.get("/view").status_code == 303
    paid.connect()
    assert paid.visitor.get("/view").text == "view"
    assert ran == [1, 1]
