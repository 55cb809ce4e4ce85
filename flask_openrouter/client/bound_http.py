"""HTTP clients of ``httpx`` that send one key to one API root, and to no other address.

The clients themselves, and the packages that use them, do not have the key: a request has it only
while it is in flight. So no response, error or traceback keeps it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from copy import copy
from functools import cache, partial
from time import monotonic
from typing import Any, Final, TypeAlias

from ..errors import (
    APIError,
    ConfigurationError,
    InvalidAnswerError,
    OpenRouterError,
    TransportError,
    TransportTimeoutError,
)
from .base_url import is_below
from .body import read_async_body, read_body
from .credentials import authorizer, outcome_of, without_trace
from .environment import Environment
from .event_filter import EventFilter, clean_json, error_at_end
from .httpx_network import race_addresses
from .hybrids import both
from .models import parse_leniently, parse_object
from .responses import error_in, error_in_event, may_be_an_error, media_type
from .transport import tls_context

#: What a package sends as its key. :meth:`Binding.enter` replaces it.
PLACEHOLDER: Final = "set-by-flask-openrouter"
#: The extension of an ``httpx`` response with the error that was inside its 200.
ERROR: Final = "flask_openrouter.error"
#: The extension of an ``httpx`` request with the time by which the caller wants a result.
FINISH_BY: Final = "flask_openrouter.finish_by"

# Not the context of requests: httpx sets the protocols that its own offers.
_tls_context = cache(tls_context)

#: The ends of the paths that are answered by JSON or by events only.
_JSON_PATHS: Final = ("/completions", "/responses", "/embeddings")

#: Makes an error in a stream one of a package, too, from the response and the error object.
AsTheirs: TypeAlias = "Callable[[OpenRouterError, Any, object], OpenRouterError]"
#: Makes an exception in the middle of a stream one of a package, too.
OfBrokenStream: TypeAlias = "Callable[[BaseException, Any], BaseException]"


class Binding:
    """One key and the API root that it belongs to."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        as_theirs: AsTheirs,
        of_broken_stream: OfBrokenStream = lambda error, response: error,
    ) -> None:
        self.as_theirs: AsTheirs = as_theirs
        self.of_broken_stream: OfBrokenStream = of_broken_stream
        self.root: str = f"{base_url}/api/v1/"
        self.authorize: Callable[[Any], None] = authorizer(api_key)

        #: Closures with the key: no dump of attributes shows it.
        self.read_error: Callable[..., APIError | None] = _with_key(error_in, base_url, api_key)
        self.read_event_error: Callable[..., OpenRouterError | None] = _with_key(
            error_in_event, base_url, api_key
        )

    def check(self, url: object) -> None:
        """Raise :class:`ConfigurationError` (a ``ValueError``) unless ``url`` is below the root."""
        if not is_below(self.root, str(url)):
            raise ConfigurationError(
                f"This client sends its key to addresses below {self.root} only"
            )

    def enter(self, request: Any, options: dict[str, Any]) -> bool:
        """Check a request, and put the key on it. No redirect may take it elsewhere.

        Return whether the caller wants the whole response, which is then read here.
        """
        self.check(request.url)
        timeouts = request.extensions.get("timeout") or {}
        seconds = timeouts.get("read")
        request.extensions[FINISH_BY] = None if seconds is None else monotonic() + seconds
        options["follow_redirects"] = False
        # The authentication of a client would replace the key.
        options["auth"] = None
        self.authorize(request)
        is_whole = not options.get("stream")
        options["stream"] = True
        return is_whole

    def leave(self, request: Any, response: Any) -> None:
        """Take the key off a request, and off the redirect that the response asks for."""
        request.headers.pop("Authorization", None)
        following = getattr(response, "next_request", None)
        if following is not None:
            following.headers.pop("Authorization", None)

    def mark(self, response: Any) -> None:
        """Give a response the status of the error that its JSON is; 502 if it cannot be used.

        So the package that uses the client treats it as it treats any error.
        """
        is_answer, data = _is_answer(response), None
        if is_answer or is_to_be_read(response):
            # Whatever charset OpenRouter names: some are no encodings of text, and JSON is UTF-8.
            with suppress(ValueError):  # A hook of the app has read the text.
                response.encoding = "utf-8"
        if response.status_code >= 400:
            return
        headers, content = response.headers, response.content
        if is_answer:
            content = clean_json(content)
            data = parse_leniently(content.decode())
        elif may_be_an_error(headers, content):
            data = parse_object(content)
        error: OpenRouterError | None = self.read_error(data or {}, headers=headers)
        error = error or _unusable(response)
        if error is None and is_answer:
            error = _not_json(response) if data is None else error_at_end(data)
        if error is not None:
            response.extensions[ERROR] = error
            response.status_code = error.status if isinstance(error, APIError) else 502
        elif is_answer:
            response._content = content
        else:
            response.json = partial(_json_of, self, response, response.json)

    def filter(self, response: Any) -> EventFilter:
        """Return a filter for the bytes of a stream, which raises the error of an event."""
        headers = response.headers
        return EventFilter(
            lambda event, data: self.read_event_error(event, data, headers=headers),
            lambda error, data: self.as_theirs(error, response, data),
            has_end=response.request.url.path.endswith(_JSON_PATHS),
        )


