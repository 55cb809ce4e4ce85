"""The clients of ``openai()`` and ``sdk()`` follow the session's rules for the transport."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from certificates import CertificateAuthority
from misbehaving import MisbehavingProvider, hang, redirect_to, tunnel_to
from polling import PATIENCE
from sdk_calls import (
    CALLERS,
    GOOD,
    KEY,
    MODEL,
    QUESTION,
    Ask,
    ask_openai,
    call_sdk,
    connected,
    sent,
)

every_caller = pytest.mark.parametrize("ask", CALLERS.values(), ids=CALLERS.keys())


@pytest.mark.requirement("R75")
@every_caller
def test_the_clients_follow_no_redirect(make_app: Any, ask: Ask) -> None:
    with MisbehavingProvider(GOOD) as other:
        redirects = [redirect_to(other.url, status) for status in (302, 307, 308)]
        with connected(make_app, *redirects) as (connection, provider):
            for number in (1, 2, 3):
                with pytest.raises(Exception):  # noqa: B017, PT011 - of either package
                    ask(connection)
                assert len(sent(provider)) == number
        assert other.connections == 0


@pytest.mark.requirement("R75")
def test_the_openai_client_follows_no_redirect_even_on_request(make_app: Any) -> None:
    with MisbehavingProvider(GOOD) as other:
        redirects = [redirect_to(other.url, status) for status in (301, 307)]
        with connected(make_app, *redirects) as (connection, provider):
            client = connection.openai(max_retries=0)
            for _ in redirects:
                with pytest.raises(openai.APIStatusError):
                    client.post("/models", cast_to=object, options={"follow_redirects": True})
            client.close()
            assert len(sent(provider)) == 2
        assert other.connections == 0


@pytest.mark.requirement("R76")
@every_caller
def test_nothing_in_the_environment_replaces_the_key_or_is_sent_with_it(
    make_app: Any, ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
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
    with connected(make_app, GOOD) as (connection, provider):
        ask(connection)
    (request,) = sent(provider)
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.header_names.count("authorization") == 1
    rest = repr({**request.headers, "authorization": ""})
    assert not [word for word in ("operator", "secret", "mine", "hunter2") if word in rest]


@pytest.mark.requirement("R76")
def test_the_headers_of_a_developer_are_sent_except_another_key(
    make_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-operator")
    given = {"X-Given": "1", "Authorization": "Bearer mine"}
    with connected(make_app, GOOD) as (connection, provider):
        client = connection.openai(organization="org-given", default_headers=given)
        ask_openai(client, extra_headers={"X-More": "2", "authorization": "x", "Cookie": "c=d"})
        copied = client.with_options(project="proj-given")
        ask_openai(copied)
        copied.close()
        call_sdk(connection, http_headers={"X-More": "2", "authorization": "x"})
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
def test_the_clients_use_the_proxy_and_the_authorities_of_the_environment(
    make_app: Any, ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
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

        with connected(
            make_app, GOOD, tls=tls, host="gateway.example", before=put_a_proxy_before
        ) as (
            connection,
            provider,
        ):
            ask(connection)
    assert sent(provider)[0].headers["authorization"] == f"Bearer {KEY}"
    for request in proxies[0].requests:
        assert (request.method, "authorization" in request.headers) == ("CONNECT", False)
    assert len(proxies[0].requests) == provider.handshakes == 2


@pytest.mark.requirement("R77")
def test_the_clients_keep_and_send_no_cookies(make_app: Any) -> None:
    async def twice(connection: Any) -> None:
        async with connection.sdk() as client:
            for _ in range(2):
                await client.chat.send_async(model=MODEL, messages=QUESTION)

    with connected(make_app, GOOD) as (connection, provider):
        with connection.openai() as client:
            ask_openai(client)
            ask_openai(client)
            ask_openai(client.with_options(timeout=PATIENCE))
        with connection.sdk() as sdk:
            for _ in range(2):
                sdk.chat.send(model=MODEL, messages=QUESTION)
        asyncio.run(twice(connection))
    assert len(sent(provider)) == 7
    assert all("cookie" not in request.headers for request in sent(provider))


@pytest.mark.requirement("R78")
def test_the_clients_have_the_timeouts_of_the_session(make_app: Any) -> None:
    with connected(make_app, GOOD, hang()) as (connection, _):
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
