"""The routes and their limits, and the errors that become pages wherever they happen."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, Final

from flask import Blueprint, has_request_context
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge, SecurityError
from werkzeug.wsgi import get_host

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
from ..pages.language import translated
from ..pages.responses import show_problem
from ..problems import PROBLEMS, Problem
from ..web import request_state, this_app, this_request
from . import connection, login, usage
from .causes import problem_of

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Bytes of the longest body that a form of ours has, and many times more.
MAX_BODY: Final = 64 * 1024

#: A host and its port (RFC 9110 §7.2).
_HOST: Final = re.compile(
    r"(?:[a-z0-9._-]+|\[[a-f0-9:.]+\])(?::([1-9][0-9]{0,4}))?", re.ASCII | re.I
)


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


class LimitedBody(io.RawIOBase):
    """A body of unknown length. Raises RequestEntityTooLarge where it grows too long.

    Werkzeug's ``LimitedStream`` cuts such a body off when all of it is read at once.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = MAX_BODY

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        target = memoryview(buffer).cast("B")
        data = self._stream.read(min(len(target), self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise RequestEntityTooLarge
        target[: len(data)] = data
        return len(data)


def check_request(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Refuse a body that is too long with 413, and with 400 a host that is malformed or untrusted.

    Registered as ``url_value_preprocessor``: these run before all ``before_request`` functions, so
    that none of them stores a huge upload. Flask before 3.1 has no limit per request and does not
    know ``TRUSTED_HOSTS``, and Werkzeug of that time takes any text for a host.
    """
    request = this_request()
    host = _HOST.fullmatch(request.environ.get("HTTP_HOST", "localhost"))
    if host is None or int(host[1] or 0) > 65535:
        raise SecurityError
    hosts = this_app().config.get("TRUSTED_HOSTS")
    if hosts is not None:
        get_host(request.environ, hosts)
    length = request.content_length
    if length is not None:
        if length > MAX_BODY:
            raise RequestEntityTooLarge
    else:
        # A chunked body, whose length shows at its end.
        environ = request.environ
        environ["wsgi.input"] = LimitedBody(environ["wsgi.input"])
    if endpoint != "openrouter.static":
        # Also when a function of the app fails, or answers first.
        request_state().is_own = True


def show_error(error: OpenRouterError) -> ResponseReturnValue:
    """Return the page or JSON for an error of ours that no view of the app handled."""
    # An error of a client is that of an HTTP package, too, and the app may have a handler for that.
    handlers = this_app().error_handler_spec[None][None]
    for kind in type(error).__mro__:
        is_ours = issubclass(kind, OpenRouterError) or kind.__module__ == "builtins"
        if kind in handlers and not is_ours:
            response: ResponseReturnValue = this_app().ensure_sync(handlers[kind])(error)
            return response
    return show_problem(_problem_for_visitor(error), error=error)


def explain_error(error: OpenRouterError) -> Problem:
    """Return an error in words for the visitor: see :meth:`OpenRouterAuth.explain`."""
    return translated(_problem_for_visitor(error))


def _problem_for_visitor(error: OpenRouterError) -> Problem:
    problem = problem_of(error)
    connection = request_state().connection if has_request_context() else None
    if connection is not None and connection.is_fallback:
        return _for_stranger(problem)
    return problem


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
