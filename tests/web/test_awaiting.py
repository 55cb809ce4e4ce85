"""Async functions of the app, from sync and async views: loaders, handlers, options, receivers."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest
from attack import parameter
from flask import Response, g, render_template_string, request, session
from visitor import Visitor

from flask_openrouter import current_openrouter, requires_openrouter_key, signals
from flask_openrouter.storage.memory import MemoryStorage

pytest.importorskip("asgiref", reason="Flask's async extra is not installed")
pytest_plugins = "sites"


async def a_user() -> str:
    await asyncio.sleep(0)
    return request.headers.get("X-User", "alice")


class Loader:
    """An object whose call is async."""

    async def __call__(self) -> str:
        return await a_user()


async def _user_with(prefix: str) -> str:
    return prefix + await a_user()


#: Every form in which a function of the app may be async, and one that is not.
LOADERS: list[Callable[[], Any]] = [
    a_user,
    Loader(),
    functools.partial(_user_with, ""),
    lambda: a_user(),
    Loader().__call__,
    lambda: "alice",
]


@pytest.mark.requirement("W4")
@pytest.mark.parametrize("loader", LOADERS)
def test_an_async_owner_loader_works_in_sync_and_async_views(loader: Any, make_site: Any) -> None:
    site = make_site({"storage": MemoryStorage()})
    site.auth.owner_loader(loader)

    @site.app.get("/sync")
    @requires_openrouter_key
    def sync_view() -> str:
        return f"{current_openrouter.owner_id} {bool(current_openrouter)}"

    @site.app.get("/async")
    @requires_openrouter_key
    async def async_view() -> str:
        await asyncio.sleep(0)
        text = f"{current_openrouter.owner_id} {bool(current_openrouter)}"
        await asyncio.sleep(0)
        return text

    @site.app.get("/open")
    async def open_view() -> str:
        return render_template_string("{{ 'yes' if current_openrouter else 'no' }}")

    assert site.visitor.get("/open").text == "no"
    assert site.visitor.get("/async").status_code == 303
    site.connect()
    assert site.visitor.get("/sync").text == "alice True"
    assert site.visitor.get("/async").text == "alice True"
    assert site.visitor.get("/open").text == "yes"


@pytest.mark.requirement("W4")
@pytest.mark.parametrize("is_async", [False, True])
def test_a_truth_test_swallows_no_error(is_async: bool, site: Any) -> None:
    """Werkzeug's proxies are false after any RuntimeError."""

    async def fail_later() -> str:
        raise RuntimeError("the loader is broken")

    def fail() -> str:
        raise RuntimeError("the loader is broken")

    async def ask_later() -> str:
        return "connected" if current_openrouter else "not connected"

    site.auth.owner_loader(fail_later if is_async else fail)
    site.app.add_url_rule("/ask", "ask", lambda: str(bool(current_openrouter)))
    site.app.add_url_rule("/later", "later", ask_later)
    for path in ("/ask", "/later"):
        with pytest.raises(RuntimeError, match="the loader is broken"):
            site.visitor.get(path)


@pytest.mark.requirement("W4")
def test_an_async_function_sees_the_request_and_may_change_it(site: Any) -> None:
    @site.auth.owner_loader
    async def owner() -> str:
        g.asked = g.get("asked", 0) + 1
        session["seen"] = True
        return str(request.args["user"])

    @site.app.get("/view")
    async def view() -> str:
        return f"{current_openrouter.owner_id} {g.asked} {session['seen']}"

    assert site.visitor.get("/view?user=bob").text == "bob 1 True"


@pytest.mark.requirement("W4")
@pytest.mark.parametrize("is_async", [False, True])
def test_async_handlers_and_options_are_awaited(is_async: bool, site: Any) -> None:
    @site.auth.unauthorized_handler
    async def ask() -> tuple[str, int]:
        await asyncio.sleep(0)
        return "connect first", 402

    @site.auth.key_options
    async def options() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"limit": 7}

    async def on_missing() -> tuple[str, int]:
        return "mine", 418

    def sync_view() -> str:
        return str(current_openrouter.key_info())

    async def async_view() -> str:
        return str(current_openrouter.key_info())

    view = async_view if is_async else sync_view
    site.app.add_url_rule("/a", "a", requires_openrouter_key(view))
    site.app.add_url_rule("/b", "b", requires_openrouter_key(on_missing=on_missing)(view))
    assert (site.visitor.get("/a").text, site.visitor.get("/b").status_code) == (
        "connect first",
        418,
    )
    assert parameter(site.visitor.start(), "limit") == "7"
    site.connect()
    assert site.visitor.get("/a").status_code == 200
    site.emulator.revoke(site.issued_key())
    assert site.visitor.get("/a").status_code == 402


