"""Persistent connections and proxies: each call makes exactly one request."""

from __future__ import annotations

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from cases import case
from exchanges import CODE, GOOD, KEY, VERIFIER, failure_of_exchange, unused_port
from misbehaving import (
    MisbehavingProvider,
    drip,
    hang,
    http_answer,
    issue_key,
    raw,
    reset,
)
from polling import PATIENCE

from flask_openrouter.client import OpenRouterClient, connections, deadline
from flask_openrouter.errors import (
    ConfigurationError,
    InvalidAnswerError,
    TransportError,
)

# --- one request, and the truth about whether it was sent -------------------------------------


@pytest.mark.requirement("R80", "F13", "F14")
def test_a_broken_connection_is_not_tried_again():
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for name, act in {
        "reset": reset(),
        "reset in the status line": reset(after=GOOD[:10]),
        "reset in the body": reset(after=GOOD[:-10]),
        "closed": raw(b""),
        "closed in the body": raw(GOOD[:-10]),
        "closed in a chunk": raw(chunked + b"ff\r\n{"),
        "a chunk without a size": raw(chunked + b"zz\r\n{"),
    }.items():
        with case(name):
            with MisbehavingProvider([act, issue_key(KEY)]) as provider:
                error, _ = failure_of_exchange(provider.url)
                assert len(provider.exchanges) == 1
            assert type(error) is TransportError
            assert error.was_sent
            assert (
                str(error) == "The connection to OpenRouter broke before its response was complete"
            )


def test_a_response_that_is_not_http_is_an_invalid_answer():
    for data in [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n{}",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ]:
        with case(data):
            with MisbehavingProvider([raw(data), issue_key(KEY)]) as provider:
                error, _ = failure_of_exchange(provider.url)
                assert len(provider.exchanges) == 1
            assert type(error) is InvalidAnswerError
            assert str(error) == "OpenRouter's response is not well-formed HTTP"


@pytest.mark.requirement("F10")
def test_refused_connection_was_not_sent():
    error, seconds = failure_of_exchange(f"http://127.0.0.1:{unused_port()}", timeout=15)
    assert (type(error), error.was_sent) == (TransportError, False)
    assert str(error) == "OpenRouter cannot be reached"
    assert seconds < 10


@pytest.mark.requirement("F9")
@pytest.mark.parametrize("found", [socket.gaierror(-2, "Name or service not known"), None])
def test_unknown_host_was_not_sent(monkeypatch, found):
    def getaddrinfo(*arguments, **options):
        if found is None:
            return []
        raise found

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    error, _ = failure_of_exchange("https://nx.invalid")
    assert (type(error), error.was_sent) == (TransportError, False)
    assert str(error) == "OpenRouter cannot be reached"


@pytest.mark.requirement("R80")
def test_kept_connection_that_was_closed_meanwhile_is_replaced():
    with MisbehavingProvider(issue_key(KEY)) as provider:
        client = OpenRouterClient(provider.url)
        for number in range(1, 6):
            assert client.exchange_code(CODE, VERIFIER).api_key == KEY
            assert (provider.connections, len(provider.exchanges)) == (number, number)
            provider.drop_connections()


def test_an_adapter_that_was_closed_connects_again():
    with MisbehavingProvider(issue_key(KEY)) as provider:
        client = OpenRouterClient(provider.url)
        for number in (1, 2):
            assert client.exchange_code(CODE, VERIFIER).api_key == KEY
            assert client.exchange_code(CODE, VERIFIER).api_key == KEY
            assert provider.connections == number
            client._transport.adapter.close()


def test_each_address_has_connections_of_its_own():
    """A key for one host never goes to another."""
    with MisbehavingProvider(issue_key(KEY)) as one, MisbehavingProvider(issue_key(KEY)) as other:
        adapter = OpenRouterClient(one.url)._transport.adapter
        for url in (one.url, other.url, one.url):
            request = requests.Request("POST", f"{url}/api/v1/auth/keys", json={"code": CODE})
            assert adapter.send(request.prepare(), timeout=PATIENCE).status_code == 200
        assert (len(one.exchanges), len(other.exchanges)) == (2, 1)


def test_the_adapter_works_without_a_deadline():
    """An app may mount it on a session of its own."""
    with MisbehavingProvider(issue_key(KEY)) as provider:
        adapter = OpenRouterClient(provider.url)._transport.adapter
        request = requests.Request("GET", f"{provider.url}/api/v1/models").prepare()
        assert adapter.send(request, timeout=PATIENCE).json()["key"] == KEY


def test_connection_is_reused_by_the_next_call():
    with MisbehavingProvider(issue_key(KEY)) as provider:
        client = OpenRouterClient(provider.url)
        for _ in range(10):
            client.exchange_code(CODE, VERIFIER)
        assert provider.connections == 1


def test_connections_to_the_base_url_are_found_at_once():
    with MisbehavingProvider([issue_key(KEY)] * 2) as provider:
        client = OpenRouterClient(provider.url)
        client.exchange_code(CODE, VERIFIER)
        adapter = client._transport.adapter
        found = adapter._pool
        adapter.poolmanager.clear()  # Where requests would look for them.
        client.exchange_code(CODE, VERIFIER)
        assert adapter._pool is found is not None
        assert len(adapter.poolmanager.pools) == 0


def test_connection_that_was_idle_for_long_is_not_reused(monkeypatch):
    """A firewall may have dropped it without notice, and a code sent over it would be lost."""
    monkeypatch.setattr(connections, "MAX_IDLE_SECONDS", 0.05)
    with MisbehavingProvider(issue_key(KEY)) as provider:
        client = OpenRouterClient(provider.url)
        client.exchange_code(CODE, VERIFIER)
        time.sleep(0.1)  # time: longer idle than the limit; a slow machine waits longer still
        client.exchange_code(CODE, VERIFIER)
        assert provider.connections == 2


def test_connection_with_an_unread_response_is_not_reused():
    with MisbehavingProvider(
        [raw(http_answer(200, b" " * 70_000), close=False), issue_key(KEY)]
    ) as p:
        client = OpenRouterClient(p.url)
        with pytest.raises(InvalidAnswerError):
            client.exchange_code(CODE, VERIFIER)
        assert client.exchange_code(CODE, VERIFIER).api_key == KEY
        assert p.connections == 2


def test_time_limit_of_one_call_does_not_apply_to_the_next_on_its_connection():
    """Each call has its full time, although all together take longer than one may."""

    def slow(connection):
        connection.wait(0.3)
        connection.send(GOOD)

    with MisbehavingProvider(slow) as provider:
        client = OpenRouterClient(provider.url, timeout=2.5)
        for _ in range(9):
            assert client.exchange_code(CODE, VERIFIER).api_key == KEY
        assert provider.connections == 1


@pytest.mark.requirement("F46")
def test_threads_never_share_a_connection_and_do_not_pile_them_up():
    def echo(connection):
        code = connection.request.json["code"]
        connection.wait(0.005)
        connection.send(http_answer(200, {"key": f"sk-or-v1-{code}"}))

    wrong = []

    def log_in(client, number):
        for step in range(10):
            code = f"code-{number}-{step}"
            if client.exchange_code(code, VERIFIER).api_key != f"sk-or-v1-{code}":
                wrong.append(code)

    with MisbehavingProvider(echo) as provider:
        client = OpenRouterClient(provider.url)
        threads = [threading.Thread(target=log_in, args=(client, n)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(provider.exchanges) == 80
        assert provider.connections <= 8
    assert wrong == []


@pytest.mark.requirement("F46")
def test_threads_that_come_first_at_once_share_their_connections():
    class SlowDict(dict):
        def get(self, *args):
            found = super().get(*args)
            time.sleep(0.01)  # time: lets the other threads look; nothing is asserted about it
            return found

    transport = OpenRouterClient("http://127.0.0.1:1")._transport
    transport._adapters = SlowDict()
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: transport.adapter, range(8)))) == 1


