"""I. Transport, for the packages' clients: the rules of the session apply to them as well."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import openai
import openrouter
import pytest
from certificates import CertificateAuthority
from flask import Flask
from misbehaving import (
    Act,
    MisbehavingProvider,
    ReceivedRequest,
    answer,
    hang,
    http_answer,
    issue_key,
    raw,
    redirect_to,
    reset,
    tunnel_to,
)
from visitor import Visitor

from flask_openrouter import current_openrouter, errors
from flask_openrouter.errors import ConfigurationError, KeyRejectedError, OutOfCreditError

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


def in_its_stream(connection: Any) -> Any:
    with connection.openai(max_retries=0) as client:
        return list(ask_openai(client, stream=True))


def raw_answer(connection: Any) -> Any:
    with connection.openai(max_retries=0) as client:
        return client.chat.completions.with_raw_response.create(model=MODEL, messages=QUESTION)


def by_a_copy(connection: Any) -> Any:
    """The original client is gone when its copy is used."""
    client = connection.openai(max_retries=0).with_options(timeout=5).copy(default_headers={})
    with client:
        return ask_openai(client)


def by_the_sdk(connection: Any, **options: Any) -> Any:
    with connection.sdk() as client:
        return client.chat.send(model=MODEL, messages=QUESTION, **options)


def by_the_sdk_async(connection: Any) -> Any:
    async def ask() -> Any:
        async with connection.sdk() as client:
            return await client.chat.send_async(model=MODEL, messages=QUESTION)

    return asyncio.run(ask())


CALLERS: dict[str, Ask] = {
    "openai": lambda connection: ask_openai(connection.openai(max_retries=0)),
    "openai, streamed": in_its_stream,
    "openai, raw": raw_answer,
    "openai, copied": by_a_copy,
    "sdk": by_the_sdk,
    "sdk, streamed": lambda connection: by_the_sdk(connection, stream=True),
    "sdk, async": by_the_sdk_async,
}
every_caller = pytest.mark.parametrize("ask", CALLERS.values(), ids=CALLERS.keys())


@pytest.fixture
def connected(make_app: Any) -> Iterator[Callable[..., Any]]:
    """Log in at a provider, which then follows its ``script``; return the connection."""

    @contextmanager
    def connect(
        *script: Act, before: Callable[[MisbehavingProvider], None] | None = None, **options: Any
    ) -> Iterator[tuple[Any, MisbehavingProvider]]:
        with MisbehavingProvider([issue_key(KEY), *script], **options) as provider:
            if before is not None:
                before(provider)
            app: Flask = make_app(
                OPENROUTER_BASE_URL=provider.url, OPENROUTER_STORAGE_URI="memory://"
            )
            app.extensions["openrouter"].app_functions.owner_loader = lambda: "ada"
            visitor = Visitor(app)
            code = visitor.callback_url(visitor.start(), code="auth_code_xyz789")
            assert visitor.get(code).status_code == 303
            with app.test_request_context():
                yield current_openrouter.detach(), provider

    return connect


def sent(provider: MisbehavingProvider) -> list[ReceivedRequest]:
    """Return the requests that the provider received after the login."""
    return provider.requests[1:]


@pytest.mark.requirement("R75")
@every_caller
@pytest.mark.parametrize("status", [302, 307, 308])
def test_helpers_follow_no_redirect(connected: Any, ask: Ask, status: int) -> None:
    with MisbehavingProvider(GOOD) as other:
        with connected(redirect_to(other.url, status)) as (connection, provider):
            with pytest.raises(Exception):  # noqa: B017, PT011 - of either package
                ask(connection)
            assert len(sent(provider)) == 1
        assert other.connections == 0


@pytest.mark.requirement("R75")
@pytest.mark.parametrize("status", [301, 307])
def test_not_even_on_request(connected: Any, status: int) -> None:
    with MisbehavingProvider(GOOD) as other:
        with connected(redirect_to(other.url, status)) as (connection, _):
            client = connection.openai(max_retries=0)
            with pytest.raises(openai.APIStatusError):
                client.post("/models", cast_to=object, options={"follow_redirects": True})
            client.close()
        assert other.connections == 0


@pytest.mark.requirement("R76")
@every_caller
def test_nothing_of_the_environment_replaces_or_joins_the_key(
    connected: Any, ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password hunter2\n")
    of_the_operator = {
        "NETRC": str(netrc),
        "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer mine\nX-Operator: secret",
        "OPENAI_ORG_ID": "org-operator",
        "OPENAI_PROJECT_ID": "proj-operator",
        "OPENAI_API_KEY": "sk-operator",
        "OPENAI_ADMIN_KEY": "sk-admin-operator",
        "OPENAI_BASE_URL": "http://127.0.0.1:1/",
        "OPENROUTER_API_KEY": "sk-or-v1-operator",
        "HTTP_PROXY": "http://127.0.0.1:1/",
        "ALL_PROXY": "http://127.0.0.1:1/",
    }
    for name, value in of_the_operator.items():
        monkeypatch.setenv(name, value)
    with connected(GOOD) as (connection, provider):
        ask(connection)
    (request,) = sent(provider)
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.header_names.count("authorization") == 1
    rest = repr({**request.headers, "authorization": ""})
    assert not [word for word in ("operator", "secret", "mine", "hunter2") if word in rest]


@pytest.mark.requirement("R76")
def test_what_a_developer_gives_is_sent_but_no_other_key(
    connected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-operator")
    given = {"X-Given": "1", "Authorization": "Bearer mine"}
    with connected(GOOD) as (connection, provider):
        client = connection.openai(organization="org-given", default_headers=given)
        ask_openai(client, extra_headers={"X-More": "2", "authorization": "x", "Cookie": "c=d"})
        copied = client.with_options(project="proj-given")
        ask_openai(copied)
        copied.close()
        by_the_sdk(connection, http_headers={"X-More": "2", "authorization": "x"})
    first, second, third = sent(provider)
    assert (first.headers["x-given"], first.headers["x-more"]) == ("1", "2")
    assert second.headers["openai-project"] == "proj-given"
    assert "openai-project" not in first.headers
    for request in (first, second):
        assert request.headers["openai-organization"] == "org-given"
        assert "cookie" not in request.headers
    assert third.headers["x-more"] == "2"
    for request in (first, second, third):
        assert request.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.requirement("R76")
@every_caller
def test_helpers_use_the_proxy_and_the_authorities_of_the_environment(
    connected: Any, ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = CertificateAuthority(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    tls = authority.server_context("gateway.example")
    with ExitStack() as stack:
        proxies: list[MisbehavingProvider] = []

        def put_a_proxy_before(provider: MisbehavingProvider) -> None:
            proxy = MisbehavingProvider(tunnel_to(provider.port))
            proxies.append(stack.enter_context(proxy))
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)

        with connected(GOOD, tls=tls, host="gateway.example", before=put_a_proxy_before) as (
            connection,
            provider,
        ):
            ask(connection)
    assert sent(provider)[0].headers["authorization"] == f"Bearer {KEY}"
    for request in proxies[0].requests:
        assert (request.method, "authorization" in request.headers) == ("CONNECT", False)
    assert len(proxies[0].requests) == provider.handshakes == 2


@pytest.mark.requirement("R77")
def test_helpers_keep_and_send_no_cookies(connected: Any) -> None:
    async def twice(connection: Any) -> None:
        async with connection.sdk() as client:
            for _ in range(2):
                await client.chat.send_async(model=MODEL, messages=QUESTION)

    with connected(GOOD) as (connection, provider):
        with connection.openai() as client:
            ask_openai(client)
            ask_openai(client)
            ask_openai(client.with_options(timeout=5))
        with connection.sdk() as sdk:
            for _ in range(2):
                sdk.chat.send(model=MODEL, messages=QUESTION)
        asyncio.run(twice(connection))
    assert len(sent(provider)) == 7
    assert all("cookie" not in request.headers for request in sent(provider))


@pytest.mark.requirement("R78")
def test_helpers_wait_as_long_as_the_session(connected: Any) -> None:
    with connected(GOOD, hang()) as (connection, _):
        with connection.openai() as client, connection.sdk() as sdk:
            configured = sdk.sdk_configuration
            ask_openai(client)
            for own in (client, configured.client, configured.async_client):
                waits = own.timeout.as_dict()
                assert waits == {"connect": 5, "read": 60, "write": 60, "pool": 60}
        with (
            connection.openai(timeout=0.2, max_retries=0) as client,
            pytest.raises(openai.APITimeoutError),
        ):
            ask_openai(client)
        with connection.sdk(timeout_ms=200) as sdk, pytest.raises(httpx.TimeoutException):
            sdk.chat.send(model=MODEL, messages=QUESTION)


def everything_of(error: BaseException) -> str:
    """Return what an error reporter shows of ``error`` (not this file's frames), and headers."""
    texts, waiting, seen = [], [error], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        shown = traceback.TracebackException.from_exception(one, capture_locals=True)
        texts += [repr(f.locals) for f in shown.stack if f.filename != __file__]
        texts += [str(one), repr(one.args), repr(vars(one)), *headers_of(one)]
        waiting += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
    return "\n".join(texts)


def headers_of(error: BaseException) -> Iterator[str]:
    """Headers hide the key in their repr only."""
    things = [value for value in vars(error).values() if not isinstance(value, BaseException)]
    things += [getattr(thing, "_request", None) for thing in things]
    for thing in things:
        yield repr(dict(getattr(thing, "headers", None) or {}))


def echo(status: int) -> Act:
    """Return an act whose error message repeats the key."""

    def act(connection: Any) -> None:
        message = f"{connection.request.headers.get('authorization')}"
        connection.send(http_answer(status, {"error": {"code": status, "message": message}}))

    return act


RELAYED = {"code": 401, "message": "Refused", "metadata": {"provider_name": "Anthropic"}}
TROUBLE = {
    "401": answer(401, {"error": {"code": 401, "message": "User not found."}}),
    "402": answer(402, {"error": {"code": 402, "message": "Insufficient credits"}}),
    "provider 401": answer(401, {"error": RELAYED}),
    "provider 402": answer(402, {"error": {**RELAYED, "code": 402}}),
    "limit": answer(403, {"error": {"code": 403, "message": "Key limit exceeded"}}),
    "500": answer(500, {"error": {"code": 500, "message": "Trouble"}}),
    "418": answer(418, {"error": {"code": 418, "message": "No"}}),
    "reset": reset(),
    "cut": raw(http_answer(200, {"a": "b"})[:-3]),
    "not HTTP": raw(b"Hello.\r\n\r\n"),
}


@pytest.mark.requirement("R62", "R64", "R65")
@every_caller
@pytest.mark.parametrize("act", TROUBLE.values(), ids=TROUBLE.keys())
def test_no_trouble_of_a_helper_shows_the_key(
    connected: Any, ask: Ask, act: Act, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with connected(act) as (connection, _), pytest.raises(Exception) as caught:  # noqa: PT011
        ask(connection)
    assert KEY not in everything_of(caught.value)
    assert KEY not in caplog.text


@pytest.mark.requirement("R64")
@every_caller
@pytest.mark.parametrize(("status", "kind"), [(401, KeyRejectedError), (402, OutOfCreditError)])
def test_an_answer_that_repeats_the_key_does_not_put_it_into_our_error(
    connected: Any, ask: Ask, status: int, kind: type[Exception]
) -> None:
    with connected(echo(status)) as (connection, _), pytest.raises(kind) as caught:
        ask(connection)
    assert KEY not in str(caught.value)
    assert KEY not in getattr(caught.value, "upstream_message", "")


@pytest.mark.requirement("R99")
@every_caller
def test_a_dead_key_is_forgotten_by_every_way(connected: Any, ask: Ask) -> None:
    with connected(TROUBLE["402"], TROUBLE["401"]) as (connection, _):
        with pytest.raises(OutOfCreditError):
            ask(connection)
        assert connection
        with pytest.raises(KeyRejectedError):
            ask(connection)
        assert not connection


@every_caller
def test_a_providers_refusal_is_the_packages_own_error(connected: Any, ask: Ask) -> None:
    own_errors = (openai.APIStatusError, openrouter.errors.OpenRouterError)
    with connected(TROUBLE["provider 402"], TROUBLE["provider 401"]) as (connection, _):
        for _ in range(2):
            with pytest.raises(own_errors, match="Refused") as caught:
                ask(connection)
            assert not isinstance(caught.value, errors.OpenRouterError)
        assert connection


@pytest.mark.requirement("R64")
def test_an_http_client_of_the_app_leaves_no_key_in_our_errors(connected: Any) -> None:
    http_client = openai.DefaultHttpxClient(headers={"X-Given": "1"})
    with (
        connected(GOOD, TROUBLE["401"]) as (connection, provider),
        connection.openai(http_client=http_client) as client,
    ):
        ask_openai(client)
        with pytest.raises(KeyRejectedError) as caught:
            ask_openai(client)
    assert sent(provider)[0].headers["x-given"] == "1"
    assert sent(provider)[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in everything_of(caught.value)


@pytest.mark.requirement("R64")
def test_answers_of_a_helper_show_no_key(connected: Any) -> None:
    with connected(GOOD) as (connection, _):
        answered = raw_answer(connection)
        sdk = connection.sdk()
        assert KEY not in repr(sdk.sdk_configuration)
        assert KEY not in repr(vars(sdk))
    assert "authorization" not in answered.http_response.request.headers


@pytest.mark.requirement("R65")
@pytest.mark.parametrize("name", ["openai", "sdk"])
def test_a_helper_that_cannot_be_made_shows_no_key(
    connected: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with connected(GOOD) as (connection, _):
        with pytest.raises(TypeError, match="misspelt") as caught:
            getattr(connection, name)(misspelt=1)
        assert KEY not in everything_of(caught.value)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
        with pytest.raises(ConfigurationError, match="REQUESTS_CA_BUNDLE") as caught_too:
            getattr(connection, name)()
        assert KEY not in everything_of(caught_too.value)
