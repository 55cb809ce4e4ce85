"""The network guard: a test with the emulator fails if it connects to another host."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from cases import case

from flask_openrouter import OpenRouterClient
from flask_openrouter.testing import Emulator
from flask_openrouter.testing.network import guarded_network, is_local

Failed = pytest.fail.Exception
#: Addresses that no machine has (RFC 5737, RFC 3849).
UNUSED_IPV4, UNUSED_IPV6 = "192.0.2.1", "2001:db8::1"


@pytest.fixture
def guarded() -> Iterator[None]:
    with guarded_network():
        yield


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    """A non-blocking socket."""
    with socket.socket() as connection:
        connection.setblocking(False)
        yield connection


def test_the_real_openrouter_is_out_of_reach(openrouter_emulator: Emulator) -> None:
    with pytest.raises(Failed, match=r"reached for openrouter\.ai.*openrouter_app_config"):
        OpenRouterClient().get_key_info("sk-or-v1-nobody")


def test_another_host_is_named_with_its_remedy(openrouter_emulator: Emulator) -> None:
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(Failed) as failed:
            session.get("https://API.example/v1", timeout=1)
    assert "This test reached for api.example, " in str(failed.value)
    assert "openrouter_allowed_hosts" in str(failed.value)
    assert "OpenRouterAuth" not in str(failed.value)


@pytest.mark.parametrize(
    "host", [UNUSED_IPV4, "db.example", "localhost.example", "127.0.0.1.example"]
)
def test_connecting_to_an_address_is_refused(
    guarded: None, connection: socket.socket, host: str
) -> None:
    with pytest.raises(Failed, match=f"reached for {host},"):
        connection.connect((host, 443))
    with pytest.raises(Failed, match=f"reached for {host},"):
        connection.connect_ex((host.encode(), 443))


def test_connecting_to_an_ipv6_address_is_refused(guarded: None) -> None:
    with socket.socket(socket.AF_INET6) as connection, pytest.raises(Failed, match=UNUSED_IPV6):
        connection.connect((UNUSED_IPV6, 443))


def test_this_machine_is_local() -> None:
    for host in [
        "",
        "localhost",
        "127.0.0.1",
        "127.8.9.1",
        "::1",
        "0.0.0.0",
        "::",
        "::ffff:127.0.0.1",
    ]:
        with case(host):
            assert is_local(host)


def test_other_machines_are_not_local() -> None:
    for host in ["openrouter.ai", UNUSED_IPV4, UNUSED_IPV6, "::ffff:192.0.2.1", "10.0.0.1"]:
        with case(host):
            assert not is_local(host)


def test_this_machine_is_in_reach(guarded: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("localhost", port), 5).close()
        with socket.socket() as connection:
            assert connection.connect_ex(("127.0.0.1", port)) == 0
    assert socket.getaddrinfo(None, 80)
    assert socket.getaddrinfo(host=b"localhost", port=80)


def test_unix_sockets_pass(guarded: None) -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other, socket.socket(socket.AF_UNIX) as connection:
        with pytest.raises(FileNotFoundError):
            connection.connect("/nonexistent/socket")
        one.sendall(b"x")
        assert other.recv(1) == b"x"


def test_a_reserved_name_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests use such a name for an OpenRouter that cannot be reached."""

    def unknown_host(host: str, port: int) -> list[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown_host)
    with guarded_network(), pytest.raises(socket.gaierror, match="unknown"):
        socket.getaddrinfo("nx.invalid", 443)


