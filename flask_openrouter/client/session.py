"""A ``requests.Session`` that sends one visitor's key, to OpenRouter's API only.

This module imports ``requests``, so import it only where a session is made.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from time import monotonic
from typing import Any, TypeAlias

import requests
import urllib3

from ..errors import (
    InvalidAnswerError,
    KeyRejectedError,
    OpenRouterError,
    OutOfCreditError,
    TransportError,
    TransportTimeoutError,
)
from .base_url import OPENROUTER, is_below
from .connections import Adapter
from .credentials import Unpicklable, authorizer, hash_of_key, without_trace
from .deadline import CONNECT_SECONDS, Deadline, limited_by
from .event_filter import error_at_end
from .hybrids import both
from .models import parse_leniently
from .responses import about_request, error_from, error_in, may_be_an_error, media_type
from .spending import NEWS
from .transport import (
    MAX_RESPONSE_BYTES,
    Transport,
    decode_body,
    failure_of,
    is_network_error,
    is_timeout,
)

#: Seconds to wait for the next bytes: a model may think for a while.
READ_SECONDS = 60.0

Timeout: TypeAlias = "float | tuple[float, float]"
#: Called for each 401 that names no provider, with the error and the seconds that are left of the
#: caller's time limit. It returns the error to raise, or None for that one.
OnUnauthorized: TypeAlias = "Callable[[KeyRejectedError, float], OpenRouterError | None]"


class SessionConnectionError(TransportError, requests.ConnectionError):
    """No response to a request of a session. It is a ``requests.ConnectionError`` as well."""


class SessionTimeoutError(TransportTimeoutError, requests.Timeout):
    """No bytes within the session's time limit. It is a ``requests.Timeout`` as well."""


class SessionResponse(requests.Response):
    """A response to a request of a session. It knows OpenRouter's errors."""

    #: Reads the error in this response. It has the key in a closure.
    _error_of: Callable[[SessionResponse], OpenRouterError | None] | None = None
    #: Notes that the key is out of credit: see ``note_error_of``.
    _note_spending: Callable[[], None] | None = None
    _is_streamed = False
    #: Returns the key, for the links in errors that come with a stream. A closure, too.
    _kept_key: Callable[[], str] | None = None

    def raise_for_status(self) -> None:
        """Raise the error that this response stands for; do nothing for any other response.

        The errors are those of ``flask_openrouter.errors``, and also a ``requests.HTTPError``. A
        200 whose JSON is an error, or an answer that broke off, counts. A 200 that was asked for
        with ``stream=True`` is not read: its errors come with the stream.

        :raises APIError: the subclass for the status or the cause.
        """
        error = _error_of(self) if self._error_of is None else self._error_of(self)
        if error is not None:
            raise both(error, requests.HTTPError(str(error), response=self))

    def json(self, **options: Any) -> Any:
        """Return the JSON of this response; ``options`` go to ``json.loads``.

        :raises InvalidAnswerError: if there is none; also a ``requests.JSONDecodeError``.
        """
        try:
            return super().json(**options)
        except (ValueError, RecursionError) as error:
            # Without the document, which may hold anything.
            theirs = requests.JSONDecodeError(str(getattr(error, "msg", error)), "", 0)
        own = InvalidAnswerError("OpenRouter's response is not JSON", status=self.status_code)
        raise both(own, theirs)


