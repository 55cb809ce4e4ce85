"""Clients of the ``openai`` and ``openrouter`` packages for one key.

Both packages are optional and imported on first use. Their errors are those of this package and
those of theirs at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import (
    APIError,
    ConfigurationError,
    InvalidAnswerError,
    KeyRejectedError,
    OpenRouterError,
    TransportError,
    TransportTimeoutError,
)
from .bound_http import (
    ERROR,
    PLACEHOLDER,
    Binding,
    BoundAsyncHttp,
    BoundHttp,
    borrowed_client,
    own_client,
    seconds_left,
)
from .credentials import hides_frames
from .deadline import CONNECT_SECONDS
from .hybrids import both
from .responses import about_request, error_from
from .session import READ_SECONDS, OnUnauthorized
from .typed_methods import TypedMethods

if TYPE_CHECKING:
    from openai import OpenAI
    from openrouter import OpenRouter

#: Reads the error in a response with an error status; asks about the key if it was rejected.
_Reader: TypeAlias = "Callable[[Any], OpenRouterError]"


@hides_frames
def openai_client(
    base_url: str,
    api_key: str,
    headers: Mapping[str, str],
    on_unauthorized: OnUnauthorized | None,
    options: Mapping[str, Any],
) -> OpenAI:
    """Return an ``openai.OpenAI`` for this key.

    ``headers``: attribution. ``on_unauthorized``: as for ``APISession``. ``options`` go to the
    constructor. Every error of OpenRouter is raised as the error of the session and that of the
    package at once, also one inside a 200 or a stream.

    Raises :class:`ConfigurationError` when the package is not installed, or for a ``base_url`` that
    is not below OpenRouter's API.
    """
    try:
        import openai
    except ImportError:
        raise ConfigurationError(
            "current_openrouter.openai() needs the openai package: pip install openai"
        ) from None

    read = _reader(base_url, api_key, on_unauthorized)
    has_key = _finder(api_key)

    def error_of_stream(error: OpenRouterError, response: Any, body: object) -> OpenRouterError:
        return both(error, _without_key(openai.APIError("", response.request, body=body), has_key))

    def error_of_broken_stream(error: BaseException, response: Any) -> BaseException:
        # Not as an error of the HTTP client: the package would replace it by one of its own.
        if isinstance(error, TransportTimeoutError):
            own: TransportError = TransportTimeoutError(*error.args, was_sent=True)
            return both(own, openai.APITimeoutError(response.request))
        if isinstance(error, TransportError):
            own = TransportError(*error.args, was_sent=True)
            return both(own, openai.APIConnectionError(request=response.request))
        return error

    binding = Binding(base_url, api_key, error_of_stream, error_of_broken_stream)

    # One class for each key, so that copies made by with_options() keep it.
    class Client(openai.OpenAI):
        def __init__(self, **options: Any) -> None:
            binding.check(f"{str(options['base_url']).rstrip('/')}/")
            options["http_client"] = borrowed_client(BoundHttp, options["http_client"], binding)
            super().__init__(**options)
            # The package reads and sends the environment's values for options that are missing.
            for name in ("organization", "project", "admin_api_key"):
                setattr(self, name, options.get(name))
            self._custom_headers = options.get("default_headers") or {}

        def _prepare_request(self, request: Any) -> None:
            # Here, too: older versions try again after an exception of the HTTP client.
            binding.check(request.url)
            super()._prepare_request(request)

        def _make_status_error(self, err_msg: str, *, body: object, response: Any) -> Any:
            theirs = super()._make_status_error(err_msg, body=body, response=response)
            return both(read(response), _without_key(theirs, has_key))

        def request(self, *arguments: Any, **options: Any) -> Any:
            failure: OpenRouterError
            try:
                return super().request(*arguments, **options)
            except openai.APIConnectionError as error:
                cause = error.__cause__
                own = cause if isinstance(cause, OpenRouterError) else TransportError(str(error))
                failure = both(own, error)
            raise failure

    timeout = openai.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    options = {"timeout": timeout, "base_url": binding.root, **options}
    options["default_headers"] = {**headers, **(options.get("default_headers") or {})}
    options["http_client"] = options.get("http_client") or own_client(
        BoundHttp, openai.DefaultHttpxClient, binding, base_url
    )
    return Client(api_key=PLACEHOLDER, **options)


@hides_frames
def openrouter_client(
    base_url: str,
    api_key: str,
    headers: Mapping[str, str],
    on_unauthorized: OnUnauthorized | None,
    options: Mapping[str, Any],
) -> OpenRouter:
    """Return an ``openrouter.OpenRouter`` for this key.

    ``options`` go to the constructor. Unlike with the package's defaults, a call waits 60 seconds,
    not five, and is not repeated for up to an hour after a 5xx. Every error of OpenRouter is raised
    as the error of the session and that of the package at once, also one inside a 200 or a stream.

    Raises :class:`ConfigurationError` when the package is not installed, or for a ``server_url``
    that is not below OpenRouter's API.
    """
    try:
        import httpx
        from openrouter import OpenRouter, errors
        from openrouter.basesdk import BaseSDK
        from openrouter.utils import BackoffStrategy, RetryConfig
    except ImportError:
        raise ConfigurationError(
            "current_openrouter.sdk() needs the openrouter package: pip install openrouter"
        ) from None

    read = _reader(base_url, api_key, on_unauthorized)
    has_key = _finder(api_key)

    def error_of_stream(error: OpenRouterError, response: Any, body: object) -> OpenRouterError:
        status = error.status if isinstance(error, APIError) else response.status_code
        theirs = _openrouter_error(response, status, json.dumps({"error": body}))
        vars(theirs)["status_code"] = status
        return both(error, _without_key(theirs, has_key))

    def error_of_status(response: httpx.Response) -> OpenRouterError:
        theirs = _openrouter_error(response, response.status_code, response.text)
        return both(read(response), _without_key(theirs, has_key))

    def error_of_answer(theirs: Exception) -> OpenRouterError:
        status = vars(theirs).get("status_code")
        own = InvalidAnswerError("OpenRouter's response is not what it documents", status=status)
        return both(own, _without_key(theirs, has_key))

    binding = Binding(base_url, api_key, error_of_stream)
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    clients = {
        name: borrowed_client(mixin, options[name], binding)
        if options.get(name) is not None
        else own_client(mixin, base, binding, base_url, timeout=timeout)
        for name, mixin, base in (
            ("client", BoundHttp, httpx.Client),
            ("async_client", BoundAsyncHttp, httpx.AsyncClient),
        )
    }
    never = RetryConfig("none", BackoffStrategy(1, 1, 1, 1), retry_connection_errors=False)
    arguments: dict[str, Any] = {
        "server_url": f"{base_url}/api/v1",
        "retry_config": never,
        "http_referer": headers.get("HTTP-Referer"),
        "x_open_router_title": headers.get("X-OpenRouter-Title"),
        "x_open_router_categories": headers.get("X-OpenRouter-Categories"),
        **options,
        **clients,
        "api_key": PLACEHOLDER,
    }
    binding.check(f"{str(arguments['server_url']).rstrip('/')}/")
    methods = TypedMethods(BaseSDK, errors.OpenRouterError, error_of_answer)

    class Client(OpenRouter):
        def __getattr__(self, name: str) -> Any:
            part = super().__getattr__(name)
            methods.put_on(part)
            return part

    sdk = Client(**arguments)
    sdk.sdk_configuration.__dict__["_hooks"].register_after_error_hook(_ErrorHook(error_of_status))
    # ``with`` closes the HTTP clients unless the package believes that the app supplied them.
    sdk.sdk_configuration.client_supplied = "client" in options
    sdk.sdk_configuration.async_client_supplied = "async_client" in options
    return sdk


class _ErrorHook:
    """A hook of the ``openrouter`` package. Asynchronous clients run it in a thread."""

    def __init__(self, error_of: Callable[[Any], OpenRouterError]) -> None:
        self._error_of = error_of

    def after_error(self, context: object, response: Any, error: Exception | None) -> Any:
        """Return the error that the package raises."""
        return None, (error if response is None else self._error_of(response))


def _openrouter_error(response: Any, status: int, text: str) -> Exception:
    """Return the ``openrouter`` package's own error for a response with this status."""
    from openrouter import errors
    from openrouter.utils.unmarshal_json_response import unmarshal_json_response

    name = _OPENROUTER_ERRORS.get(status)
    if name is not None:
        kind, data = getattr(errors, name), getattr(errors, f"{name}Data")
        # Not of the form that the package knows: it would raise ResponseValidationError.
        with suppress(Exception):
            own: Exception = kind(unmarshal_json_response(data, response, text), response, text)
            return own
    return errors.OpenRouterDefaultError("", response, text or None)