def _with_key(read: Callable[..., Any], base_url: str, api_key: str) -> Callable[..., Any]:
    return lambda *given, **known: read(*given, base_url=base_url, api_key=api_key, **known)


def seconds_left(request: Any, longest: float) -> float:
    """Return the seconds that are left for a request that a client of this module sent."""
    finish_by = request.extensions.get(FINISH_BY)
    return longest if finish_by is None else max(0.0, finish_by - monotonic())


def is_to_be_read(response: Any) -> bool:
    """Whether to read a response here: an error, or JSON, which no caller reads as a stream."""
    is_json = media_type(response.headers) == "application/json"
    return response.status_code >= 400 or is_json or _unusable(response) is not None


def _unusable(response: Any) -> InvalidAnswerError | None:
    """Return the error for a redirect, or for a page or text in place of JSON; None for all others.

    A page may be a stored file, which is not the response to a POST.
    """
    status, request = response.status_code, response.request
    is_other = False
    if status < 400 and request.method == "POST":
        kind = media_type(response.headers)
        expected = ("application/json", "text/event-stream", "")
        is_json_path = request.url.path.endswith(_JSON_PATHS)
        is_other = kind == "text/html" or (is_json_path and kind not in expected)
    if 300 <= status < 400 or is_other:
        return InvalidAnswerError(
            f"OpenRouter sent an unexpected response (HTTP {status})", status=status
        )
    return None


def _is_answer(response: Any) -> bool:
    """Whether a whole response has to be a JSON object. What answers a GET is a stored file."""
    is_json = media_type(response.headers) in ("application/json", "text/event-stream", "")
    return is_json and response.request.method == "POST" and response.status_code != 204


def _not_json(response: Any) -> InvalidAnswerError:
    return InvalidAnswerError(
        "OpenRouter's response is not a JSON object", status=response.status_code
    )


def _json_of(binding: Binding, response: Any, read: Callable[..., Any], **options: Any) -> Any:
    """Return the JSON of a response; the error of a parser would hold all of it."""
    with suppress(ValueError, RecursionError):
        return read(**options)
    raise binding.as_theirs(_not_json(response), response, None)


def is_stream_of_events(response: Any) -> bool:
    """Whether a response is a stream of events. What answers a GET is a stored file."""
    request, kind = response.request, media_type(response.headers)
    if kind == "" and request.url.path.endswith(_JSON_PATHS):
        # The packages take it for one, and one of them wants to be told.
        kind = response.headers["Content-Type"] = "text/event-stream"
    return request.method == "POST" and kind == "text/event-stream"