class APISession(Unpicklable, requests.Session):
    """A session rooted at ``<base_url>/api/v1/``: ``session.post("chat/completions", json=...)``.

    Relative addresses are below the root, with or without a leading slash. An absolute one must be
    below it too, otherwise ``ValueError``: the key is for OpenRouter only. The bearer header is set
    on every request and cannot be overridden. Redirects are never followed; there are no cookies
    and no ``.netrc``; certificates are always verified; proxies come from the environment.

    ``timeout`` (seconds, or seconds to connect and to read) limits the wait for the *next* bytes,
    (5, 60) by default, and can be given with each call. ``stream=True`` works. A response may be of
    any size; of one with an error status, 64 KiB are read.

    Every response is returned as a :class:`SessionResponse`, whose ``raise_for_status()`` raises
    OpenRouter's errors, except these, which are raised at once:

    :raises KeyRejectedError: 401, the key is dead, or what ``on_unauthorized`` returns for it. A
        401 or 402 that OpenRouter relays from the provider of a model is returned instead.
    :raises OutOfCreditError: 402, or 403 because a limit or budget is spent; the key is fine.
    :raises TransportError: no response; also a ``requests.ConnectionError`` or
        ``requests.Timeout``.
    :raises InvalidAnswerError: a response that is not well-formed HTTP.
    """

    def __init__(
        self,
        transport: Transport,
        api_key: str,
        *,
        headers: Mapping[str, str],
        on_unauthorized: OnUnauthorized | None = None,
        timeout: Timeout | None = None,
    ) -> None:
        super().__init__()
        self._transport = transport
        self._root = f"{transport.base_url}/api/v1/"
        self._authorize = authorizer(api_key)
        self._error_of = partial(
            _error_of, base_url=transport.base_url, key_of=_closure_over(api_key)
        )
        self._note_spending = partial(NEWS.note, hash_of_key(api_key))
        self._on_unauthorized = on_unauthorized
        self._timeout = (CONNECT_SECONDS, READ_SECONDS) if timeout is None else timeout
        self.trust_env = False
        self.headers.update({"Accept-Encoding": "gzip, deflate", **headers})
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def __repr__(self) -> str:
        return f"<APISession {self._root}>"

    def close(self) -> None:
        """Do nothing: the connections belong to the client, whose other sessions use them."""

    def get_adapter(self, url: str | bytes) -> Adapter:
        """Return the client's persistent connections of this process."""
        return self._transport.adapter

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: a redirect is a response like any other."""

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Prepare a request with its address resolved below the root.

        :raises ValueError: if the address is not below the root.
        """
        url = str(request.url)
        if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url):
            url = self._root + url.lstrip("/")
        self._check_address(url)
        request.url = url
        return super().prepare_request(request)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a prepared request with the key; see the class.

        :raises ValueError: if the address is not below the root.
        """
        self._check_address(request.url)
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._timeout
        finish_by = monotonic() + _read_seconds(kwargs["timeout"])
        result = self._outcome(request, **kwargs)
        if isinstance(result, KeyRejectedError) and self._on_unauthorized is not None:
            seconds = max(0.0, finish_by - monotonic())
            result = self._on_unauthorized(result, seconds) or result
        if isinstance(result, BaseException):
            raise result
        return result

    def _outcome(
        self, request: requests.PreparedRequest, **kwargs: Any
    ) -> requests.Response | BaseException:
        """Return the response, or the error to raise: this frame and those below hold the key."""
        # A copy: threads may send one prepared request, and its headers are changed here.
        request = request.copy()
        is_streamed = kwargs.pop("stream", False)
        kwargs |= {"stream": True, "allow_redirects": False}
        deadline = Deadline()
        hooks = request.hooks
        # Before the app's own hooks: they get the response that knows errors, too.
        typed = partial(self._typed, is_streamed, deadline)
        request.hooks = {**hooks, "response": [typed, *hooks.get("response", ())]}
        self._authorize(request)
        try:
            with limited_by(deadline):
                response = super().send(request, **kwargs)
                if response.status_code >= 400:
                    _read_error(response)
                elif not is_streamed:
                    _ = response.content  # Read here, where errors are handled.
                if response.status_code in (401, 402, 403):
                    error = self._error_of(response)
                    if isinstance(error, KeyRejectedError | OutOfCreditError):
                        response.close()
                        return about_request(error, request.method, request.url)
                return response
        except Exception as error:
            # Not the network: a wrong setting, or a hook or a body of the caller.
            if isinstance(error, OpenRouterError) or not is_network_error(error):
                return without_trace(error)
            return known_to_requests(failure_of(error, deadline), error)
        except BaseException as error:
            return without_trace(error)
        finally:
            # Responses and errors refer to this request: it must not keep the key.
            request.headers.pop("Authorization", None)
            request.hooks = hooks

    def _typed(
        self, is_streamed: bool, deadline: Deadline, response: requests.Response, **_: Any
    ) -> SessionResponse:
        # Also where a test library answers in place of the connections.
        deadline.was_sent = True
        typed = SessionResponse()
        vars(typed).update(
            vars(response),
            _error_of=partial(self._error_of, now=datetime.now(timezone.utc)),
            _note_spending=self._note_spending,
            _is_streamed=is_streamed,
            _kept_key=self._error_of.keywords["key_of"],
        )
        return typed

    def _check_address(self, url: str | None) -> None:
        if url is None or not is_below(self._root, url):
            raise ValueError(f"This session sends its key to addresses below {self._root} only")


def _read_error(response: requests.Response) -> None:
    """Read at most 64 KiB of an error, and put them back: the caller may want the response."""
    if _is_read(response) or not hasattr(response.raw, "read_chunked"):
        return  # A hook of the app has read it, or made it.
    raw: urllib3.HTTPResponse = response.raw
    body = b""
    # The status says enough if the body breaks off.
    with suppress(OSError, urllib3.exceptions.HTTPError):
        body = raw.read(MAX_RESPONSE_BYTES, decode_content=False)
    response.close()
    # Decoded here: within bounds, and an encoding that is not known is no other error.
    decoded = decode_body(body, raw.headers.get("content-encoding", ""))
    vars(response).update(_content=decoded or b"", _content_consumed=True)
    response.raw = urllib3.HTTPResponse(
        io.BytesIO(body),
        headers=raw.headers,
        status=raw.status,
        version=raw.version,
        reason=raw.reason,
        preload_content=False,
        enforce_content_length=False,
    )


def _error_of(
    response: requests.Response,
    *,
    base_url: str = OPENROUTER,
    key_of: Callable[[], str | None] = lambda: None,
    now: datetime | None = None,
) -> OpenRouterError | None:
    """Return the error that a response stands for, or None."""
    status, headers = response.status_code, response.headers
    if 400 <= status < 600:
        return error_from(
            status,
            headers,
            _small_content(response),
            base_url=base_url,
            api_key=key_of(),
            now=now,
        )
    if status >= 300 or (getattr(response, "_is_streamed", False) and not _is_read(response)):
        return None
    body = response.content or b""
    is_post = getattr(response.request, "method", None) == "POST"
    # An answer of any size may have broken off. What answers a GET is a stored file.
    is_answer = is_post and media_type(headers) == "application/json"
    is_answer = is_answer and (b'"choices"' in body or b'"error"' in body)
    if not is_answer and not may_be_an_error(headers, body):
        return None
    # As far as Python can read it: the app would take an error for a success.
    found = parse_leniently(body.decode("utf-8-sig", "replace"))
    if found is None:
        return None
    error = error_in(found, base_url=base_url, api_key=key_of(), headers=headers, now=now)
    return error or (error_at_end(found) if is_answer else None)


def _is_read(response: requests.Response) -> bool:
    # A hook of the app may return any object.
    return getattr(response, "_content", None) is not False


def _small_content(response: requests.Response) -> bytes | None:
    content = response.content
    return content if content is not None and len(content) <= MAX_RESPONSE_BYTES else None


def _closure_over(api_key: str) -> Callable[[], str]:
    """Return a closure with the key: no dump of attributes shows it."""
    return lambda: api_key


def _read_seconds(timeout: Any) -> float:
    """Return the seconds that a time limit of ``requests`` leaves for the next bytes."""
    seconds = timeout[-1] if isinstance(timeout, tuple) else timeout
    return float(seconds) if isinstance(seconds, int | float) else READ_SECONDS


def known_to_requests(failure: OpenRouterError, error: Exception) -> OpenRouterError:
    """Return a transport failure as an exception that code for ``requests`` catches, too."""
    if not isinstance(failure, TransportError):
        return failure
    if failure.was_sent and is_timeout(error):
        return SessionTimeoutError("OpenRouter sent nothing for too long", was_sent=True)
    return SessionConnectionError(str(failure), was_sent=failure.was_sent)
