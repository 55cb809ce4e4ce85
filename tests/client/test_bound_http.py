"""The key is bound to OpenRouter's API: no client of a connection sends it anywhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import httpx2
import openai
import pytest
from cases import case
from misbehaving import MisbehavingProvider, redirect_to
from sdk_calls import GOOD, KEY, MODEL, QUESTION, ask_openai

from flask_openrouter.client import OpenRouterClient
from flask_openrouter.client.bound_http import PLACEHOLDER
from flask_openrouter.client.sdks import openai_client, openrouter_client
from flask_openrouter.errors import ConfigurationError

Call = Callable[[Any, str], Any]
OTHER_KEY = "another-key"


class Clients:
    """What a connection to this provider offers. All clients are closed at the end."""

    def __init__(self, provider: MisbehavingProvider, stack: ExitStack) -> None:
        self.url = provider.url
        self._stack = stack
        self._known = (provider.url, KEY, {"X-App": "1"}, None)

    def openai(self, **options: Any) -> Any:
        client = openai_client(*self._known, {"max_retries": 0, **options})
        return self._stack.enter_context(client)

    def sdk(self, **options: Any) -> Any:
        sdk = openrouter_client(*self._known, options)
        self._stack.callback(lambda: asyncio.run(sdk.sdk_configuration.async_client.aclose()))
        self._stack.callback(sdk.sdk_configuration.client.close)
        return sdk

    def session(self) -> Any:
        return OpenRouterClient(self.url).api_session(KEY)

    def http(self, kind: Any, **options: Any) -> Any:
        """Return an HTTP client of the app."""
        client = kind(**options)
        if hasattr(client, "close"):
            self._stack.callback(client.close)
        return client


@contextmanager
def clients_of(provider: MisbehavingProvider) -> Iterator[Clients]:
    with ExitStack() as stack:
        yield Clients(provider, stack)


def get_openai(client: Any, url: str) -> Any:
    return client.get(url, cast_to=object)


def send(client: Any, **options: Any) -> Any:
    return client.chat.send(model=MODEL, messages=QUESTION, **options)


def send_async(sdk: Any, **options: Any) -> Any:
    async def call() -> Any:
        try:
            return await sdk.chat.send_async(model=MODEL, messages=QUESTION, **options)
        finally:
            await sdk.sdk_configuration.async_client.aclose()

    return asyncio.run(call())


def assign(client: Any, url: str) -> Any:
    client.base_url = url
    return ask_openai(client)


def get_async(client: Any, url: str) -> Any:
    async def call() -> Any:
        async with client:
            return await client.get(url)

    return asyncio.run(call())


#: Every way to give a client of a connection another address. ``url`` is one.
WAYS: dict[str, Call] = {
    "session": lambda clients, url: clients.session().get(url),
    "openai, get": lambda clients, url: get_openai(clients.openai(), url),
    "openai, post": lambda clients, url: clients.openai().post(url, cast_to=object, body={}),
    "openai, base_url": lambda clients, url: ask_openai(clients.openai(base_url=url)),
    "openai, with_options": lambda clients, url: ask_openai(
        clients.openai().with_options(base_url=url)
    ),
    "openai, copy": lambda clients, url: ask_openai(clients.openai().copy(base_url=url)),
    "openai, copy of a copy": lambda clients, url: ask_openai(
        clients.openai().copy().with_options(timeout=3, base_url=httpx2.URL(url))
    ),
    "openai, attribute": lambda clients, url: assign(clients.openai(), url),
    "openai, its http client": lambda clients, url: clients.openai()._client.get(url),
    "openai, http client of the app": lambda clients, url: get_openai(
        clients.openai(http_client=clients.http(httpx2.Client)), url
    ),
    "openai, http client of a copy": lambda clients, url: get_openai(
        clients.openai().copy(http_client=clients.http(openai.DefaultHttpxClient)), url
    ),
    "sdk, constructor": lambda clients, url: send(clients.sdk(server_url=url)),
    "sdk, call": lambda clients, url: send(clients.sdk(), server_url=url),
    "sdk, async call": lambda clients, url: send_async(clients.sdk(), server_url=url),
    "sdk, http client of the app": lambda clients, url: send(
        clients.sdk(client=clients.http(httpx.Client)), server_url=url
    ),
    "sdk, async http client of the app": lambda clients, url: send_async(
        clients.sdk(async_client=httpx.AsyncClient()), server_url=url
    ),
    "sdk, its http client": lambda clients, url: clients.sdk().sdk_configuration.client.get(url),
    "sdk, its async http client": lambda clients, url: get_async(
        clients.sdk().sdk_configuration.async_client, url
    ),
}


@pytest.mark.requirement("A5")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_no_client_sends_a_request_to_another_address(way: Call) -> None:
    with MisbehavingProvider(GOOD) as provider, MisbehavingProvider(GOOD) as other:
        host = provider.url.partition("://")[2]
        for url in (
            f"{other.url}/api/v1/models",
            f"{provider.url}/elsewhere",
            f"{provider.url}/api/v1/../elsewhere",
            f"{provider.url}/api/v1/%2e%2E/elsewhere",
            f"{provider.url}/api/v1evil/models",
            f"https://{host}/api/v1/models",
            f"http://user:password@{host}/api/v1/models",
            f"{provider.url}@{other.url.partition('://')[2]}/api/v1/models",
        ):
            with (
                case(url),
                clients_of(provider) as clients,
                pytest.raises(ValueError, match="below") as caught,
            ):
                way(clients, url)
            assert KEY not in str(caught.value)
        assert provider.requests == []
        assert other.connections == 0


@pytest.mark.requirement("A5")
def test_addresses_below_the_root_are_allowed() -> None:
    with MisbehavingProvider(GOOD) as provider, clients_of(provider) as clients:
        root = f"{provider.url}/api/v1"
        for call in (
            lambda: get_openai(clients.openai(), "/models"),
            lambda: get_openai(clients.openai(), f"{root}/models"),
            lambda: get_openai(clients.openai(base_url=root).copy(base_url=f"{root}/"), "/models"),
            lambda: send(clients.sdk(server_url=root), server_url=f"{root}/"),
            lambda: send_async(clients.sdk(), server_url=root),
        ):
            call()
        assert len(provider.requests) == 5
        assert {r.headers["authorization"] for r in provider.requests} == {f"Bearer {KEY}"}


class Watching(httpx2.Client):
    """A client of an app that does things of its own."""

    sent = 0

    def send(self, request: Any, **options: Any) -> Any:
        self.sent += 1
        return super().send(request, **options)


#: The options of a client of the app.
GIVEN: dict[str, Any] = {
    "headers": {"X-Given": "1", "Authorization": "Bearer mine"},
    "cookies": {"a": "b"},
    "auth": ("user", "password"),
    "follow_redirects": True,
}


@pytest.mark.requirement("A5", "R75", "R77")
def test_a_client_of_the_app_sends_the_key_and_follows_no_redirect() -> None:
    with MisbehavingProvider(GOOD) as other:
        for make in (
            lambda own: ask_openai(own.openai(http_client=own.http(httpx2.Client, **GIVEN))),
            lambda own: send(own.sdk(client=own.http(httpx.Client, **GIVEN))),
            lambda own: send_async(own.sdk(async_client=own.http(httpx.AsyncClient, **GIVEN))),
        ):
            with MisbehavingProvider(GOOD) as provider, clients_of(provider) as clients:
                make(clients)
            headers = provider.requests[0].headers
            assert headers["authorization"] == f"Bearer {KEY}"
            assert headers["x-given"] == "1"
            assert "cookie" not in headers
            for status in (302, 307):
                # To the same origin, too: outside of the API's root the key is not at home.
                for target in (other.url, "/elsewhere"):
                    act = redirect_to(target, status)
                    with MisbehavingProvider(act) as provider, clients_of(provider) as clients:
                        with pytest.raises(Exception):  # noqa: B017, PT011 - of either package
                            make(clients)
                        assert len(provider.requests) == 1
        assert other.connections == 0


@pytest.mark.requirement("A5")
def test_the_apps_own_client_stays_as_it_was() -> None:
    with (
        MisbehavingProvider(GOOD) as provider,
        clients_of(provider) as clients,
        Watching(headers={"X-Given": "1"}) as http,
    ):
        ask_openai(clients.openai(http_client=http))
        http.get(provider.url)
        with openai_client(provider.url, OTHER_KEY, {}, None, {"http_client": http}) as other:
            ask_openai(other)
        assert type(http) is Watching
    keys = [request.headers.get("authorization") for request in provider.requests]
    assert keys == [f"Bearer {KEY}", None, f"Bearer {OTHER_KEY}"]


@pytest.mark.requirement("A5")
def test_a_client_of_another_connection_sends_this_connections_key() -> None:
    with (
        MisbehavingProvider(GOOD) as provider,
        clients_of(provider) as clients,
        openai_client(provider.url, OTHER_KEY, {}, None, {}) as other,
    ):
        ask_openai(clients.openai().copy(http_client=other._client))
        ask_openai(other)
    keys = [request.headers["authorization"] for request in provider.requests]
    assert keys == [f"Bearer {KEY}", f"Bearer {OTHER_KEY}"]


@pytest.mark.requirement("A5", "R64")
def test_no_client_has_the_key_itself() -> None:
    """What does not have it cannot send it, over a websocket for example."""
    act = redirect_to("/elsewhere")
    with MisbehavingProvider(act) as provider, clients_of(provider) as clients:
        client, sdk = clients.openai(), clients.sdk()
        assert client.api_key == PLACEHOLDER
        assert client.auth_headers == {"Authorization": f"Bearer {PLACEHOLDER}"}
        assert sdk.sdk_configuration.security.api_key == PLACEHOLDER
        reply = client._client.get(f"{provider.url}/api/v1/models")
        assert "authorization" not in reply.request.headers
        assert reply.next_request is not None
        assert "authorization" not in reply.next_request.headers


def test_what_is_no_http_client_is_the_packages_affair() -> None:
    with MisbehavingProvider(GOOD) as provider, clients_of(provider) as clients:
        with pytest.raises(TypeError, match="http_client"):
            clients.openai(http_client="x")
        with pytest.raises(TypeError, match="http_client"):
            clients.openai(http_client=httpx2.AsyncClient())
        with pytest.raises(ConfigurationError, match="below"):
            clients.openai(base_url=None)