@pytest.mark.requirement("F46")
def test_a_fork_makes_connections_of_its_own():
    with MisbehavingProvider(issue_key(KEY)) as provider:
        client = OpenRouterClient(provider.url)
        client.exchange_code(CODE, VERIFIER)
        pid = os.fork()
        if pid == 0:  # pragma: no cover - the child is not measured
            try:
                os._exit(0 if client.exchange_code(CODE, VERIFIER).api_key == KEY else 1)
            finally:
                os._exit(2)
        assert os.waitpid(pid, 0)[1] == 0
        assert provider.connections == 2
        client.exchange_code(CODE, VERIFIER)
        assert provider.connections == 2


def test_no_thread_is_left_running():
    before = threading.active_count()
    client = OpenRouterClient(f"http://127.0.0.1:{unused_port()}")
    for _ in range(3):
        with pytest.raises(TransportError):
            client.exchange_code(CODE, VERIFIER)
    assert threading.active_count() == before


# --- the environment --------------------------------------------------------------------------


def test_proxies_are_not_used_for_loopback(monkeypatch):
    proxy = f"http://127.0.0.1:{unused_port()}"
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
    with MisbehavingProvider(issue_key(KEY)) as provider:
        assert OpenRouterClient(provider.url).exchange_code(CODE, VERIFIER).api_key == KEY


@pytest.mark.requirement("F20")
def test_proxy_that_is_down_is_not_bypassed(monkeypatch):
    asked = []
    monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{unused_port()}")
    resolve = socket.getaddrinfo

    def getaddrinfo(host, *arguments, **options):
        asked.append(host)
        return resolve(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    error, _ = failure_of_exchange("https://gateway.example")
    assert (type(error), error.was_sent) == (TransportError, False)
    assert asked == ["127.0.0.1"]


@pytest.mark.requirement("F20")
@pytest.mark.parametrize(
    "on_connect",
    [
        raw(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
        raw(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"),
        reset(),
        drip(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, 0.02),
        hang(),
    ],
)
def test_proxy_that_opens_no_tunnel_gets_no_code(monkeypatch, on_connect):
    monkeypatch.setattr(deadline, "CONNECT_SECONDS", 0.4)
    with MisbehavingProvider(on_connect=on_connect) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error, seconds = failure_of_exchange("https://gateway.example", timeout=10)
    # A TransportTimeoutError would be the limit of the whole call.
    assert (type(error), error.was_sent) == (TransportError, False)
    assert seconds < 10


def test_no_proxy_is_honoured(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "gateway.example")
    assert OpenRouterClient("https://gateway.example")._environment.proxy is None
    assert OpenRouterClient()._environment.proxy == "http://127.0.0.1:1"


def test_environment_is_read_once(monkeypatch):
    client = OpenRouterClient("https://gateway.example")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert client._environment.proxy is None
    assert OpenRouterClient("https://gateway.example")._environment.proxy == "http://127.0.0.1:1"


def test_password_of_the_proxy_is_not_shown(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hunter2@127.0.0.1:1")
    client = OpenRouterClient("https://gateway.example")
    assert "hunter2" not in repr(client._environment)


def test_socks_proxy_is_refused_by_name(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5h://127.0.0.1:1080")
    with pytest.raises(ConfigurationError, match="neither http nor https"):
        OpenRouterClient()
