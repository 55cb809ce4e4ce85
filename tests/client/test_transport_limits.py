"""The limits of time and size, whatever the server does."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from addresses import resolver_of, silent_address
from cases import case
from exchanges import (
    CODE,
    GOOD,
    KEY,
    VERIFIER,
    failure_of_exchange,
    timed_out_exchange,
    unused_port,
)
from misbehaving import (
    MisbehavingProvider,
    answer,
    drip,
    endless_body,
    flood,
    flood_of_informational_answers,
    gzip_bomb,
    hang,
    http_answer,
    issue_key,
    raw,
)
from polling import wait_until

from flask_openrouter.client import OpenRouterClient, deadline
from flask_openrouter.errors import (
    InvalidAnswerError,
    TransportError,
    TransportTimeoutError,
)

# --- time -------------------------------------------------------------------------------------


#: Seconds.
SLOW_LIMIT = 1


def stall_late(connection):
    """Send a part of the response just before the time is over, and then nothing."""
    connection.wait(SLOW_LIMIT - 0.1)
    hang(after=GOOD[:40])(connection)


SLOW = {
    "no answer": hang(),
    "stops late": stall_late,
    "stops in the status line": hang(after=b"HTTP/1.1 2"),
    "stops in the headers": hang(after=GOOD[:40]),
    "stops in the body": hang(after=GOOD[:-5]),
    "status line and headers drip": drip(GOOD, 0.1),
    "headers drip for ever": drip(b"X: y\r\n" * 1000, 0.02, after=b"HTTP/1.1 200 OK\r\n"),
    "body drips": drip(GOOD[-60:], 0.1, after=GOOD[:-60]),
    "chunks drip": drip(
        b"1\r\n \r\n" * 1000, 0.02, after=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    ),
    "body without a length drips": drip(b" " * 1000, 0.05, after=b"HTTP/1.1 200 OK\r\n\r\n"),
    "trailers for ever": flood(
        b"X: y\r\n",
        pause=0.02,
        after=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    ),
    "100 Continue for ever": flood_of_informational_answers(),
}


@pytest.mark.requirement("R78", "F15")
def test_time_limit_holds_by_the_wall_clock():
    """Each of these servers would send for two seconds or more."""

    def check(name, act):
        with case(name):
            with MisbehavingProvider(act) as provider:
                _, seconds = timed_out_exchange(provider, SLOW_LIMIT)
            # time: some of these servers would send for ever, and the others for 30 seconds.
            assert SLOW_LIMIT - 0.1 < seconds < 25 * SLOW_LIMIT

    with ThreadPoolExecutor(len(SLOW)) as pool:
        list(pool.map(check, SLOW.keys(), SLOW.values()))


@pytest.mark.requirement("R78")
def test_a_server_that_does_not_read_is_given_up_on():
    """The request is larger than the socket buffers of both sides."""

    def never_read(connection):
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        hang()(connection)

    with MisbehavingProvider(answer(200), on_connect=never_read) as provider:
        client = OpenRouterClient(provider.url)
        with pytest.raises(TransportTimeoutError):
            client._transport.send("POST", "/", {}, {"a": "x" * (8 * 1024 * 1024)}, 1.5)
        wait_until(lambda: provider.connections == 1)


@pytest.mark.requirement("R78", "F11")
def test_all_addresses_together_have_one_time_to_connect(monkeypatch):
    monkeypatch.setattr(deadline, "CONNECT_SECONDS", 0.4)
    with silent_address() as dead, silent_address() as other, silent_address() as third:
        monkeypatch.setattr(socket, "getaddrinfo", resolver_of(dead, other, third))
        error, seconds = failure_of_exchange("https://gateway.example", timeout=15)
    assert type(error) is TransportError
    assert str(error) == "OpenRouter cannot be reached"
    assert not error.was_sent
    assert 0.3 < seconds < 15


@pytest.mark.requirement("R78")
def test_connecting_counts_as_part_of_the_whole_time(monkeypatch):
    with silent_address() as dead, silent_address() as other:
        for addresses in ([dead], [dead, other]):
            monkeypatch.setattr(socket, "getaddrinfo", resolver_of(*addresses))
            error, _ = failure_of_exchange("https://gateway.example", timeout=0.4)
            assert type(error) is TransportTimeoutError
            assert not error.was_sent


def test_the_defaults_are_5_seconds_to_connect_and_15_in_total():
    assert deadline.CONNECT_SECONDS == 5
    assert OpenRouterClient()._timeout == 15


def test_second_address_is_tried_when_the_first_refuses(monkeypatch):
    """F9 as it happens: localhost is ::1 first, and the server listens on 127.0.0.1 only."""
    with MisbehavingProvider(issue_key(KEY)) as provider:
        addresses = [("127.0.0.1", unused_port()), ("127.0.0.1", provider.port)]
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda *a, **k: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", x) for x in addresses],
        )
        client = OpenRouterClient("http://localhost:1")
        assert client.exchange_code(CODE, VERIFIER).api_key == KEY


# --- size -------------------------------------------------------------------------------------

TOO_MUCH = {
    "64 KiB and one byte": raw(http_answer(200, b" " * 65_537)),
    "a length of 10^12": raw(http_answer(200, b"{", length=10**12)),
    "1 GB plain": flood(b" " * 65_536, after=http_answer(200, length=10**9)),
    "no length and no end": flood(b" " * 65_536, after=b"HTTP/1.1 200 OK\r\n\r\n"),
    "endless chunks": endless_body(),
    "a key and endless chunks": endless_body(b'{"key":"%s"}' % KEY.encode()),
    "gzip bomb of 300 MB": gzip_bomb(300),
    "gzip bomb below 64 KiB": gzip_bomb(50),
    "nested gzip bomb": gzip_bomb(300, layers=2, encoding="gzip, gzip"),
    "nested gzip bomb, one layer named": gzip_bomb(300, layers=2),
    "brotli": raw(http_answer(200, b"\x0b\x02\x80{}\x03", {"Content-Encoding": "br"})),
    "a header of 100 kB": raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"),
    "a status line of 100 kB": raw(b"HTTP/1.1 200 " + b"y" * 100_000 + b"\r\n\r\n"),
    "10,000 headers": raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000 + b"\r\n"),
}

#: Exchange a code at each of the URLs, and print by how many KiB the peak of memory has grown.
MEASURE = """
import resource, sys
from flask_openrouter.client import OpenRouterClient
from flask_openrouter.errors import InvalidAnswerError
OpenRouterClient().preload()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for url in sys.argv[1:]:
    try:
        OpenRouterClient(url).exchange_code("auth_code_xyz789", "v" * 43)
    except InvalidAnswerError:
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.requirement("R79", "F16")
def test_too_large_an_answer_is_refused_in_little_memory():
    """All of them in one process of their own, and in 8 MiB together."""
    with ExitStack() as stack:
        providers = [stack.enter_context(MisbehavingProvider(act)) for act in TOO_MUCH.values()]
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, *(provider.url for provider in providers)],
            capture_output=True,
            text=True,
            check=True,
        )
        exchanges = [len(provider.exchanges) for provider in providers]
    growth = dict(zip(TOO_MUCH, map(int, done.stdout.split()), strict=True))
    assert {name: kib for name, kib in growth.items() if kib >= 8 * 1024} == {}
    assert exchanges == [1] * len(TOO_MUCH)