def test_allowed_hosts_are_in_reach(
    connection: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(host: str, port: int) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (UNUSED_IPV4, port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with guarded_network(["DB.example"]):
        with pytest.raises(Failed):
            connection.connect((UNUSED_IPV4, 5432))
        with pytest.raises(Failed):
            socket.getaddrinfo("other.example", 5432)
        (*_, address), *_ = socket.getaddrinfo("db.Example", 5432)
        # The guard let it pass; the result depends on the network.
        assert connection.connect_ex(address) in (errno.EINPROGRESS, errno.ENETUNREACH)


def test_the_guard_restores_the_socket_module() -> None:
    before = dict(vars(socket.socket)), dict(vars(socket))
    with guarded_network():
        assert "connect" in vars(socket.socket)
    with pytest.raises(ZeroDivisionError), guarded_network():
        raise ZeroDivisionError
    assert (dict(vars(socket.socket)), dict(vars(socket))) == before


@pytest.mark.requirement("M5")
def test_the_guard_leaves_what_is_not_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    connect, look_up = socket.socket.connect, socket.getaddrinfo
    with guarded_network():
        monkeypatch.setattr(socket.socket, "connect", connect)
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert (socket.socket.connect, socket.getaddrinfo) == (connect, look_up)


@pytest.mark.requirement("M5")
def test_what_another_plugin_restored_stays_restored(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    """As pytest-socket does: it forbids before the fixtures begin, and allows before they end."""
    pytester.makeconftest(
        """
        import socket
        import pytest

        CONNECT = socket.socket.connect

        def forbidden(self, address):
            raise RuntimeError("forbidden by another plugin")

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_setup(item):
            if "forbidding" in item.name:
                socket.socket.connect = forbidden

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_teardown(item):
            socket.socket.connect = CONNECT
        """
    )
    pytester.makepyfile(
        """
        import socket
        import pytest

        def reach():
            with socket.create_server(("127.0.0.1", 0)) as server:
                with socket.socket() as connection:
                    connection.connect(server.getsockname())

        def test_forbidding(openrouter_network_guard):
            with pytest.raises(RuntimeError):
                reach()

        def test_the_next():
            reach()

        def test_the_next_with_the_guard(openrouter_network_guard):
            reach()
        """
    )
    run_pytest().assert_outcomes(passed=3)


@pytest.mark.requirement("M6")
def test_a_proxy_of_the_environment_is_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would pass the request on."""
    with (
        socket.create_server(("127.0.0.1", 0)) as proxy,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        port = proxy.getsockname()[1]
        address = ("127.0.0.1", port)
        monkeypatch.setenv("no_proxy", "localhost")
        for url in (
            f"http://127.0.0.1:{port}",
            f"localhost:{port}",
            f"http://u:p@127.0.0.1:{port}",
        ):
            monkeypatch.setenv("https_proxy", url)
            with case(url), guarded_network():
                with (
                    socket.socket() as connection,
                    pytest.raises(Failed, match=f"reached for the proxy of the .*:{port}, "),
                ):
                    connection.connect(address)
                socket.create_connection(other.getsockname(), 5).close()
            with guarded_network(["127.0.0.1", "localhost"]):
                socket.create_connection(address, 5).close()
        for url in ("http://127.0.0.1:port", "http://[::1", "http://proxy.example:1", "http://"):
            monkeypatch.setenv("https_proxy", url)
            with case(url), guarded_network():
                socket.create_connection(address, 5).close()


@pytest.mark.requirement("M6")
def test_older_look_ups_and_datagrams_are_refused(guarded: None) -> None:
    for look_up in (socket.gethostbyname, socket.gethostbyname_ex):
        with pytest.raises(Failed, match=r"reached for api\.example,"):
            look_up("api.example")
    assert socket.gethostbyname("localhost") == "127.0.0.1"
    assert "127.0.0.1" in socket.gethostbyname_ex("localhost")[2]
    with (
        socket.socket(type=socket.SOCK_DGRAM) as sender,
        socket.socket(type=socket.SOCK_DGRAM) as to,
    ):
        to.bind(("127.0.0.1", 0))
        assert sender.sendto(b"x", to.getsockname()) == 1
        assert sender.sendto(b"x", 0, to.getsockname()) == 1
        for arguments in ((b"x", (UNUSED_IPV4, 53)), (b"x", 0, (UNUSED_IPV4, 53))):
            with pytest.raises(Failed, match=f"reached for {UNUSED_IPV4},"):
                sender.sendto(*arguments)


def test_other_threads_are_refused_and_the_test_fails() -> None:
    """A server's thread must not crash, and a refusal that it swallows must fail the test."""
    refused: list[str] = []

    def reach() -> None:
        try:
            socket.create_connection(("api.example", 443), 1)
        except OSError as error:
            refused.append(str(error))

    thread = threading.Thread(target=reach)
    guard = guarded_network()
    guard.__enter__()
    thread.start()
    thread.join()
    with pytest.raises(Failed, match=r"reached for api\.example,"):
        guard.__exit__(None, None, None)
    assert "openrouter_allowed_hosts" in refused[0]


def test_only_the_tests_that_reach_out_fail(
    pytester: pytest.Pytester, run_pytest: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        """
        import socket
        import pytest

        def reach():
            with socket.socket() as connection:
                connection.setblocking(False)
                return connection.connect_ex(("192.0.2.1", 443))

        def test_with_the_emulator(openrouter_emulator):
            reach()

        def test_with_the_config(openrouter_app_config):
            reach()

        def test_with_neither():
            reach()

        class TestAllowed:
            @pytest.fixture
            def openrouter_allowed_hosts(self):
                return ["192.0.2.1"]

            def test_with_the_emulator(self, openrouter_emulator):
                reach()

        class TestTurnedOff:
            @pytest.fixture
            def openrouter_network_guard(self):
                pass

            def test_with_the_emulator(self, openrouter_emulator):
                reach()
        """
    )
    result = run_pytest()
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines(["*Failed: This test reached for 192.0.2.1, *"])
