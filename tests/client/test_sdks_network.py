"""The network, and what is no error, as the clients of ``openai()`` and ``sdk()`` meet them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import httpx2
import openai
import pytest
from cases import case
from misbehaving import MisbehavingProvider, answer, hang, http_answer, reset
from sdk_calls import CALLERS, GOOD, KEY, MODEL, QUESTION, Ask, ask_openai

from flask_openrouter.client.hybrids import _restore_both
from flask_openrouter.client.sdks import openai_client, openrouter_client
from flask_openrouter.errors import (
    InvalidAnswerError,
    RateLimitError,
    TransportError,
    TransportTimeoutError,
)

every_caller = pytest.mark.parametrize("ask", CALLERS.values(), ids=CALLERS.keys())


class Clients:
    """What a connection to this provider offers."""

    def __init__(self, provider: MisbehavingProvider) -> None:
        self._known = (provider.url, KEY, {}, None)

    def openai(self, **options: Any) -> Any:
        return openai_client(*self._known, {"max_retries": 0, **options})

    def sdk(self, **options: Any) -> Any:
        return openrouter_client(*self._known, options)


@every_caller
def test_a_failure_of_the_network_is_the_sessions_error_too(ask: Ask) -> None:
    theirs = (openai.APIConnectionError, httpx.TransportError)
    for name, act, was_sent in [
        ("reset", reset(), True),
        ("cut", reset(after=http_answer(200, b"x" * 9)[:-3]), True),
    ]:
        with case(name), MisbehavingProvider(act) as provider:
            with pytest.raises(theirs) as caught:
                ask(Clients(provider))
            assert isinstance(caught.value, TransportError)
            assert not isinstance(caught.value, TransportTimeoutError)
            assert caught.value.was_sent is was_sent
            assert KEY not in repr(vars(caught.value))
    with pytest.raises(theirs) as caught:
        ask(Clients(provider))  # It is gone.
    assert isinstance(caught.value, TransportError)
    assert not caught.value.was_sent


def test_a_timeout_is_the_sessions_error_too() -> None:
    with MisbehavingProvider(hang()) as provider:
        clients = Clients(provider)
        with (
            clients.openai(timeout=0.2) as client,
            pytest.raises(openai.APITimeoutError) as caught,
        ):
            ask_openai(client)
        assert isinstance(caught.value, TransportTimeoutError)
        with (
            clients.sdk(timeout_ms=200) as sdk,
            pytest.raises(httpx.TimeoutException) as caught_too,
        ):
            sdk.chat.send(model=MODEL, messages=QUESTION)
        assert isinstance(caught_too.value, TransportTimeoutError)
        assert caught_too.value.was_sent


@every_caller
def test_a_body_that_cannot_be_decoded_is_invalid(ask: Ask) -> None:
    act = answer(200, b"no gzip", {"Content-Encoding": "gzip"})
    with MisbehavingProvider(act) as provider, pytest.raises(InvalidAnswerError) as caught:
        ask(Clients(provider))
    assert isinstance(caught.value, (openai.APIConnectionError, httpx.DecodingError))


def test_a_stream_that_breaks_is_the_sessions_error_too() -> None:
    async def ask(client: Any) -> None:
        async with client:
            found = await client.chat.send_async(model=MODEL, messages=QUESTION, stream=True)
            async for _ in found:
                pass

    headers = {"Content-Type": "text/event-stream", "Content-Length": "999"}
    act = reset(after=http_answer(200, b": a comment\n\n", headers))
    with MisbehavingProvider(act) as provider:
        clients = Clients(provider)
        with pytest.raises(httpx.TransportError) as caught:
            asyncio.run(ask(clients.sdk()))
        assert isinstance(caught.value, TransportError)
        with clients.sdk() as sdk, pytest.raises(httpx.TransportError) as caught:
            list(sdk.chat.send(model=MODEL, messages=QUESTION, stream=True))
        assert isinstance(caught.value, TransportError)


def test_an_exception_of_the_apps_own_hook_is_not_changed() -> None:
    class MyError(Exception):
        pass

    def hook(*_: Any) -> None:
        raise MyError

    with (
        MisbehavingProvider(GOOD) as provider,
        httpx2.Client(event_hooks={"response": [hook]}) as http,
        Clients(provider).openai(http_client=http) as client,
        pytest.raises(MyError),
    ):
        ask_openai(client)


def test_other_responses_arrive_as_they_are() -> None:
    async def download(client: Any, url: str) -> bytes:
        async with client, client.stream("GET", url) as reply:
            return b"".join([block async for block in reply.aiter_bytes()])

    value = {"data": "x" * 70_000, "error": {"code": 429}}
    for content_type, body in [
        ("application/octet-stream", b'{"error":{"code":429}}'),
        ("application/json", json.dumps(value).encode()),
        ("application/json", b'{"a":"error"}'),
        ("application/json", b'["error"]'),
        ("text/event-stream", b"data: no JSON with an error\n\ndata: [1]\n\n: error"),
    ]:
        act = answer(200, body, {"Content-Type": content_type})
        with case(content_type, body), MisbehavingProvider(act) as provider:
            url = f"{provider.url}/api/v1/files/1"
            with Clients(provider).openai() as client:
                assert client._client.get(url).status_code == 200
                with client._client.stream("GET", url) as reply:
                    assert b"".join(reply.iter_bytes()) == body
            with Clients(provider).sdk() as sdk:
                client = sdk.sdk_configuration.async_client
                assert asyncio.run(download(client, url)) == body


def test_a_package_that_is_gone_leaves_the_error_of_this_one() -> None:
    own = RateLimitError(429, "Slow down")
    for place in (("no_such_package", "Error"), ("openai", "NoSuchError")):
        restored = _restore_both(RateLimitError, place, own.args, vars(own))
        assert type(restored) is RateLimitError
        assert vars(restored) == vars(own)
