"""The routes, and the errors that become pages wherever in the app they happen."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from .. import guard
from ..errors import (
    APIError,
    InvalidAnswerError,
    KeyRejectedError,
    KeyStorageError,
    NotConnectedError,
    OpenRouterError,
    TransportError,
)
from ..pages.responses import show_problem
from ..problems import PROBLEMS, Problem
from ..web import request_state, this_app
from . import connection, login, usage
from .causes import problem_of
from .limits import check_request


def create_blueprint(url_prefix: str) -> Blueprint:
    """Return a new blueprint with the routes and error pages. It has no state of an app."""
    blueprint = Blueprint(
        "openrouter",
        # Templates and static files are in the folder of this package, not of its views.
        "flask_openrouter",
        url_prefix=url_prefix,
        template_folder="templates",
        static_folder="static/openrouter",
        static_url_path="/static",
    )
    blueprint.url_value_preprocessor(check_request)
    blueprint.get("/login")(login.login)
    blueprint.get("/callback")(login.callback)
    blueprint.get("/connected")(login.connected)
    blueprint.post("/save")(login.save)
    blueprint.get("/code", endpoint="code")(login.show_code_form)
    blueprint.post("/code")(login.take_pasted_code)
    blueprint.post("/disconnect")(connection.disconnect)
    blueprint.get("/disconnected")(connection.disconnected)
    blueprint.get("/status")(connection.status)
    blueprint.get("/usage")(usage.usage)
    blueprint.app_errorhandler(KeyStorageError)(show_error)
    blueprint.app_errorhandler(APIError)(show_error)
    blueprint.app_errorhandler(TransportError)(show_error)
    blueprint.app_errorhandler(InvalidAnswerError)(show_error)
    blueprint.app_errorhandler(KeyRejectedError)(guard.reconnect_or_raise)
    blueprint.app_errorhandler(NotConnectedError)(guard.reconnect_or_raise)
    return blueprint


def show_error(error: OpenRouterError) -> ResponseReturnValue:
    """Return the page or JSON for an error of ours that no view of the app handled."""
    # An error of a client is that of an HTTP package, too, and the app may have a handler for that.
    handlers = this_app().error_handler_spec[None][None]
    for kind in type(error).__mro__:
        is_ours = issubclass(kind, OpenRouterError) or kind.__module__ == "builtins"
        if kind in handlers and not is_ours:
            response: ResponseReturnValue = this_app().ensure_sync(handlers[kind])(error)
            return response
    problem = problem_of(error)
    connection = request_state().connection
    if connection is not None and connection.is_fallback:
        problem = _for_stranger(problem)
    return show_problem(problem, error=error)


#: Problems that speak of the visitor's account, and what a visitor on the app's own key sees.
_FOR_STRANGERS: Final = MappingProxyType(
    {
        "unconfirmed": "fallback_failed",
        "guardrail": "refused",
        "privacy": "refused",
        "free_daily": "rate_limited",
    }
)


def _for_stranger(problem: Problem) -> Problem:
    """Return a problem with the same status that does not speak of a connection."""
    if problem.code == "openrouter_failed":
        return replace(problem, message=PROBLEMS["fallback_failed"].message)
    return PROBLEMS[_FOR_STRANGERS.get(problem.code, problem.code)]
