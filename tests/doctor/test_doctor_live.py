"""``--live``: the connection to the emulator, or to a provider that misbehaves."""

from __future__ import annotations

import datetime
import threading
import time
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from cases import case
from certificates import CertificateAuthority
from misbehaving import MisbehavingProvider, answer, hang, issue_key, raw, reset, tunnel_to
from servers import free_port

from flask_openrouter.client.environment import CA_VARIABLES
from flask_openrouter.doctor import Doctor
from flask_openrouter.doctor.network import Network
from flask_openrouter.doctor.workers import Workers
from flask_openrouter.emulator import Emulator

DAY = datetime.timedelta(days=1)
REFUSE = answer(403, {"error": {"code": 403, "message": "Invalid code"}})
LIVE = ["connection", "api", "exchange"]


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CertificateAuthority:
    authority = CertificateAuthority(tmp_path)
    for variable in CA_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    return authority


def date(seconds: float = 0) -> dict[str, str]:
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return {"Date": format_datetime(now, usegmt=True)}


def test_the_emulator_passes_every_check(make_app: Any, diagnose: Any, emulator: Emulator) -> None:
    diagnosis = diagnose(make_app(), "--live")
    assert diagnosis.bad == {}
    assert diagnosis.checks[-3:] == LIVE
    assert emulator.count("GET", "/api/v1/models") == 1
    assert emulator.count("POST", "/api/v1/auth/keys") == 1


def test_without_live_no_request_is_sent(make_app: Any, diagnose: Any, emulator: Emulator) -> None:
    assert not set(LIVE) & set(diagnose(make_app()).checks)
    assert emulator.requests == []


def test_later_checks_are_skipped_when_the_name_does_not_resolve(
    make_app: Any, diagnose: Any
) -> None:
    diagnosis = diagnose(make_app(OPENROUTER_BASE_URL="https://nobody.invalid"), "--live")
    assert diagnosis.bad == {"other_provider": "warning", "dns_failed": "problem"}
    diagnosis.says("dns_failed", "nobody.invalid", "DNS")
    assert diagnosis.checks[-1] == "connection"


def test_a_hanging_resolver_times_out(make_app: Any) -> None:
    never = threading.Event()
    network = Network(timeout=0.1, resolve=lambda host, port: [never.wait(60)])
    doctor = Doctor(make_app, Workers(can_repeat=False), live=True, network=network)
    start = time.monotonic()
    (finding,) = list(doctor.run())[-1].findings
    never.set()
    assert finding.code == "dns_failed"
    # time: 300 times the limit, and half of what the resolver would take
    assert time.monotonic() - start < 30


def test_later_checks_are_skipped_when_the_port_is_closed(make_app: Any, diagnose: Any) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    diagnosis = diagnose(make_app(OPENROUTER_BASE_URL=url), "--live")
    assert diagnosis.bad == {"tcp_failed": "problem"}
    diagnosis.says("tcp_failed", url.removeprefix("http://"), "ConnectionRefusedError", "emulator")
    assert diagnosis.checks[-1] == "connection"


def test_valid_tls_is_used(trusted: CertificateAuthority, make_app: Any, diagnose: Any) -> None:
    tls = trusted.server_context("127.0.0.1")
    with MisbehavingProvider([answer(200, {}, date()), REFUSE], tls=tls) as provider:
        assert diagnose(make_app(OPENROUTER_BASE_URL=provider.url), "--live").bad == {}
        assert [request.path for request in provider.requests] == [
            "/api/v1/models",
            "/api/v1/auth/keys",
        ]


@pytest.mark.parametrize(
    ("hosts", "options", "words"),
    [
        (["127.0.0.1"], {"valid_until": -DAY, "valid_from": -2 * DAY}, "certificate has expired"),
        (["127.0.0.1"], {"self_signed": True}, "self"),
        (["openrouter.ai"], {}, "mismatch"),
    ],
)
def test_an_invalid_certificate_is_a_problem(
    hosts: list[str],
    options: dict[str, Any],
    words: str,
    trusted: CertificateAuthority,
    make_app: Any,
    diagnose: Any,
) -> None:
    with MisbehavingProvider(REFUSE, tls=trusted.server_context(*hosts, **options)) as provider:
        diagnosis = diagnose(make_app(OPENROUTER_BASE_URL=provider.url), "--live")
        assert diagnosis.bad == {"tls_failed": "problem"}
        diagnosis.says("tls_failed", words, "REQUESTS_CA_BUNDLE")
        assert provider.requests == []


def test_a_server_without_tls_is_a_problem(
    trusted: CertificateAuthority, make_app: Any, diagnose: Any
) -> None:
    plain = raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with MisbehavingProvider(on_connect=plain) as provider:
        url = provider.url.replace("http:", "https:")
        diagnosis = diagnose(make_app(OPENROUTER_BASE_URL=url), "--live")
    assert set(diagnosis.bad) == {"tls_failed"}


def test_a_hanging_handshake_times_out(trusted: CertificateAuthority, make_app: Any) -> None:
    with MisbehavingProvider(REFUSE, on_connect=hang()) as provider:
        url = provider.url.replace("http:", "https:")
        doctor = Doctor(
            lambda: make_app(OPENROUTER_BASE_URL=url),
            Workers(can_repeat=False),
            live=True,
            network=Network(timeout=0.3),
        )
        (finding,) = list(doctor.run())[-1].findings
    assert finding.code == "tls_failed"
    assert "TimeoutError" in finding.title


