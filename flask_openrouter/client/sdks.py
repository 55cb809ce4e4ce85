"""Clients of the ``openai`` and ``openrouter`` packages, ready-made for one key.

Both packages are optional and imported when asked for. What they raise for a dead key is a
:class:`KeyRejectedError`, and for spent credit an :class:`OutOfCreditError`, as everywhere here.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, KeyRejectedError, OpenRouterError, OutOfCreditError
from .answers import about_key, error_from

if TYPE_CHECKING:
    from openai import OpenAI
    from openrouter import OpenRouter

#: Seconds to wait for the next bytes: the packages' own defaults are ten minutes, and five seconds.
_READ_SECONDS = 60.0


def openai_client(
    base_url: str,
    api_key: str,
    headers: Mapping[str, str],
    on_rejected: Callable[[], None],
    options: Mapping[str, Any],
) -> OpenAI:
    """Return an ``openai.OpenAI`` for this key.

    ``headers``: attribution. ``on_rejected`` is called when OpenRouter answers 401. ``options`` go
    to the constructor; ``timeout`` is 60 seconds by default. A dead key raises an error that is a
    :class:`KeyRejectedError` and an ``openai.AuthenticationError``; spent credit one that is an
    :class:`OutOfCreditError` and an ``openai.APIStatusError``.

    Raises :class:`ConfigurationError` when the package is not installed.
    """
    try:
        from openai import OpenAI
    except ImportError:
        raise ConfigurationError(
            "current_openrouter.openai() needs the openai package: pip install openai"
        ) from None

    # A class of its own for each key: copies made by with_options() keep it.
    class Client(OpenAI):
        def _make_status_error(self, err_msg: str, *, body: object, response: Any) -> Any:
            error = super()._make_status_error(err_msg, body=body, response=response)
            ours = error_from(response.status_code, response.headers, response.content)
            about_key(ours, api_key)
            kind = _openai_errors().get(type(ours))
            if kind is None:
                return error
            if isinstance(ours, KeyRejectedError):
                on_rejected()
            # Both parents in one, without running either constructor on half of the arguments.
            both = kind.__new__(kind, *ours.args)
            both.__dict__.update({**error.__dict__, **ours.__dict__})
            return both

    options = {"timeout": _READ_SECONDS, **options}
    options["default_headers"] = {**headers, **(options.get("default_headers") or {})}
    return Client(api_key=api_key, base_url=f"{base_url}/api/v1", **options)


@cache
def _openai_errors() -> Mapping[type[OpenRouterError], Any]:
    import openai

    class OpenAIKeyRejectedError(KeyRejectedError, openai.AuthenticationError):
        pass

    class OpenAIOutOfCreditError(OutOfCreditError, openai.APIStatusError):
        pass

    return {KeyRejectedError: OpenAIKeyRejectedError, OutOfCreditError: OpenAIOutOfCreditError}


def openrouter_client(
    base_url: str,
    api_key: str,
    headers: Mapping[str, str],
    on_rejected: Callable[[], None],
    options: Mapping[str, Any],
) -> OpenRouter:
    """Return an ``openrouter.OpenRouter`` for this key.

    ``options`` go to the constructor. Unlike the package's own defaults, a call waits 60 seconds,
    not five, and is not repeated for up to an hour when OpenRouter has trouble. A dead key raises
    :class:`KeyRejectedError`, spent credit :class:`OutOfCreditError`.

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

    def heed(response: httpx.Response) -> None:
        if response.status_code in (401, 402, 403):
            error = error_from(response.status_code, response.headers, response.read())
            about_key(error, api_key)
            if isinstance(error, KeyRejectedError):
                on_rejected()
            if isinstance(error, KeyRejectedError | OutOfCreditError):
                raise error

    http = httpx.Client(event_hooks={"response": [heed]})
    never = RetryConfig("none", BackoffStrategy(1, 1, 1, 1), retry_connection_errors=False)
    arguments: dict[str, Any] = {
        "api_key": api_key,
        "server_url": f"{base_url}/api/v1",
        "client": http,
        "retry_config": never,
        "timeout_ms": int(_READ_SECONDS * 1000),
        "http_referer": headers.get("HTTP-Referer"),
        "x_open_router_title": headers.get("X-OpenRouter-Title"),
        "x_open_router_categories": headers.get("X-OpenRouter-Categories"),
        **options,
    }
    sdk = OpenRouter(**arguments)
    weakref.finalize(sdk, http.close)
    return sdk
