"""The request that the app is serving: its state, our cookies, and the response headers.

Flask's ``current_app`` and ``request`` are proxies, and reading an attribute through one costs more
than most of what a guarded request does. So the code here works with the objects themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from flask import (
    Flask,
    Request,
    Response,
    after_this_request,
    current_app,
    has_request_context,
    request,
    request_started,
)
from werkzeug.http import dump_cookie
from werkzeug.local import LocalProxy

from ..client.base_url import is_loopback_url
from .awaiting import call_function
from .awaiting import send_signal as send_signal
from .caching import Header, incomplete_headers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

    from ..connection import Connection
    from ..services import Services

EXTENSION_KEY: Final = "openrouter"
_STATES: Final = "_openrouter_states"
#: Before the app's id: the name of its call in the WSGI environment, which mounted apps share.
_CALL_OF_APP: Final = "flask_openrouter.call."

#: Returns the current app. Raises RuntimeError outside of an app context.
this_app: Final[Callable[[], Flask]] = cast(LocalProxy[Flask], current_app)._get_current_object  # pyright: ignore[reportPrivateUsage]

#: Returns the current request. Raises RuntimeError outside of a request.
this_request: Final[Callable[[], Request]] = cast(LocalProxy[Request], request)._get_current_object  # pyright: ignore[reportPrivateUsage]


def overrides(app: Flask, *methods: str) -> bool:
    """Whether the app, or its class, has its own instead of one of these methods of Flask."""
    kind = type(app)
    return not vars(app).keys().isdisjoint(methods) or (
        kind is not Flask and any(getattr(kind, m) is not getattr(Flask, m) for m in methods)
    )


def call_app_function(function: Callable[[], Any]) -> Any:
    """Call a function of the app, which may be ``async def``, from any view of the app."""
    return call_function(this_app().ensure_sync, function)


def get_services() -> Services:
    """Return the services of the current app. Raises RuntimeError without ``init_app``."""
    try:
        services: Services = this_app().extensions[EXTENSION_KEY]
    except KeyError:
        raise RuntimeError(
            "This app has no OpenRouter extension. Did you forget OpenRouterAuth(app),"
            " or auth.init_app(app) in the app factory?"
        ) from None
    return services


class _WSGICall:
    """One WSGI call of one app, which its requests find in the WSGI environment."""

    #: Whether a request in it has a state, so that there may be headers to finish.
    has_state = False
    #: Whether the headers are sent, so that it is too late to change them.
    has_begun_response = False
    #: The call in which the app calls itself with the same environment, if it does.
    outer: _WSGICall | None = None


class RequestState:
    """The extension's state of one request to one app, made when it is first needed.

    It is stored on the request object. ``g`` lives as long as the app context, and the WSGI
    environment may serve another request as well.
    """

    __slots__ = (
        "_audience",
        "browser_id",
        "call",
        "connection",
        "cookies",
        "has_no_locale",
        "hides_connection",
        "is_https",
        "is_own",
        "new_cookies",
        "sent_cookies",
        "services",
        "stored",
        "varies_by_language",
    )

    def __init__(self, request: Request, call: _WSGICall) -> None:
        self.services: Services = get_services()
        self.call: _WSGICall = call
        self.is_https: bool = request.is_secure or _is_behind_tls()
        #: All cookies that the browser sent.
        self.sent_cookies: Mapping[str, str] = request.cookies
        #: The visitor's connection, once it was asked for (``connection.get_connection``).
        self.connection: Connection | None = None
        #: Whether the visitor counts as not connected, for an error page while the storage is down.
        self.hides_connection: bool = False
        #: The id in this browser's cookie, for ``Owners``. None: it has none; ``""``: not read yet.
        self.browser_id: str | None = ""
        #: What the cookie storage holds in this request. None: not read yet.
        self.stored: str | None = None
        #: The values of our cookies that this request has set, by their names.
        self.cookies: dict[str, str] = {}
        #: The ``Set-Cookie`` lines of this response, by the names of the cookies.
        self.new_cookies: dict[str, str] = {}
        self._audience: str | None = None
        #: Whether the response is the extension's own, which no cache may store.
        self.is_own: bool = False
        #: Whether the response has a text whose language the browser's header has decided.
        self.varies_by_language: bool = False
        #: Whether Flask-Babel has failed to name the visitor's locale.
        self.has_no_locale: bool = False

    def set_cookie(self, name: str, value: str, line: str) -> None:
        """Send this ``Set-Cookie`` line with the response. The request reads ``value`` from now."""
        self.cookies[name] = value
        # Whichever cookie it was: to read them again costs next to nothing.
        self.browser_id, self.stored = "", None
        self.new_cookies[name] = line

    def repeat_cookies(self, lines: Mapping[str, str]) -> None:
        """Send the cookies of another response, by their names, to the same browser."""
        for name, line in lines.items():
            self.set_cookie(name, line.partition(";")[0].partition("=")[2], line)

    def forbid_sharing(self, *, no_store: bool) -> None:
        """Tell caches that the response is for this browser alone (RFC 9111).

        ``no_store``: and that they must not store it, unless the view itself says for how long.
        """
        if no_store or self._audience is None:
            self._audience = "no-store" if no_store else "private"

    def incomplete(self, headers: Iterable[Header]) -> tuple[list[Header], list[Header]]:
        """Return the headers to drop from a response, and those to add to it.

        These are our cookies and the cache headers. Nothing is to drop or add once they are there.
        """
        vary = "Cookie" if self._audience or self.is_own or self.new_cookies else ""
        if self.varies_by_language:
            vary = f"{vary}, Accept-Language" if vary else "Accept-Language"
        return incomplete_headers(headers, self._audience, vary, self.new_cookies, self.is_own)

    def finish(self, response: Response) -> Response:
        """Add our cookies and cache headers to this response, once or again."""
        headers = response.headers
        dropped, added = self.incomplete(headers)
        if dropped:
            headers[:] = [header for header in headers if header not in dropped]
        if added:
            # At once, which takes half as long as one after another.
            headers[len(headers) :] = added
        return response


def _is_behind_tls() -> bool:
    # Not on this machine, where browsers would drop a Secure cookie.
    is_declared: bool = this_app().config["SESSION_COOKIE_SECURE"]
    return is_declared and not is_loopback_url(f"http://{this_request().host.lower()}")


def request_state() -> RequestState:
    """Return the state of the current request to the current app.

    Raises RuntimeError outside of a request, and in an app without the extension.
    """
    request, app = this_request(), this_app()
    states: dict[Flask, RequestState] = vars(request).setdefault(_STATES, {})
    if (found := states.get(app)) is not None:
        return found
    call = request.environ.get(f"{_CALL_OF_APP}{id(app)}")
    while call is not None and call.has_begun_response and call.outer is not None:
        call = call.outer
    # Threads of the app may share the request: the first one wins.
    state = states.setdefault(app, RequestState(request, call or _WSGICall()))
    state.call.has_state = True
    # Before the app's own hooks, so that they see the headers.
    after_this_request(state.finish)
    return state


def can_change_response() -> bool:
    """Whether there is a response whose headers can still be changed."""
    return has_request_context() and not request_state().call.has_begun_response


class ResponseFinisher:
    """WSGI middleware, :meth:`serve`, that finishes the headers after all hooks of the app.

    A hook may have removed our headers or replaced the response. A hook of our own would run before
    those that the app registered earlier, and cost every view of the app three times as much.

    ``at_first_request`` is called with the app when its first request begins.
    """

    def __init__(self, app: Flask, at_first_request: Callable[[Flask], None]) -> None:
        self._wsgi_app: WSGIApplication = app.wsgi_app
        self._key = f"{_CALL_OF_APP}{id(app)}"
        self._at_first_request = at_first_request
        # Weakly, so that an app that never serves a request leaves nothing behind in the signal.
        request_started.connect(self._begin, app)

    def _begin(self, app: Flask, **_: object) -> None:
        hooks = app.after_request_funcs.setdefault(None, [])
        if self._key not in this_request().environ and _finish_last not in hooks:
            # The server calls the app as it was before init_app, as Connexion does. The first hook
            # in the list runs last.
            hooks.insert(0, _finish_last)
        # If it fails, it is tried again with the next request: views may be open until then.
        self._at_first_request(app)
        # From all senders: a signal without receivers costs nothing.
        request_started.disconnect(self._begin)

    def serve(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        call = _WSGICall()
        if self._key in environ:
            call.outer = environ[self._key]
        environ[self._key] = call

        # Neither frame may keep a reference to what it passes on. An error report shows the locals
        # of each frame, and the query holds the code, the cookies hold the code_verifier.
        def start(status: str, headers: list[Header], exc_info: Any = None) -> Any:
            call.has_begun_response = True
            passed_on = [_finished(headers, call) if call.has_state else headers]
            del headers
            if exc_info is None:
                return start_response(status, passed_on.pop())
            return start_response(status, passed_on.pop(), exc_info)

        passed_on = [environ]
        del environ
        return self._wsgi_app(passed_on.pop(), start)


def _finished(headers: list[Header], call: _WSGICall) -> list[Header]:
    try:
        states = vars(this_request()).get(_STATES, {})
    except RuntimeError:
        # A middleware of the app sends the headers when there is no request any more.
        return headers
    for state in [*states.values()]:
        if state.call is call:
            dropped, added = state.incomplete(headers)
            if dropped or added:
                headers = [*(header for header in headers if header not in dropped), *added]
    return headers


def _finish_last(response: Response) -> Response:
    state = request_state()
    state.call.has_begun_response = True
    return state.finish(response)


class ExtensionCookie:
    """One small cookie: HttpOnly, SameSite=Lax, host-only, and ``__Host-`` with Secure on https.

    ``max_age`` in seconds; ``suffix`` tells one cookie of the extension from another;
    ``is_secure``: whether visitors use https even if the requests do not show it. Its values need
    no quoting. The ``part`` of a method names one of several cookies of the same kind.

    It is not part of Flask's session: a slow request that saves the session late would erase what
    another request has stored meanwhile, or bring back what it has deleted.
    """

    def __init__(self, max_age: int, *, suffix: str = "", is_secure: bool = False) -> None:
        self._max_age = max_age
        self._is_always_secure = is_secure
        # The prefix is that of RFC 6265bis §4.1.3.2.
        self._names = f"openrouter{suffix}", f"__Host-openrouter{suffix}"

    def name(self, *, is_https: bool) -> str:
        """Return the name on https or on http."""
        return self._names[self._is_always_secure or is_https]

    def read(self, part: str = "", state: RequestState | None = None) -> str | None:
        """Return the value that this request has set, or else the one that the browser sent.

        ``state``: that of this request, if it is at hand.
        """
        try:
            state = state or request_state()
        except RuntimeError:
            return None
        name = self._names[self._is_always_secure or state.is_https] + part
        values = state.cookies if name in state.cookies else state.sent_cookies
        # Not get(): Werkzeug builds an exception for a name that is missing.
        return (values[name] or None) if name in values else None

    def read_all(self) -> dict[str, str]:
        """Return all cookies whose names begin as this one's, by the rest of the name.

        Browsers put older ones first (RFC 6265 §5.4).
        """
        state = request_state()
        start = self.name(is_https=state.is_https)
        values = {**state.sent_cookies, **state.cookies}
        return {n[len(start) :]: v for n, v in values.items() if v and n.startswith(start)}

    def write(self, value: str, part: str = "") -> None:
        """Send this value with the response; ``""`` deletes the cookie."""
        state = request_state()
        name = self.name(is_https=state.is_https) + part
        age, is_secure = self._max_age if value else 0, self._is_always_secure or state.is_https
        line = f"{name}={value}{_attributes(age, is_secure)}"
        most = this_app().config["MAX_COOKIE_SIZE"]
        if most and len(line) > most:  # Werkzeug warns the developer.
            line = _dump(name, value, age, is_secure, most)
        state.set_cookie(name, value, line)


@cache
def _attributes(max_age: int, is_secure: bool) -> str:
    return _dump("name", "value", max_age, is_secure).removeprefix("name=value")


def _dump(name: str, value: str, max_age: int, is_secure: bool, most: int = 0) -> str:
    return dump_cookie(
        name,
        value,
        max_age=max_age,
        sync_expires=False,  # Browsers obey Max-Age. Expires would only add bytes.
        max_size=most,
        secure=is_secure,
        httponly=True,
        samesite="Lax",
    )