def _typed(error: BaseException) -> BaseException:
    """Return an error of the network as one of this package, too."""
    if isinstance(error, OpenRouterError) or not isinstance(error, Exception):
        return error
    # Both packages' exceptions have these names: httpx, and httpx2, its successor.
    names = {kind.__name__ for kind in type(error).__mro__}
    if "DecodingError" in names:
        return both(InvalidAnswerError("OpenRouter's response is not well-formed HTTP"), error)
    if "TransportError" not in names:
        return error
    was_sent = not names & {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol"}
    if "TimeoutException" in names:
        own: TransportError = TransportTimeoutError(
            "OpenRouter sent nothing for too long", was_sent=was_sent
        )
    elif was_sent:
        own = TransportError(
            "The connection to OpenRouter broke before its response was complete", was_sent=True
        )
    else:
        own = TransportError("OpenRouter cannot be reached")
    return both(own, error)


class BoundHttp:
    """Mixin for a synchronous client of ``httpx`` or its successor."""

    binding: Binding

    def send(self, request: Any, **options: Any) -> Any:
        """Send a request with the key."""
        is_whole = self.binding.enter(request, options)
        response: Any = outcome_of(super().send, request, **options)  # type: ignore[misc]
        self.binding.leave(request, response)
        if not isinstance(response, BaseException) and (is_whole or is_to_be_read(response)):
            response = outcome_of(read_body, response)
        if isinstance(response, BaseException):
            raise _typed(response)
        if response.is_stream_consumed:
            self.binding.mark(response)
        elif is_stream_of_events(response):
            response.iter_bytes = partial(_iter_bytes, self.binding, response, response.iter_bytes)
        return response


def _iter_bytes(
    binding: Binding,
    response: Any,
    iter_bytes: Callable[[int | None], Iterator[bytes]],
    chunk_size: int | None = None,
) -> Iterator[bytes]:
    events = binding.filter(response)
    try:
        for block in iter_bytes(chunk_size):
            yield from events.read(block)
        yield from events.last()
    except Exception as error:
        response.close()
        raise binding.of_broken_stream(_typed(error), response) from None


class BoundAsyncHttp:
    """Mixin for an asynchronous client of ``httpx`` or its successor."""

    binding: Binding

    async def send(self, request: Any, **options: Any) -> Any:
        """Send a request with the key."""
        is_whole = self.binding.enter(request, options)
        response = await _outcome_of(super().send(request, **options))  # type: ignore[misc]
        self.binding.leave(request, response)
        if not isinstance(response, BaseException) and (is_whole or is_to_be_read(response)):
            response = await _outcome_of(read_async_body(response))
        if isinstance(response, BaseException):
            raise _typed(response)
        if response.is_stream_consumed:
            self.binding.mark(response)
        elif is_stream_of_events(response):
            response.aiter_bytes = partial(
                _aiter_bytes, self.binding, response, response.aiter_bytes
            )
        return response


async def _aiter_bytes(
    binding: Binding,
    response: Any,
    aiter_bytes: Callable[[int | None], AsyncIterator[bytes]],
    chunk_size: int | None = None,
) -> AsyncIterator[bytes]:
    events = binding.filter(response)
    try:
        async for block in aiter_bytes(chunk_size):
            for event in events.read(block):
                yield event
        for event in events.last():
            yield event
    except Exception as error:
        await response.aclose()
        raise binding.of_broken_stream(_typed(error), response) from None


async def _outcome_of(result: Awaitable[Any]) -> Any:
    try:
        return await result
    except BaseException as error:
        return without_trace(error)


def own_client(mixin: type, base: type, binding: Binding, base_url: str, **options: Any) -> Any:
    """Return a new client of the class ``base`` with the session's proxy and certificates.

    It keeps no cookies and reads nothing else from the environment.
    """
    environment = Environment.read(base_url)

    def close_at_last(self: Any) -> None:
        with suppress(Exception):
            self.close()

    members = {"__del__": close_at_last} if mixin is BoundHttp else {}
    kind = type(base.__name__, (mixin, base), members)
    client = kind(
        trust_env=False, proxy=environment.proxy, verify=_tls_context(environment), **options
    )
    race_addresses(client, environment)
    client.binding = binding
    return client


def borrowed_client(mixin: type, client: Any, binding: Binding) -> Any:
    """Return a client that sends through the app's own client, with its transport and hooks."""
    if not hasattr(client, "send") or getattr(client, "binding", None) is binding:
        return client
    bound = copy(client)
    if not isinstance(client, mixin):
        bound.__class__ = type(type(client).__name__, (mixin, type(client)), {})
    bound.binding = binding
    return bound
