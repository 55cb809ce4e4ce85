"""The server: listening address, ``Host`` header, start and stop."""

from __future__ import annotations

import gc
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from contextlib import suppress
from itertools import takewhile
from typing import Any

import pytest
import requests
from cases import case
from click.testing import CliRunner
from flask import Flask
from polling import PATIENCE, wait_until
from protocol_steps import approved_code, bearer, error_of
from werkzeug.test import create_environ, run_wsgi_app

from flask_openrouter.emulator import Emulator, EmulatorConfig, create_emulator_app, run_in_thread
from flask_openrouter.emulator.__main__ import emulator_command, main
from flask_openrouter.emulator.ledger import MAX_PENDING, Ledger
from flask_openrouter.emulator.loopback import is_loopback_host, is_loopback_host_header

FOREIGN_HOSTS = [
    "0.0.0.0",
    "::",
    "192.168.1.5",
    "10.0.0.1",
    "127.0.0.1.nip.io",
    "localhost.evil.example",
    "evil.example",
    "openrouter.ai",
    "::ffff:127.0.0.1",
    "::1%lo",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "",
    " ",
]


@pytest.mark.requirement("R103")
def test_the_emulator_listens_on_loopback_only() -> None:
    for host in FOREIGN_HOSTS:
        with case(host):
            assert not is_loopback_host(host)
            with pytest.raises(ValueError, match="loopback only"), run_in_thread(host=host):
                pass
            result = CliRunner().invoke(emulator_command, ["--host", host, "--port", "0"])
            assert result.exit_code == 2
            assert "Use 127.0.0.1, ::1 or localhost" in result.output


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.8.8.8", "::1"])
def test_loopback_hosts_are_served(http: requests.Session, host: str) -> None:
    if host == "::1" and not _has_ipv6():
        pytest.skip("no IPv6 on this machine")
    with run_in_thread(host=host) as emulator:
        assert http.get(f"{emulator.url}/api/v1/models").status_code == 200
        assert approved_code(emulator)


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.requirement("R103")
def test_the_socket_is_bound_to_loopback(emulator: Emulator) -> None:
    port = int(emulator.url.rpartition(":")[2])
    lines = subprocess.run(
        ["cat", "/proc/net/tcp"], check=True, capture_output=True, text=True
    ).stdout
    listening = re.findall(rf": ([0-9A-F]{{8}}):{port:04X} 00000000:0000 0A", lines)
    assert listening == ["0100007F"]


@pytest.mark.requirement("R104")
def test_a_foreign_host_header_is_refused(emulator: Emulator, http: requests.Session) -> None:
    for host in [
        *(host for host in FOREIGN_HOSTS if ":" not in host and host.strip()),
        "::ffff:127.0.0.1",
        "[::]",
        "evil.example:80",
        "localhost:x",
        "[::1",
        "a:1:2",
    ]:
        with case(host):
            assert not is_loopback_host_header(host)
            for path in ("/auth", "/api/v1/models", "/_emulator/keys", "/"):
                response = http.get(f"{emulator.url}{path}", headers={"Host": host})
                assert response.status_code == 400
                assert response.headers["X-OpenRouter-Emulator"] == "1"
                assert "Location" not in response.headers
            assert emulator.requests == []


def test_loopback_host_headers_are_answered(emulator: Emulator, http: requests.Session) -> None:
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1:5000", "127.1.2.3", "[::1]:80", "[::1]"]:
        with case(host):
            response = http.get(f"{emulator.url}/api/v1/models", headers={"Host": host})
            assert response.status_code == 200


def test_bodies_over_a_mebibyte_are_refused(emulator: Emulator, http: requests.Session) -> None:
    def in_pieces() -> Any:
        for _ in range(20):
            yield b"x" * 65_536

    url = f"{emulator.url}/api/v1/auth/keys"
    headers = {"Content-Type": "application/json"}
    response = http.post(url, data=b"x" * (1024 * 1024 + 1), headers=headers)
    assert error_of(response) == (413, "Request payload too large")
    response = http.post(url, data=in_pieces(), headers=headers)
    assert error_of(response) == (413, "Request payload too large")
    assert emulator.count("POST", "/api/v1/auth/keys") == 2
    assert [record.status for record in emulator.requests] == [413, 413]
    assert http.post(url, data=b"x" * 1024 * 1024, headers=headers).status_code == 400


def test_stopping_closes_connections_and_frees_the_port() -> None:
    with run_in_thread() as emulator:
        port = int(emulator.url.rpartition(":")[2])
        idle = socket.create_connection(("127.0.0.1", port))
        requests.get(emulator.url, timeout=PATIENCE)
    with idle:
        idle.settimeout(20)
        assert idle.recv(1) == b""
    with run_in_thread(port=port) as emulator:
        assert emulator.url.endswith(f":{port}")


def test_stopping_does_not_wait_for_a_delayed_response() -> None:
    with run_in_thread() as emulator:
        emulator.add_fault(delay=60)
        url = emulator.url
        ended = threading.Event()

        def wait_for_the_response() -> None:
            with suppress(requests.exceptions.RequestException):
                requests.get(url, timeout=60)
            ended.set()

        waiting = threading.Thread(target=wait_for_the_response)
        waiting.start()
        wait_until(lambda: emulator.requests)
        started = time.monotonic()
    assert ended.wait(30)
    # time: less than the delay of 60 s
    assert time.monotonic() - started < 40
    waiting.join()


