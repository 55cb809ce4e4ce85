"""The clients of ``openai()`` and ``sdk()`` find the address of OpenRouter that works."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpcore
import httpx
import httpx2
import openai
import pytest
from addresses import refusing_address, resolver_of, silent_address
from certificates import CertificateAuthority
from misbehaving import MisbehavingProvider, hang, reset, tunnel_to
from sdk_calls import CALLERS, GOOD, KEY, MODEL, QUESTION, Ask, ask_openai

from flask_openrouter.client import sdks
from flask_openrouter.client.environment import CA_VARIABLES, Environment
from flask_openrouter.client.httpx_network import race_addresses

every_caller = pytest.mark.parametrize("ask", CALLERS.values(), ids=CALLERS.keys())


class Connection:
    """What the callers use of a visitor's connection."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def openai(self, **options: Any) -> Any:
        return sdks.openai_client(self._base_url, KEY, {}, lambda: None, options)

    def sdk(self, **options: Any) -> Any:
        return sdks.openrouter_client(self._base_url, KEY, {}, lambda: None, options)


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CertificateAuthority:
    authority = CertificateAuthority(tmp_path)
    for variable in CA_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    return authority


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give these addresses to every name."""
    look_up = socket.getaddrinfo
    read = Environment.read

    def give(*addresses: tuple[Any, ...]) -> None:
        found = resolver_of(*addresses)

        def read_with_resolver(base_url: str) -> Environment:
            environment = read(base_url)
            return Environment(environment.proxy, environment.ca_bundle, found)

        monkeypatch.setattr(Environment, "read", read_with_resolver)
        # For the asynchronous clients. The test's own servers use addresses.
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *args, **kwargs: (
                look_up(host, *args, **kwargs) if host[:1].isdigit() else found(host, 0)
            ),
        )

    return give


@pytest.mark.requirement("A2")
@every_caller
def test_a_dead_address_costs_no_call(ask: Ask, resolve: Any) -> None:
    with (
        MisbehavingProvider(GOOD) as provider,
        # The asynchronous clients take the port from the URL.
        silent_address("127.0.0.2", provider.port) as dead,
    ):
        resolve(dead, ("127.0.0.3", provider.port), ("127.0.0.1", provider.port))
        assert ask(Connection(f"http://localhost:{provider.port}")) is not None
        assert len(provider.requests) == 1


@pytest.mark.requirement("A2")
@pytest.mark.parametrize("broken", [hang(), reset()])
@pytest.mark.parametrize("name", ["openai", "sdk"])
def test_an_address_whose_handshake_fails_costs_no_call(
    trusted: CertificateAuthority, resolve: Any, name: str, broken: Any
) -> None:
    tls = trusted.server_context("gateway.example")
    with (
        MisbehavingProvider(on_connect=broken) as other,
        MisbehavingProvider(GOOD, tls=tls) as provider,
    ):
        resolve(("127.0.0.1", other.port), ("127.0.0.1", provider.port))
        assert CALLERS[name](Connection("https://gateway.example")) is not None
        assert len(provider.requests) == 1


@pytest.mark.requirement("A2")
def test_a_dead_address_of_the_proxy_costs_no_call(
    trusted: CertificateAuthority, resolve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = trusted.server_context("gateway.example")
    with (
        silent_address() as dead,
        MisbehavingProvider(GOOD, tls=tls) as provider,
        MisbehavingProvider(tunnel_to(provider.port)) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:1")
        resolve(dead, ("127.0.0.1", proxy.port), refusing_address())
        for name in ("openai", "sdk"):
            assert CALLERS[name](Connection("https://gateway.example")) is not None
        assert [request.method for request in proxy.requests] == ["CONNECT", "CONNECT"]


def test_addresses_that_are_all_dead_are_the_packages_own_errors(resolve: Any) -> None:
    resolve(refusing_address(), refusing_address())
    connection = Connection("http://localhost:1")
    with connection.openai(max_retries=0) as client, pytest.raises(openai.APIConnectionError):
        ask_openai(client)
    with connection.sdk() as sdk, pytest.raises(httpx.ConnectError):
        sdk.chat.send(model=MODEL, messages=QUESTION)
    with silent_address() as dead, silent_address() as other:
        resolve(dead, other)
        timeout = httpx2.Timeout(60, connect=0.3)
        with (
            Connection("http://localhost:1").openai(max_retries=0, timeout=timeout) as client,
            pytest.raises(openai.APITimeoutError),
        ):
            ask_openai(client)


def test_the_rest_of_the_network_backend_stays_that_of_the_package() -> None:
    seen = []

    class Backend(httpcore.SyncBackend):
        def sleep(self, seconds: float) -> None:
            seen.append(seconds)

    with httpx.Client(trust_env=False) as client:
        pool = client._transport._pool  # type: ignore[attr-defined]
        pool._network_backend = Backend()
        race_addresses(client, Environment())
        pool._network_backend.sleep(1)
        with MisbehavingProvider(GOOD) as provider:
            options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
            stream = pool._network_backend.connect_tcp(
                "127.0.0.1", provider.port, socket_options=options
            )
            sock = stream.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            stream.close()
    assert seen == [1]


def test_a_client_with_another_network_stays_as_it_is() -> None:
    class Backend(httpcore.MockBackend):
        pass

    with httpx.Client(trust_env=False) as client:
        pool = client._transport._pool  # type: ignore[attr-defined]
        backend = pool._network_backend = Backend([])
        race_addresses(client, Environment())
        assert pool._network_backend is backend
    with httpx.Client(transport=httpx.MockTransport(lambda request: None)) as client:
        race_addresses(client, Environment())

    async def asynchronous() -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            before = client._transport._pool._network_backend  # type: ignore[attr-defined]
            race_addresses(client, Environment())
            assert client._transport._pool._network_backend is before  # type: ignore[attr-defined]

    asyncio.run(asynchronous())