def test_an_unreadable_certificate_bundle_is_a_problem(
    trusted: CertificateAuthority, make_app: Any, diagnose: Any, tmp_path: Path
) -> None:
    trusted.bundle.write_text("nothing")
    diagnosis = diagnose(make_app(OPENROUTER_BASE_URL="https://localhost:1"), "--live")
    assert diagnosis.bad == {"configuration": "problem"}
    diagnosis.says("configuration", "certificate bundle", "Correct this setting")
    assert diagnosis.checks[-1] == "connection"


def test_a_folder_of_certificates_is_used(
    trusted: CertificateAuthority, make_app: Any, diagnose: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = trusted.bundle.parent / "certificates"
    empty.mkdir()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(empty))
    with MisbehavingProvider(REFUSE, tls=trusted.server_context("127.0.0.1")) as provider:
        diagnosis = diagnose(make_app(OPENROUTER_BASE_URL=provider.url), "--live")
    assert set(diagnosis.bad) == {"tls_failed"}


def test_the_connection_uses_the_proxy(
    trusted: CertificateAuthority,
    make_app: Any,
    diagnose: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tls = trusted.server_context("openrouter.ai")
    with (
        MisbehavingProvider([answer(200, {}, date()), REFUSE], tls=tls) as provider,
        MisbehavingProvider(tunnel_to(provider.port)) as proxy,
    ):
        url = f"http://user:hunter2@127.0.0.1:{proxy.port}"
        monkeypatch.setenv("HTTPS_PROXY", url)
        app = make_app(OPENROUTER_BASE_URL="https://openrouter.ai")
        diagnosis = diagnose(app, "--live")
        assert diagnosis.bad == {}
        assert len(provider.requests) == 2
    diagnosis.says("proxy_used", f"127.0.0.1:{proxy.port}")
    diagnosis = diagnose(app, "--live")
    assert diagnosis.bad == {"tcp_failed": "problem"}
    diagnosis.says("tcp_failed", "The proxy cannot be reached")
    assert "hunter2" not in diagnosis.text


def test_a_proxy_without_a_scheme_is_reported(
    make_app: Any, diagnose: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.invalid")
    app = make_app(OPENROUTER_BASE_URL="https://openrouter.ai")
    diagnosis = diagnose(app, "--live")
    diagnosis.says("proxy_used", "proxy.invalid:80")
    diagnosis.says("dns_failed", "The proxy's host name proxy.invalid")


def test_a_clock_that_is_wrong_is_a_warning(make_app: Any, diagnose: Any) -> None:
    for seconds, words in [(300, "behind"), (-300, "ahead of")]:
        with case(seconds, words):
            with MisbehavingProvider([answer(200, {}, date(seconds)), REFUSE]) as provider:
                diagnosis = diagnose(make_app(OPENROUTER_BASE_URL=provider.url), "--live")
            assert diagnosis.bad == {"clock_skew": "warning"}
            diagnosis.says("clock_skew", words, "NTP")


def test_a_clock_that_is_nearly_right_or_cannot_be_compared_is_accepted(
    make_app: Any, diagnose: Any
) -> None:
    for headers in ({}, {"Date": "yesterday"}, date(30)):
        script = [answer(200, {}, headers), REFUSE]
        with case(headers), MisbehavingProvider(script) as provider:
            assert diagnose(make_app(OPENROUTER_BASE_URL=provider.url), "--live").bad == {}


def test_later_checks_are_skipped_when_the_api_does_not_respond(
    make_app: Any, diagnose: Any
) -> None:
    with MisbehavingProvider(reset()) as provider:
        diagnosis = diagnose(make_app(OPENROUTER_BASE_URL=provider.url), "--live")
    assert diagnosis.bad == {"api_unreachable": "problem"}
    assert diagnosis.checks[-1] == "api"


def test_an_api_with_another_status_is_a_problem(make_app: Any, diagnose: Any) -> None:
    with MisbehavingProvider([answer(404, {}, date()), REFUSE]) as provider:
        diagnosis = diagnose(make_app(OPENROUTER_BASE_URL=provider.url), "--live")
    assert diagnosis.bad == {"api_unexpected": "problem"}
    diagnosis.says("api_unexpected", "HTTP 404")


def test_an_exchange_that_is_not_refused_as_documented_is_reported(
    make_app: Any, diagnose: Any
) -> None:
    for act, code, severity, words in [
        (answer(429, {}), "exchange_busy", "warning", "429"),
        (answer(500, {}), "exchange_unexpected", "problem", "500"),
        (answer(404, {}), "exchange_unexpected", "problem", "404"),
        (issue_key("sk-or-v1-" + "a" * 64), "exchange_unexpected", "problem", "not OpenRouter"),
    ]:
        with case(code, words):
            with MisbehavingProvider([answer(200, {}, date()), act]) as provider:
                diagnosis = diagnose(make_app(OPENROUTER_BASE_URL=provider.url), "--live")
            assert diagnosis.bad == {code: severity}
            diagnosis.says(code, words)
            assert "a" * 64 not in diagnosis.text


def test_both_documented_refusals_are_accepted(make_app: Any, diagnose: Any) -> None:
    for status in (400, 403):
        script = [answer(200, {}, date()), answer(status, {})]
        with case(status), MisbehavingProvider(script) as provider:
            assert diagnose(make_app(OPENROUTER_BASE_URL=provider.url), "--live").bad == {}
