"""Clients of the ``openai`` and ``openrouter`` packages for one key.

Both packages are optional and imported on first use. As elsewhere, a dead key raises a
:class:`KeyRejectedError`, and spent credit an :class:`OutOfCreditError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, KeyRejectedError, OpenRouterError, OutOfCreditError
from .credentials import authorizer, hides_frames, outcome_of, without_trace
from .deadline import CONNECT_SECONDS
from .environment import Environment
from .responses import error_from
from .session import READ_SECONDS
from .transport import tls_context

if TYPE_CHECKING:
    from openai import OpenAI
    from openrouter import OpenRouter

_ABOUT_THE_KEY = (401, 402, 403)

_tls_context = cache(tls_context)


@hides_frames
def openai_client(
    base_url: str,
    api_key: str,
    headers: Mapping[str, str],
    on_rejected: Callable[[], None],
    options: Mapping[str, Any],
) -> OpenAI:
    """Return an ``openai.OpenAI`` for this key.

    ``headers``: attribution. ``on_rejected`` is called when OpenRouter rejects the key.
    ``options`` go to the constructor. A dead key raises an error that is a
    :class:`KeyRejectedError` and an ``openai.AuthenticationError``. Spent credit raises one that is
    an :class:`OutOfCreditError` and an ``openai.APIStatusError``. A model provider's 401 or 402
    raises the package's own error.

    Raises :class:`ConfigurationError` when the package is not installed.
    """
    try:
        import openai
    except ImportError:
        raise ConfigurationError(
            "current_openrouter.openai() needs the openai package: pip install openai"
        ) from None

    class Http(_Http, openai.DefaultHttpxClient):
        pass

    error_in = _error_reader(base_url, api_key)

    # One class for each key, so that copies made by with_options() keep it.
    class Client(openai.OpenAI):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            # The package reads and sends the environment's values for options that are missing.
            for name in ("organization", "project", "admin_api_key"):
                setattr(self, name, options.get(name))
            self._custom_headers = options.get("default_headers") or {}

        def _make_status_error(self, err_msg: str, *, body: object, response: Any) -> Any:
            error = super()._make_status_error(err_msg, body=body, response=response)
            # Still there if the app uses an HTTP client of its own.
            response.request.headers.pop("Authorization", None)
            own_error = error_in(response)
            kind = _openai_errors().get(type(own_error))
            if kind is None:
                return error
            if isinstance(own_error, KeyRejectedError):
                on_rejected()
            # An instance of both classes, made without their constructors, which do not fit.
            both = kind.__new__(kind, *own_error.args)
            both.__dict__.update({**error.__dict__, **own_error.__dict__})
            return both

    options = {"timeout": openai.Timeout(READ_SECONDS, connect=CONNECT_SECONDS), **options}
    options["default_headers"] = {**headers, **(options.get("default_headers") or {})}
    options["http_client"] = options.get("http_client") or Http(base_url, api_key)
    return Client(api_key=api_key, base_url=f"{base_url}/api/v1", **options)


@cache
def _openai_errors() -> Mapping[type[OpenRouterError], Any]:
    import openai

    class OpenAIKeyRejectedError(KeyRejectedError, openai.AuthenticationError):
        pass

    class OpenAIOutOfCreditError(OutOfCreditError, openai.APIStatusError):
        pass

    return {KeyRejectedError: OpenAIKeyRejectedError, OutOfCreditError: OpenAIOutOfCreditError}


@hides_frames
def openrouter_client(
    base_url: str,
    api_key: str,
    headers: Mapping[str, str],
    on_rejected: Callable[[], None],
    options: Mapping[str, Any],
) -> OpenRouter:
    """Return an ``openrouter.OpenRouter`` for this key.

    ``options`` go to the constructor. Unlike with the package's defaults, a call waits 60 seconds,
    not five, and is not repeated for up to an hour after a 5xx. A dead key raises
    :class:`KeyRejectedError`, spent credit :class:`OutOfCreditError`, and a model provider's 401 or
    402 the package's own error.

    Raises :class:`ConfigurationError` when the package is not installed.
    """
    try:
        import httpx
        from openrouter import OpenRouter
        from openrouter.utils import BackoffStrategy, RetryConfig
    except ImportError:
        raise ConfigurationError(
            "current_openrouter.sdk() needs the openrouter package: pip install openrouter"
        ) from None

    class Http(_Http, httpx.Client):
        pass

    class AsyncHttp(_AsyncHttp, httpx.AsyncClient):
        pass

    error_in = _error_reader(base_url, api_key)

    def raise_if_about_the_key(response: httpx.Response) -> None:
        error = error_in(response)
        if isinstance(error, KeyRejectedError):
            on_rejected()
        if isinstance(error, KeyRejectedError | OutOfCreditError):
            raise error

    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    never = RetryConfig("none", BackoffStrategy(1, 1, 1, 1), retry_connection_errors=False)
    arguments: dict[str, Any] = {
        # A function, because the repr of the package's settings shows the value.
        "api_key": lambda: api_key,
        "server_url": f"{base_url}/api/v1",
        "client": Http(base_url, api_key, raise_if_about_the_key, timeout=timeout),
        "async_client": AsyncHttp(base_url, api_key, raise_if_about_the_key, timeout=timeout),
        "retry_config": never,
        "http_referer": headers.get("HTTP-Referer"),
        "x_open_router_title": headers.get("X-OpenRouter-Title"),
        "x_open_router_categories": headers.get("X-OpenRouter-Categories"),
        **options,
    }
    sdk = OpenRouter(**arguments)
    # ``with`` closes the HTTP clients unless the package believes that the app supplied them.
    sdk.sdk_configuration.client_supplied = "client" in options
    sdk.sdk_configuration.async_client_supplied = "async_client" in options
    return sdk


def _error_reader(base_url: str, api_key: str) -> Callable[[Any], OpenRouterError]:
    """Return a function that reads the error in a response.

    The frames that raise the error hold this function, and not the key.
    """

    def error_in(response: Any) -> OpenRouterError:
        status, headers, body = response.status_code, response.headers, response.content
        return error_from(status, headers, body, base_url=base_url, api_key=api_key)

    return error_in


class _Keyed:
    """Mixin for clients of ``httpx`` and its successor. A request has the key only while in flight.

    So no response, error or traceback keeps it. Redirects are not followed and cookies are not
    sent. Proxy and certificates are those of the session. ``check`` may raise for a 401, 402 or
    403.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        check: Callable[[Any], None] | None = None,
        **options: Any,
    ) -> None:
        environment = Environment.read(base_url)
        options |= {"trust_env": False, "proxy": environment.proxy}
        super().__init__(**options, verify=_tls_context(environment))  # type: ignore[call-arg]
        self._authorize = authorizer(api_key)
        self._check = check


class _Http(_Keyed):
    def __del__(self) -> None:
        with suppress(Exception):
            self.close()  # type: ignore[attr-defined]

    def send(self, request: Any, **options: Any) -> Any:
        self._authorize(request)
        options["follow_redirects"] = False
        response: Any = outcome_of(super().send, request, **options)  # type: ignore[misc]
        del request.headers["Authorization"]
        if isinstance(response, BaseException):
            raise response
        if self._check is not None and response.status_code in _ABOUT_THE_KEY:
            response.read()
            self._check(response)
        return response


class _AsyncHttp(_Keyed):
    async def send(self, request: Any, **options: Any) -> Any:
        self._authorize(request)
        options["follow_redirects"] = False
        try:
            response = await super().send(request, **options)  # type: ignore[misc]
        except BaseException as error:
            response = without_trace(error)
        del request.headers["Authorization"]
        if isinstance(response, BaseException):
            raise response
        if self._check is not None and response.status_code in _ABOUT_THE_KEY:
            await response.aread()
            self._check(response)
        return response