@pytest.mark.requirement("W4")
@pytest.mark.parametrize("is_async", [False, True])
def test_an_async_receiver_runs_when_a_key_is_dropped(is_async: bool, site: Any) -> None:
    heard = []

    async def hear(sender: Any, **payload: Any) -> None:
        await asyncio.sleep(0)
        heard.append((sender, payload["reason"]))

    def sync_view() -> str:
        current_openrouter.disconnect()
        return ""

    async def async_view() -> str:
        await asyncio.sleep(0)
        current_openrouter.disconnect()
        return ""

    site.app.add_url_rule("/drop", "drop", async_view if is_async else sync_view)
    site.connect()
    with signals.key_disconnected.connected_to(hear, site.app):
        assert site.visitor.get("/drop").status_code == 200
    assert heard == [(site.app, "visitor")]


@pytest.mark.requirement("W4")
def test_the_apps_own_way_to_run_async_functions_is_used(site: Any) -> None:
    used = []

    class OwnWay:
        def __init__(self, function: Any) -> None:
            used.append(function)
            self._function = function

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return asyncio.run(self._function(*args, **kwargs))

    site.app.async_to_sync = OwnWay
    site.auth.owner_loader(a_user)
    assert site.visitor.get("/openrouter/status").status_code == 200
    assert used


def test_two_visitors_at_once_stay_apart(make_site: Any) -> None:
    """Each waits in an async view for an async function of the app."""
    site = make_site({"storage": MemoryStorage()})
    site.auth.owner_loader(a_user)

    @site.app.get("/who")
    async def who() -> str:
        return current_openrouter.owner_id or ""

    visitors = {name: Visitor(site.app) for name in ("alice", "bob")}
    for _ in range(3):
        for name, visitor in visitors.items():
            assert visitor.get("/who", **{"X-User": name}).text == name


def awaited(view: Callable[..., Any], returned: list[Any] | None = None) -> Callable[..., Any]:
    """Return the view in an async function, as an async decorator of an app does.

    ``returned`` gets what the decorator takes for the view's value.
    """

    @functools.wraps(view)
    async def outer(**kwargs: Any) -> Any:
        await asyncio.sleep(0)
        value = await view(*kwargs.values())
        if returned is not None:
            returned.append(value)
        return value

    return outer


@pytest.mark.requirement("W4")
@pytest.mark.parametrize("raises", [False, True])
def test_an_async_decorator_may_stand_above_the_guard(raises: bool, site: Any) -> None:
    returned: list[Any] = []
    decorator = functools.partial(awaited, returned=returned)

    @site.app.get("/view")
    @decorator
    @requires_openrouter_key(raises=raises)
    async def view() -> str:
        return current_openrouter.masked_key[:9]

    @site.app.get("/dead")
    @decorator
    @requires_openrouter_key(raises=raises)
    async def dead() -> str:
        await asyncio.sleep(0)
        return str(current_openrouter.key_info())

    assert site.visitor.get("/view").location == "/openrouter/login?next=/view"
    site.connect()
    assert site.visitor.get("/view").text == "sk-or-v1-"
    site.emulator.revoke(site.issued_key())
    assert site.visitor.get("/dead").location == "/openrouter/login?next=/dead"
    assert site.visitor.key is None
    refusals = [value for value in returned if isinstance(value, Response)]
    assert len(refusals) == (0 if raises else 2)


@pytest.mark.requirement("W4")
@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"on_missing": "json"}, (401, None)),
        ({"next": "/other"}, (303, "/openrouter/login?next=/other")),
        ({"fallback": True}, (303, "/openrouter/login?next=/view/ada")),
    ],
)
def test_below_an_async_decorator_the_guard_has_its_options(
    options: dict[str, Any], refusal: tuple[int, str | None], site: Any
) -> None:
    @site.app.get("/view/<name>")
    @awaited
    @requires_openrouter_key(**options)
    async def view(name: str) -> str:
        return f"{name} {current_openrouter.key_info().is_free_tier}"

    def is_refused(code: str) -> bool:
        response = site.visitor.get("/view/ada")
        assert response.json is None or response.json["error"] == code
        return (response.status_code, response.location) == refusal

    site.auth.fallback_key(lambda: None)
    assert is_refused("key_required")
    site.connect()
    assert site.visitor.get("/view/ada").text == "ada False"
    site.emulator.revoke(site.issued_key())
    assert is_refused("key_rejected")
    assert site.visitor.key is None