#: The classes of the ``openrouter`` package for chat calls.
_OPENROUTER_ERRORS: Mapping[int, str] = {
    status: f"{name}ResponseError"
    for status, name in {
        400: "BadRequest",
        401: "Unauthorized",
        402: "PaymentRequired",
        403: "Forbidden",
        404: "NotFound",
        408: "RequestTimeout",
        409: "Conflict",
        413: "PayloadTooLarge",
        422: "UnprocessableEntity",
        429: "TooManyRequests",
        500: "InternalServer",
        502: "BadGateway",
        503: "ServiceUnavailable",
        524: "EdgeNetworkTimeout",
        529: "ProviderOverloaded",
    }.items()
}


def _reader(base_url: str, api_key: str, on_unauthorized: OnUnauthorized | None) -> _Reader:
    """Return a function that reads the error in a response.

    The frames that raise the error hold this function, and not the key.
    """

    def error_of(response: Any) -> OpenRouterError:
        return error_from(
            response.status_code,
            response.headers,
            response.content,
            base_url=base_url,
            api_key=api_key,
        )

    # A function of its own: a frame that an exception of on_unauthorized passes shows no key.
    return partial(_judged, error_of, on_unauthorized)


def _judged(
    error_of: _Reader, on_unauthorized: OnUnauthorized | None, response: Any
) -> OpenRouterError:
    error: OpenRouterError = response.extensions.get(ERROR) or error_of(response)
    about_request(error, response.request.method, response.request.url)
    if isinstance(error, KeyRejectedError) and on_unauthorized is not None:
        return on_unauthorized(error, seconds_left(response.request, READ_SECONDS)) or error
    return error


def _finder(api_key: str) -> Callable[[object], bool]:
    """Return a function that tells whether a JSON value holds the key."""

    def has_key(value: object) -> bool:
        waiting = [value]
        for one in waiting:
            if isinstance(one, str) and api_key in one:
                return True
            if isinstance(one, Mapping):
                waiting += [*one.keys(), *one.values()]
            elif isinstance(one, list):
                waiting += one
        return False

    return has_key


def _without_key(error: Exception, has_key: Callable[[object], bool]) -> Exception:
    """Return a package's error; without body and headers, if these repeat the key."""
    attributes = vars(error)
    data: Any = attributes.get("data")
    plain = data.model_dump() if hasattr(data, "model_dump") else None
    headers = dict(attributes.get("headers") or {})
    if any(map(has_key, (attributes.get("body"), plain, headers))):
        made_of_it = ("body", "code", "param", "type", "data", "headers")
        attributes.update({name: None for name in made_of_it if name in attributes})
    return error
