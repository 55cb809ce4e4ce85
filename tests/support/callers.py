"""Our client and OpenRouter's SDKs with one interface, so that a test can compare them.

``caller.call(operation, base_url, api_key, **parameters)``: parameters have the names of the HTTP
API, in every caller. Nothing is raised; see :class:`Outcome`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Protocol

import openrouter
from openrouter.utils import BackoffStrategy, RetryConfig

from flask_openrouter import OpenRouterClient

ATTRIBUTION = {
    "HTTP-Referer": "https://app.example",
    "X-OpenRouter-Title": "An App",
    "X-OpenRouter-Categories": "cli-agent,game",
}
#: The methods of the ``openrouter`` package, by operation.
PYTHON_METHODS = {
    "exchange": "o_auth.exchange_auth_code_for_api_key",
    "create_code": "o_auth.create_auth_code",
    "key": "api_keys.get_current_key_metadata",
    "credits": "credits.get_credits",
    "chat": "chat.send",
}


@dataclass(frozen=True)
class Outcome:
    """The result of a call, or the name of the error that it raised, with status and message."""

    value: Any = None
    error: str | None = None
    status: int | None = None
    message: str | None = None


class Caller(Protocol):
    """A client of OpenRouter."""

    name: str

    def call(
        self, operation: str, base_url: str, api_key: str | None = None, /, **parameters: Any
    ) -> Outcome:
        """Make one call."""
        ...


class OurClient:
    """:class:`OpenRouterClient`."""

    name = "ours"

    def call(
        self, operation: str, base_url: str, api_key: str | None = None, /, **parameters: Any
    ) -> Outcome:
        client = OpenRouterClient(
            base_url,
            retries=0,
            app_url=ATTRIBUTION["HTTP-Referer"],
            app_title=ATTRIBUTION["X-OpenRouter-Title"],
            app_categories=ATTRIBUTION["X-OpenRouter-Categories"].split(","),
        )
        key = () if api_key is None else (api_key,)
        if operation in ("chat", "stream"):
            return _outcome(lambda: _our_chat(client, api_key or "", parameters))
        methods: dict[str, Callable[..., Any]] = {
            "authorization_url": client.authorization_url,
            "exchange": client.exchange_code,
            "create_code": client.create_auth_code,
            "key": client.get_key_info,
        }
        method = methods[operation]
        known = inspect.signature(method).parameters
        given = {name: value for name, value in parameters.items() if name in known}
        return _outcome(lambda: method(*key, **_with_datetime(given)))


def _our_chat(client: OpenRouterClient, api_key: str, body: Mapping[str, Any]) -> Any:
    response = client.api_session(api_key).post("chat/completions", json=body)
    return response.json() if response.ok else response


class PythonSDK:
    """The ``openrouter`` package."""

    name = "Python SDK"

    def call(
        self, operation: str, base_url: str, api_key: str | None = None, /, **parameters: Any
    ) -> Outcome:
        with python_sdk(base_url, api_key) as sdk:
            if operation not in PYTHON_METHODS:
                return Outcome(error="no such method")
            method = attrgetter(PYTHON_METHODS[operation])(sdk)
            known = inspect.signature(method).parameters
            given = {name: value for name, value in parameters.items() if name in known}
            return _outcome(lambda: method(**_with_datetime(given)))


@contextmanager
def python_sdk(base_url: str, api_key: str | None) -> Iterator[openrouter.OpenRouter]:
    """Open the package's client, without retries: they would send a code twice."""
    never = RetryConfig("none", BackoffStrategy(1, 1, 1, 1), False)
    with openrouter.OpenRouter(
        api_key=api_key,
        server_url=f"{base_url}/api/v1",
        retry_config=never,
        timeout_ms=10_000,
        http_referer=ATTRIBUTION["HTTP-Referer"],
        x_open_router_title=ATTRIBUTION["X-OpenRouter-Title"],
        x_open_router_categories=ATTRIBUTION["X-OpenRouter-Categories"],
    ) as sdk:
        yield sdk


def _outcome(call: Callable[[], Any]) -> Outcome:
    try:
        value = call()
    except Exception as error:
        status = getattr(error, "status", None) or getattr(error, "status_code", None)
        return Outcome(error=type(error).__name__, status=status, message=str(error))
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    return Outcome(value=value)


def _with_datetime(parameters: Mapping[str, Any]) -> dict[str, Any]:
    moment = parameters.get("expires_at")
    if moment is None:
        return dict(parameters)
    return {**parameters, "expires_at": datetime.fromisoformat(moment.replace("Z", "+00:00"))}
