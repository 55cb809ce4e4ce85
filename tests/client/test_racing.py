"""A name with several addresses: one that is dead, slow or broken costs no login."""

from __future__ import annotations

import os
import select
import socket
import ssl
import struct
import threading
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from addresses import refusing_address, resolver_of, silent_address
from cases import case
from certificates import CertificateAuthority
from exchanges import CODE, KEY, VERIFIER
from misbehaving import MisbehavingProvider, drip, hang, issue_key, raw, reset, tunnel_to
from urllib3.util.ssl_ import create_urllib3_context

from flask_openrouter.client import OpenRouterClient, deadline, racing
from flask_openrouter.client.deadline import Deadline, limited_by
from flask_openrouter.client.environment import CA_VARIABLES, Environment
from flask_openrouter.client.racing import addresses_of, connect
from flask_openrouter.client.transport import tls_context
from flask_openrouter.errors import TransportError, TransportTimeoutError

ANSWER = {"data": {"label": None, "usage": 0, "limit": None}}
V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.fixture
def trusted(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> CertificateAuthority:
    authority = CertificateAuthority(tmp_path)
    for variable in CA_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    return authority


def client_of(url: str, *addresses: tuple[Any, ...], timeout: float = 15) -> OpenRouterClient:
    """Return a client for whom the host of ``url`` has these addresses."""
    client = OpenRouterClient(url, timeout=timeout)
    client._environment = replace(client._environment, resolver=resolver_of(*addresses))
    return client


def at(provider: MisbehavingProvider) -> tuple[Any, ...]:
    return ("127.0.0.1", provider.port)


@pytest.mark.requirement("A2")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_address_that_never_answers_costs_no_login(host: str) -> None:
    with silent_address(host) as dead, MisbehavingProvider(issue_key(KEY)) as provider:
        client = client_of("http://localhost:1", dead, at(provider))
        for number in (1, 2):
            assert client.exchange_code(CODE, VERIFIER).api_key == KEY
            assert len(provider.exchanges) == number
        assert provider.connections == 1


@pytest.mark.requirement("A2")
def test_the_time_for_several_dead_addresses_is_shared() -> None:
    """The last of many addresses is the only good one, and the time is short."""
    with ExitStack() as stack:
        dead = [stack.enter_context(silent_address()) for _ in range(6)]
        dead.insert(3, refusing_address())
        provider = stack.enter_context(MisbehavingProvider(issue_key(KEY)))
        client = client_of("http://localhost:1", *dead, at(provider), timeout=4)
        assert client.exchange_code(CODE, VERIFIER).api_key == KEY
        assert len(provider.exchanges) == 1


@pytest.mark.requirement("A2")
def test_a_session_finds_the_address_that_works() -> None:
    with silent_address() as dead, MisbehavingProvider(issue_key(KEY)) as provider:
        for timeout in (None, 30, (5, 60)):
            with case(timeout):
                client = client_of("http://localhost:1", dead, refusing_address(), at(provider))
                session = client.api_session(KEY, timeout=timeout)
                assert session.get("models").json()["key"] == KEY


@pytest.mark.requirement("A2")
def test_the_key_info_finds_the_address_that_works() -> None:
    body = b'{"data": {"label": null, "usage": 0, "limit": null}}'
    answer = raw(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    with silent_address() as dead, MisbehavingProvider(answer) as provider:
        client = client_of("http://localhost:1", dead, at(provider))
        assert client.get_key_info(KEY, timeout=4).usage == 0


def test_an_address_that_answers_late_still_wins() -> None:
    """The other address has failed meanwhile. The kernel repeats the attempt after a second."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        for _ in range(2):
            early = stack.enter_context(socket.socket())
            early.setblocking(False)
            early.connect_ex(listener.getsockname())

        def accept_late() -> None:
            racing_started.wait(60)
            for _ in range(2):
                stack.enter_context(listener.accept()[0])

        racing_started = threading.Event()
        thread = threading.Thread(target=accept_late)
        thread.start()
        found = resolver_of(listener.getsockname(), refusing_address())

        def resolve(*args: Any, **kwargs: Any) -> Any:
            racing_started.set()
            return found(*args, **kwargs)

        with connect("localhost", 1, 30, resolver=resolve) as sock:
            assert sock.getpeername() == listener.getsockname()
        thread.join()


@pytest.mark.requirement("A2")
def test_a_name_whose_addresses_are_all_dead_was_not_sent() -> None:
    refused = refusing_address()
    with pytest.raises(TransportError, match="cannot be reached") as caught:
        client_of("http://localhost:1", refused, refusing_address()).exchange_code(CODE, VERIFIER)
    assert type(caught.value) is TransportError
    assert not caught.value.was_sent
    with silent_address() as dead, silent_address() as other:
        client = client_of("http://localhost:1", dead, other, refused, timeout=0.5)
        with pytest.raises(TransportTimeoutError) as late:
            client.exchange_code(CODE, VERIFIER)
    assert not late.value.was_sent


def test_the_time_to_connect_is_shorter_than_that_of_the_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The whole request has more time. So its own limit did not end it."""
    monkeypatch.setattr(deadline, "CONNECT_SECONDS", 0.3)
    with silent_address() as dead, silent_address() as other:
        client = client_of("http://localhost:1", dead, other)
        with pytest.raises(TransportError, match="cannot be reached") as caught:
            client.exchange_code(CODE, VERIFIER)
        with pytest.raises(TransportError):
            client.api_session(KEY, timeout=(0.3, 60)).get("models")
    assert type(caught.value) is TransportError


def test_the_time_may_be_over_before_the_first_address_is_tried() -> None:
    for addresses in ([refusing_address()], [refusing_address(), refusing_address()]):
        with case(len(addresses)), pytest.raises(TimeoutError):
            connect("localhost", 1, 0, resolver=resolver_of(*addresses))


@pytest.mark.requirement("A2")
def test_a_long_time_limit_gives_more_time_to_connect() -> None:
    for seconds, to_connect in [(2, 2), (5, 5), (15, 5), (30, 10), (60, 20)]:
        with case(seconds):
            limits = Deadline(seconds)
            assert limits.connect_by - limits.finish_by == pytest.approx(to_connect - seconds)


# --- the resolver -----------------------------------------------------------------------------


def test_the_families_take_turns() -> None:
    found = resolver_of(("::1", 1), ("::2", 1), ("::2", 1), ("::3", 1), ("127.0.0.1", 1))
    assert addresses_of("name", 1, found) == [
        (V6, ("::1", 1)),
        (V4, ("127.0.0.1", 1)),
        (V6, ("::2", 1)),
        (V6, ("::3", 1)),
    ]


@pytest.mark.requirement("A2")
def test_the_same_address_twice_is_one() -> None:
    with MisbehavingProvider(issue_key(KEY)) as provider:
        client = client_of("http://localhost:1", *[at(provider)] * 3)
        assert client.exchange_code(CODE, VERIFIER).api_key == KEY
        assert provider.connections == 1


def test_a_name_that_has_no_address_was_not_sent() -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    for resolver in (resolver_of(), fail):
        client = OpenRouterClient("https://gateway.example")
        client._environment = replace(client._environment, resolver=resolver)
        with case(resolver), pytest.raises(TransportError) as caught:
            client.exchange_code(CODE, VERIFIER)
        assert not caught.value.was_sent


def test_an_address_of_a_family_that_this_machine_lacks_is_passed_over() -> None:
    with MisbehavingProvider(issue_key(KEY)) as provider:

        def resolve(host: str, port: int, **options: Any) -> Any:
            return [(9999, 1, 6, "", ("::1", 1)), (V4, 1, 6, "", at(provider))]

        with connect("localhost", 1, None, resolver=resolve) as sock:
            assert sock.getpeername() == at(provider)


# --- TLS --------------------------------------------------------------------------------------

BROKEN = {
    "hangs": hang(),
    "resets": reset(),
    "closes": raw(b""),
    "speaks plain http": raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "drips": drip(b"\x16\x03\x03\x40\x00" + b"\x00" * 1000, 0.02),
}


@pytest.mark.requirement("A2")
@pytest.mark.parametrize("on_connect", BROKEN.values(), ids=BROKEN.keys())
def test_an_address_whose_handshake_fails_costs_no_login(
    trusted: CertificateAuthority, on_connect: Any
) -> None:
    tls = trusted.server_context("gateway.example")
    with (
        MisbehavingProvider(on_connect=on_connect) as broken,
        MisbehavingProvider(issue_key(KEY), tls=tls) as provider,
    ):
        client = client_of("https://gateway.example", at(broken), at(provider))
        for _ in range(2):
            assert client.exchange_code(CODE, VERIFIER).api_key == KEY
        assert client.api_session(KEY).get("models").json()["key"] == KEY
        assert (provider.handshakes, len(provider.exchanges)) == (1, 2)
        assert broken.connections == 1


@pytest.mark.requirement("A2")
def test_an_address_with_a_wrong_certificate_gets_no_request(trusted: CertificateAuthority) -> None:
    wrong = trusted.server_context("other.example")
    with (
        MisbehavingProvider(issue_key("sk-or-v1-" + "f" * 64), tls=wrong) as impostor,
        MisbehavingProvider(
            issue_key(KEY), tls=trusted.server_context("gateway.example")
        ) as provider,
    ):
        client = client_of("https://gateway.example", at(impostor), at(provider))
        assert client.exchange_code(CODE, VERIFIER).api_key == KEY
        assert impostor.requests == []
        # Nobody else is there: the certificate is the reason, and not the dead address.
        with silent_address() as dead:
            client = client_of("https://gateway.example", at(impostor), dead, timeout=15)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(deadline, "CONNECT_SECONDS", 2)
                with pytest.raises(TransportError, match="certificate could not be verified"):
                    client.exchange_code(CODE, VERIFIER)
        client = client_of("https://gateway.example", at(impostor), refusing_address())
        with pytest.raises(TransportError, match="certificate could not be verified"):
            client.exchange_code(CODE, VERIFIER)
        assert impostor.requests == []


def test_a_slow_handshake_is_not_given_up_for_a_dead_address(trusted: CertificateAuthority) -> None:
    def late(connection: Any) -> None:
        connection.wait(racing.ATTEMPT_DELAY * 2)

    tls = trusted.server_context("gateway.example")
    with (
        silent_address() as dead,
        MisbehavingProvider(issue_key(KEY), on_connect=late, tls=tls) as provider,
    ):
        client = client_of("https://gateway.example", at(provider), dead, refusing_address())
        assert client.exchange_code(CODE, VERIFIER).api_key == KEY
        assert (provider.connections, provider.handshakes) == (1, 1)


@pytest.mark.requirement("A2")
def test_a_slow_address_is_overtaken_and_gets_no_request(trusted: CertificateAuthority) -> None:
    """Both would answer. The request goes to one of them."""
    first_asked = threading.Event()

    def wait(connection: Any) -> None:
        first_asked.wait(60)

    def answer_first(connection: Any) -> None:
        issue_key(KEY)(connection)
        first_asked.set()

    tls = trusted.server_context("gateway.example")
    with (
        MisbehavingProvider(issue_key(KEY), on_connect=wait, tls=tls) as slow,
        MisbehavingProvider(answer_first, tls=tls) as provider,
    ):
        client = client_of("https://gateway.example", at(slow), at(provider))
        assert client.exchange_code(CODE, VERIFIER).api_key == KEY
        assert (len(slow.requests), len(provider.requests)) == (0, 1)


def test_the_handshakes_of_all_addresses_share_the_time_to_connect(
    trusted: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline, "CONNECT_SECONDS", 0.3)
    with MisbehavingProvider(on_connect=hang()) as one, MisbehavingProvider(on_connect=hang()) as b:
        client = client_of("https://gateway.example", at(one), at(b))
        with pytest.raises(TransportError, match="cannot be reached") as caught:
            client.exchange_code(CODE, VERIFIER)
    assert not caught.value.was_sent


@pytest.mark.requirement("A2")
@pytest.mark.parametrize("is_secure", [False, True])
def test_a_dead_address_of_the_proxy_costs_no_login(
    trusted: CertificateAuthority, monkeypatch: pytest.MonkeyPatch, is_secure: bool
) -> None:
    tls = trusted.server_context("gateway.example")
    proxy_tls = trusted.server_context("proxy.example") if is_secure else None
    with (
        silent_address() as dead,
        MisbehavingProvider(issue_key(KEY), tls=tls) as provider,
        MisbehavingProvider(tunnel_to(provider.port), tls=proxy_tls) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http{'s' if is_secure else ''}://proxy.example:1")
        client = client_of("https://gateway.example", dead, at(proxy), refusing_address())
        assert client.exchange_code(CODE, VERIFIER).api_key == KEY
        assert [request.method for request in proxy.requests] == ["CONNECT"]


def test_a_handshake_behind_a_proxy_does_not_go_on_at_another_address(
    trusted: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other addresses are the proxy's. None of them speaks for the server."""
    with (
        MisbehavingProvider(on_connect=reset()) as broken,
        MisbehavingProvider(tunnel_to(broken.port)) as proxy,
        MisbehavingProvider(issue_key(KEY), tls=trusted.server_context("gateway.example")) as other,
    ):
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:1")
        client = client_of("https://gateway.example", at(proxy), at(other))
        with pytest.raises(TransportError):
            client.exchange_code(CODE, VERIFIER)
        assert other.connections == 0


def test_an_address_behind_a_deadline_that_is_over_is_not_tried() -> None:
    with limited_by(Deadline(0)), pytest.raises(TimeoutError):
        connect("localhost", 1, None, resolver=resolver_of(refusing_address()))


def test_a_connection_that_was_reset_before_its_handshake_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock = connect("localhost", 1, 30, resolver=resolver_of(listener.getsockname()))
        peer, _ = listener.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        select.select([sock], [], [])
        file = sock.fileno()
        with pytest.raises(OSError, match=r"\[Errno"):
            tls_context(Environment()).wrap_socket(sock, server_hostname="gateway.example")
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(file)


def test_the_tls_context_is_that_of_urllib3(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for key_log in ("", str(tmp_path / "keys.log")):
        monkeypatch.setenv("SSLKEYLOGFILE", key_log)
        ours = tls_context(Environment.read("https://openrouter.ai"))
        theirs = create_urllib3_context()
        for name in (
            "options",
            "verify_flags",
            "verify_mode",
            "check_hostname",
            "minimum_version",
            "maximum_version",
            "post_handshake_auth",
            "hostname_checks_common_name",
            "keylog_filename",
            "protocol",
        ):
            with case(name):
                assert getattr(ours, name) == getattr(theirs, name)
        assert ours.get_ciphers() == theirs.get_ciphers()
    assert ours.verify_mode is ssl.CERT_REQUIRED


def test_no_socket_is_left_open() -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    with silent_address() as dead, MisbehavingProvider(issue_key(KEY)) as provider:
        before = open_files()
        for _ in range(5):
            found = resolver_of(dead, refusing_address(), dead[:1] + at(provider)[1:])
            connect("localhost", 1, 30, resolver=found).close()
        assert provider.connections
    assert open_files() <= before