@pytest.mark.requirement("R79")
def test_too_large_an_answer_is_invalid():
    for name in ["64 KiB and one byte", "a key and endless chunks"]:
        with case(name):
            with MisbehavingProvider(TOO_MUCH[name]) as provider:
                error, _ = failure_of_exchange(provider.url)
            assert (type(error), error.status) == (InvalidAnswerError, 200)


@pytest.mark.requirement("R79")
def test_an_answer_of_exactly_64_kib_is_taken():
    body = b'{"key":"%s"}' % KEY.encode()
    with MisbehavingProvider(raw(http_answer(200, body.ljust(65_536)))) as provider:
        assert OpenRouterClient(provider.url).exchange_code(CODE, VERIFIER).api_key == KEY


def test_one_compression_is_decoded_although_it_was_not_requested():
    for compress, name in [(gzip.compress, "gzip"), (zlib.compress, "deflate")]:
        with case(name):
            body = compress(b'{"key":"%s"}' % KEY.encode())
            with MisbehavingProvider(answer(200, body, {"Content-Encoding": name})) as provider:
                assert OpenRouterClient(provider.url).exchange_code(CODE, VERIFIER).api_key == KEY


def test_chunked_response_is_read():
    body = b'{"key":"%s"}' % KEY.encode()
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
        len(body),
        body,
    )
    with MisbehavingProvider(raw(chunked, close=False)) as provider:
        client = OpenRouterClient(provider.url)
        for _ in range(2):
            assert client.exchange_code(CODE, VERIFIER).api_key == KEY
        assert provider.connections == 1