def test_a_taken_port_is_an_error(emulator: Emulator) -> None:
    port = int(emulator.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"), run_in_thread(port=port):
        pass
    result = CliRunner().invoke(emulator_command, ["--port", str(port)])
    assert result.exit_code == 1
    assert f"Cannot listen on port {port}" in result.output
    assert "--port" in result.output


def test_emulators_are_independent(http: requests.Session) -> None:
    with run_in_thread() as one, run_in_thread() as other:
        headers = bearer(one.issue_key())
        assert http.get(f"{one.url}/api/v1/key", headers=headers).status_code == 200
        assert http.get(f"{other.url}/api/v1/key", headers=headers).status_code == 401


def test_without_a_server_there_is_no_url() -> None:
    emulator: Emulator = create_emulator_app().extensions["openrouter_emulator"]
    with pytest.raises(RuntimeError, match="not being served"):
        _ = emulator.url
    assert "code=" in emulator.approve("http://localhost/auth?callback_url=http://localhost/cb")
    with pytest.raises(RuntimeError, match="create_emulator_app"):
        Emulator().approve("http://localhost/auth?callback_url=http://localhost/cb")


def test_invalid_settings_are_refused() -> None:
    for settings in [
        {"deny_style": "loud"},
        {"bad_code_style": None},
        {"code_max_age": -1},
        {"code_max_age": float("nan")},
        {"word_delay": "1"},
        {"echo_state": 1},
        {"openrouter_user_id": 5},
        {"spent_limit_status": 404},
        {"clock": 5},
    ]:
        with case(settings):
            (name,) = settings
            with pytest.raises(ValueError, match=f"{name} must be"):
                EmulatorConfig(**settings)


def test_the_number_of_pending_consents_is_limited() -> None:
    ledger = Ledger()
    request: Any = object()
    first = ledger.add_consent(request)
    last = [ledger.add_consent(request) for _ in range(MAX_PENDING)][-1]
    assert ledger.take_consent(first) is None
    assert ledger.take_consent(last) is request


@pytest.mark.requirement("R103")
def test_the_command_prints_its_url_and_ignores_the_environment() -> None:
    environment = {**os.environ, "HOST": "0.0.0.0", "PORT": "1", "FLASK_EMULATOR_HOST": "0.0.0.0"}
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "flask_openrouter.emulator", "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        banner = "".join(takewhile(lambda line: "Ctrl+C" not in line, process.stdout))
        url = banner.rpartition("=")[2].strip()
        status = requests.get(f"{url}/api/v1/models", timeout=PATIENCE).status_code
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert process.stdout.read() == "Stopped.\n"
        assert process.stderr.read() == ""
    assert status == 200
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
    assert "development" in banner.splitlines()[0]
    # The printed lines work as printed: a bare OPENROUTER_BASE_URL=… in a shell would do nothing.
    app = Flask("tested")
    (line,) = re.findall(r"^ +(app\.config\[.*)$", banner, re.M)
    exec(line, {"app": app})  # noqa: S102 - printed by this package
    assert app.config["OPENROUTER_BASE_URL"] == url
    assert re.findall(r"^ +(.*=)http", banner, re.M) == ["FLASK_OPENROUTER_BASE_URL="]


def test_the_command_stops_on_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["emulator", "--port", "0", "--deny-style", "error"])
    main_thread = threading.main_thread().ident
    assert main_thread is not None

    def interrupt_when_it_waits() -> None:
        wait_until(lambda: "_wait" in _functions_of(main_thread)[1:])
        signal.pthread_kill(main_thread, signal.SIGINT)

    interrupt = threading.Thread(target=interrupt_when_it_waits, daemon=True)
    interrupt.start()
    with pytest.raises(SystemExit) as stopped:
        main()
    interrupt.join()
    assert stopped.value.code == 0


def _functions_of(thread: int) -> list[str]:
    """Return the names of the functions that this thread is in, the innermost first."""
    frame = sys._current_frames().get(thread)
    return [] if frame is None else [each.f_code.co_name for each, _ in traceback.walk_stack(frame)]


def test_a_server_that_hangs_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_openrouter.emulator.server.SHUTDOWN_TIMEOUT", 0.01)
    monkeypatch.setattr(threading.Thread, "is_alive", lambda self: True)
    with pytest.raises(RuntimeError, match="did not stop"), run_in_thread():
        pass


def test_pages_leave_no_file_open_when_the_browser_goes_away(emulator: Emulator) -> None:
    page = requests.get(f"{emulator.url}/auth", timeout=60).text
    addresses = re.findall(r'href="(/_emulator/static/[^"]+)"', page)
    assert len(addresses) == 3
    app = create_emulator_app()
    for address in [*addresses, "/_emulator/static/none.css"]:
        body, status, _ = run_wsgi_app(app, create_environ(address, "http://localhost"))
        assert status.startswith("404" if "none" in address else "200")
        # As Werkzeug's server does it: the rest is neither read nor closed. A file would warn.
        next(iter(body))
        del body
        gc.collect()
