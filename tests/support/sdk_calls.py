"""Calls by the clients of ``openai()`` and ``sdk()``, of a connection to a misbehaving provider."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import pytest
from flask import Flask
from misbehaving import Act, MisbehavingProvider, ReceivedRequest, answer, issue_key
from polling import PATIENCE
from visitor import Visitor

from flask_openrouter import current_openrouter
from flask_openrouter.client.sdks import openai_client, openrouter_client

KEY = "sk-or-v1-" + "0123456789abcdef" * 4
MODEL = "openai/gpt-4o-mini"
QUESTION: Any = [{"role": "user", "content": "Hello?"}]
GOOD = answer(
    200,
    {
        "id": "gen-1",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "system_fingerprint": None,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Hi."},
            }
        ],
    },
    {"Set-Cookie": "a=b; Path=/"},
)
Ask: TypeAlias = Callable[[Any], Any]


def ask_openai(client: Any, **options: Any) -> Any:
    return client.chat.completions.create(model=MODEL, messages=QUESTION, **options)


def call_openai(connection: Any) -> Any:
    with connection.openai(max_retries=0) as client:
        return ask_openai(client)


def stream_openai(connection: Any) -> Any:
    with connection.openai(max_retries=0) as client:
        return list(ask_openai(client, stream=True))


def raw_response(connection: Any) -> Any:
    with connection.openai(max_retries=0) as client:
        return client.chat.completions.with_raw_response.create(model=MODEL, messages=QUESTION)


def copied_openai(connection: Any) -> Any:
    """The original client is gone when its copy is used."""
    client = (
        connection.openai(max_retries=0).with_options(timeout=PATIENCE).copy(default_headers={})
    )
    with client:
        return ask_openai(client)


def call_sdk(connection: Any, **options: Any) -> Any:
    with connection.sdk() as client:
        return client.chat.send(model=MODEL, messages=QUESTION, **options)


def call_sdk_async(connection: Any) -> Any:
    async def ask() -> Any:
        async with connection.sdk() as client:
            return await client.chat.send_async(model=MODEL, messages=QUESTION)

    return asyncio.run(ask())


CALLERS: dict[str, Ask] = {
    "openai": call_openai,
    "openai, streamed": stream_openai,
    "openai, raw": raw_response,
    "openai, copied": copied_openai,
    "sdk": call_sdk,
    "sdk, streamed": lambda connection: call_sdk(connection, stream=True),
    "sdk, async": call_sdk_async,
}


@contextmanager
def connected(
    make_app: Any,
    *script: Act,
    before: Callable[[MisbehavingProvider], None] | None = None,
    **options: Any,
) -> Iterator[tuple[Any, MisbehavingProvider]]:
    """Log in at a provider, which then follows its ``script``; yield the connection and it."""
    with MisbehavingProvider([issue_key(KEY), *script], **options) as provider:
        if before is not None:
            before(provider)
        app: Flask = make_app(OPENROUTER_BASE_URL=provider.url, OPENROUTER_STORAGE_URI="memory://")
        app.extensions["openrouter"].app_functions.owner_loader = lambda: "ada"
        visitor = Visitor(app)
        code = visitor.callback_url(visitor.start(), code="auth_code_xyz789")
        assert visitor.get(code).status_code == 303
        with app.test_request_context():
            yield current_openrouter.detach(), provider


def sent(provider: MisbehavingProvider) -> list[ReceivedRequest]:
    """Return the requests that the provider received after the login."""
    return provider.requests[1:]


#: Callers that take the way of another of them, with a small detour.
_ALIKE = ("openai, raw", "openai, copied", "sdk, streamed")
every_caller = pytest.mark.parametrize(
    "ask",
    [
        pytest.param(ask, id=name, marks=[pytest.mark.every_variant] if name in _ALIKE else [])
        for name, ask in CALLERS.items()
    ],
)


def _streamed_by_openai(clients: Any) -> Iterator[Any]:
    with clients.openai(max_retries=0) as client:
        yield from ask_openai(client, stream=True)


def _streamed_by_sdk(clients: Any) -> Iterator[Any]:
    with clients.sdk() as client:
        yield from client.chat.send(model=MODEL, messages=QUESTION, stream=True)


#: Their clients are closed, so that the garbage collector has nothing to close in a later test.
STREAMERS = {"openai": _streamed_by_openai, "sdk": _streamed_by_sdk}
every_streamer = pytest.mark.parametrize("ask", STREAMERS.values(), ids=STREAMERS.keys())


class Clients:
    """A connection's two methods, for a provider and with a handler of 401s."""

    def __init__(self, provider: MisbehavingProvider, on_unauthorized: Any = None) -> None:
        self._known = (provider.url, KEY, {}, on_unauthorized)

    def openai(self, **options: Any) -> Any:
        return openai_client(*self._known, options)

    def sdk(self, **options: Any) -> Any:
        return openrouter_client(*self._known, options)


def chunk(text: str, **more: Any) -> str:
    delta = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    body = {"id": "gen-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    return json.dumps({**body, "choices": [delta], **more})


def replied(content: str, **members: Any) -> dict[str, Any]:
    """Return a whole answer; ``members`` are those of its choice."""
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "finish_reason": "stop", "message": message, **members}
    body = {"id": "gen-1", "object": "chat.completion", "created": 1, "model": MODEL}
    return {**body, "system_fingerprint": None, "choices": [choice]}


def stream(*events: str, end: str = "\n\n") -> Any:
    body = "".join(event + end for event in events).encode()
    return answer(200, body, {"Content-Type": "text/event-stream; charset=utf-8"})
