"""``requires_openrouter_key(fallback=True)``: the views it serves, and the app's function."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import pytest
from flask import Blueprint, Flask, abort, request
from flask.views import MethodView, View
from trials import SCRIPT, Trial, ask, is_asked_to_connect

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key
from flask_openrouter.errors import (
    ConfigurationError,
    KeyStorageError,
    NotConnectedError,
    OutOfCreditError,
)

pytest_plugins = "trial_fixtures"


def state() -> dict[str, bool]:
    return {"fallback": current_openrouter.is_fallback, "connected": bool(current_openrouter)}


ON_APP = {"fallback": True, "connected": False}


async def asynchronous() -> dict[str, bool]:
    return state()


class Plain(View):
    decorators = [requires_openrouter_key(fallback=True)]  # noqa: RUF012

    def dispatch_request(self) -> Any:
        return state()


class ByMethod(MethodView):
    @requires_openrouter_key(fallback=True)
    def get(self) -> Any:
        return state()


def test_every_kind_of_view_may_run_on_the_key_of_the_app(trial: Trial) -> None:
    trial.view(asynchronous, "/async")
    trial.app.add_url_rule("/class", view_func=Plain.as_view("class"))
    trial.app.add_url_rule("/method", view_func=ByMethod.as_view("method"))
    for path in ("/async", "/class", "/method"):
        assert trial.visitor.get(path).json == ON_APP, path
        with_none = trial.visitor
        trial.give = lambda: None
        assert is_asked_to_connect(with_none.get(path), path)
        trial.give = lambda: trial.api_key


def test_the_function_may_be_async_and_any_callable(trial: Trial) -> None:
    async def later(api_key: str) -> str:
        return api_key

    functions = trial.app.extensions["openrouter"].app_functions
    trial.view(asynchronous, "/async")
    for function in (partial(later, trial.api_key), lambda: later(trial.api_key)):
        functions.fallback_key = function
        assert trial.visitor.get("/try").json["fallback"]
        assert trial.visitor.get("/async").json == ON_APP


def test_the_function_is_called_once_and_only_when_it_is_needed(trial: Trial) -> None:
    trial.view(requires_openrouter_key(fallback=True)(state))  # Guarded twice.
    trial.app.add_url_rule("/open", "open", state)
    trial.visitor.get("/open")
    assert trial.visitor.client.options("/try").status_code == 200
    assert trial.calls == 0
    assert trial.visitor.get("/view").json == ON_APP
    assert trial.calls == 1


def test_the_function_sees_the_visitor_and_their_id(trial: Trial) -> None:
    seen: list[Any] = []
    trial.give = lambda: seen.append((state(), current_openrouter.visitor_id, request.path))
    visitor = trial.visitor
    assert is_asked_to_connect(visitor.get("/try"))
    visitor.get("/try")
    assert seen[0] == seen[1]
    assert seen[0][0] == {"fallback": False, "connected": False}


class Refused(BaseException):
    """Not an error, as KeyboardInterrupt is none."""


def _raising(error: BaseException) -> Callable[[], Any]:
    def give() -> Any:
        raise error

    return give


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (_raising(RuntimeError("the key is sk-or-v1-leaked")), "raised RuntimeError"),
        (_raising(NotConnectedError("none")), "raised NotConnectedError"),
        (_raising(KeyStorageError("down")), "raised KeyStorageError"),
        (_raising(OutOfCreditError(402)), "raised OutOfCreditError"),
        (lambda: abort(429), "raised TooManyRequests"),
        (lambda: json.loads('{"key": "sk-or-v1-leaked"'), "raised JSONDecodeError"),
        (lambda: current_openrouter.api_key, "raised NotConnectedError"),
        (lambda: b"sk-or-v1-0123456789", "returned bytes"),
        (lambda: 0, "returned int"),
        (lambda: True, "returned bool"),
        (lambda: "", "returned a text that cannot be a key"),
        (lambda: "sk-or-v1-leaked with a blank", "returned a text that cannot be a key"),
        (lambda: "sk-or-v1-leaked\r\nX-Header: 1", "returned a text that cannot be a key"),
        (lambda: "sk-or-v1-lé" + "x" * 20, "returned a text that cannot be a key"),
    ],
)
def test_a_function_that_fails_is_the_apps_trouble(
    give: Callable[[], Any], words: str, trial: Trial, caplog: pytest.LogCaptureFixture
) -> None:
    trial.give = give
    page = trial.visitor.get("/try")
    assert page.status_code == 502
    assert page.headers["Cache-Control"] == "no-store"
    assert "Error fallback_failed, reference" in page.text
    scripted = trial.visitor.get("/try", **SCRIPT)
    assert (scripted.status_code, scripted.json["error"]) == (502, "fallback_failed")
    assert scripted.json["login_url"] == "/openrouter/login"
    lines = [(r.name, r.levelno) for r in caplog.records if "@auth" in r.getMessage()]
    assert lines == [("flask_openrouter", logging.ERROR)] * 2
    # The lines of code themselves may hold the key.
    places = r":(\n  \S+\.py:\d+ in [a-z_<>]+)+" if "raised" in words else r"[\w ,.]*"
    wanted = re.compile(re.escape(f"The function of @auth.fallback_key {words}") + places)
    assert all(wanted.fullmatch(line) for line in caplog.messages if "@auth" in line)
    assert "leaked" not in caplog.text
    assert page.text.count("leaked") == scripted.text.count("leaked") == 0


def test_an_interruption_of_the_function_is_no_failure(trial: Trial) -> None:
    trial.give = _raising(Refused())
    with pytest.raises(Refused):
        trial.visitor.get("/try")


def test_a_view_that_needs_a_function_and_has_none_says_so(app: Flask) -> None:
    app.add_url_rule("/try", "try", requires_openrouter_key(fallback=True)(state))
    with pytest.raises(ConfigurationError) as raised:
        app.test_client().get("/try")
    assert str(raised.value) == (
        "A view says requires_openrouter_key(fallback=True), but no function returns the app's own"
        " key. Register one with @auth.fallback_key."
    )
    assert app.test_client().options("/try").status_code == 200


def test_the_flag_is_no_key_and_no_function(app: Flask) -> None:
    for wrong in ("sk-or-v1-leaked", lambda: "", None, 1):
        with pytest.raises(TypeError) as error:
            requires_openrouter_key(fallback=wrong)  # type: ignore[call-overload]
        assert str(error.value) == (
            "fallback is True or False. @auth.fallback_key registers the function."
        )


def test_the_options_of_the_guard_hold_when_there_is_no_key(trial: Trial) -> None:
    """A missing key of the app and a spent one are one thing to the visitor."""

    def spent() -> None:
        raise OutOfCreditError(402)

    def wrapped(view: Callable[[], Any]) -> Callable[[], Any]:
        return wraps(view)(lambda: {"wrapped": view()})

    for view, name in ((spent, "spent"), (state, "none")):
        trial.view(view, f"/{name}/json", on_missing="json", next="/page")
        trial.view(view, f"/{name}/call", on_missing=lambda: ("mine", 418))
        raised = requires_openrouter_key(fallback=True, raises=True)(view)
        trial.app.add_url_rule(f"/{name}/raised", f"{name} raised", wrapped(raised))
    for name in ("spent", "none"):
        trial.give = (lambda: None) if name == "none" else lambda: trial.api_key
        as_json = trial.visitor.get(f"/{name}/json")
        assert as_json.json["login_url"] == "/openrouter/login?next=/page"
        assert trial.visitor.get(f"/{name}/call").status_code == 418
        assert is_asked_to_connect(trial.visitor.get(f"/{name}/raised"), f"/{name}/raised")
    functions = trial.app.extensions["openrouter"].app_functions
    functions.unauthorized_handler = lambda: ("the app's", 401)
    trial.give = lambda: None
    assert trial.visitor.get("/try").text == "the app's"


def test_in_a_protected_blueprint_the_guard_of_a_view_decides(make_app: Any, trial: Trial) -> None:
    blueprint = Blueprint("chat", __name__, url_prefix="/chat")
    OpenRouterAuth().protect(blueprint)
    blueprint.add_url_rule("/free", "free", requires_openrouter_key(fallback=True)(ask))
    blueprint.add_url_rule("/paid", "paid", requires_openrouter_key(state))
    blueprint.add_url_rule("/bare", "bare", state)
    blueprint.add_url_rule("/method", view_func=ByMethod.as_view("method"))
    blueprint.add_url_rule("/built-in", "built-in", "a view without attributes".upper)
    trial.app.register_blueprint(blueprint)
    assert trial.visitor.get("/chat/free").json["fallback"]
    assert trial.calls == 1
    for path in ("/chat/paid", "/chat/bare", "/chat/method", "/chat/built-in"):
        assert is_asked_to_connect(trial.visitor.get(path), path)
    trial.give = lambda: None
    assert is_asked_to_connect(trial.visitor.get("/chat/free"), "/chat/free")
    assert trial.calls == 2
    with trial.emulator.faults(path="/api/v1/chat/completions", status=402):
        trial.give = lambda: trial.api_key
        assert is_asked_to_connect(trial.visitor.get("/chat/free"), "/chat/free")


def test_the_connection_has_no_key_while_the_apps_is_used(trial: Trial) -> None:
    names = (
        "api_key", "masked_key", "key_hash", "connected_at", "openrouter_user_id", "settings_url",
        "logs_url",
    )  # fmt: skip

    def view() -> str:
        for name in names:
            with pytest.raises(NotConnectedError):
                getattr(current_openrouter, name)
        with pytest.raises(NotConnectedError):
            current_openrouter.key_info()
        assert current_openrouter.owner_id is None
        assert not current_openrouter.is_set_aside
        current_openrouter.disconnect()
        assert state() == ON_APP
        assert current_openrouter.session is current_openrouter.session
        return "looked"

    trial.view(view)
    assert trial.visitor.get("/view").text == "looked"
