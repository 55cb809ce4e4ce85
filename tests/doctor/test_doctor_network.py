"""``--live`` names the address of OpenRouter that does not work."""

from __future__ import annotations

import errno
import json
import socket
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from addresses import refusing_address, resolver_of, silent_address
from cases import case
from certificates import CertificateAuthority
from misbehaving import MisbehavingProvider, answer, hang, raw

from flask_openrouter.client.environment import CA_VARIABLES
from flask_openrouter.doctor.case import Case
from flask_openrouter.doctor.finding import Severity
from flask_openrouter.doctor.network import Network, _Failure

REFUSE = answer(403, {"error": {"code": 403, "message": "Invalid code"}})
SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "doctor.schema.json").read_text(encoding="utf-8")
)


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CertificateAuthority:
    authority = CertificateAuthority(tmp_path)
    for variable in CA_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    return authority


def examine(
    make_app: Any, base_url: str, *addresses: tuple[Any, ...], timeout: float = 10
) -> dict[str, Any]:
    """Return the findings of the check of the connection, by code."""
    network = Network(timeout=timeout, resolve=resolver_of(*addresses))
    app = make_app(OPENROUTER_BASE_URL=base_url)
    with app.app_context():
        return {finding.code: finding for finding in network.connect(Case.of(app))}


@pytest.mark.requirement("A2")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_address_that_never_answers_is_named(make_app: Any, host: str) -> None:
    with silent_address(host) as dead, MisbehavingProvider(REFUSE) as provider:
        found = examine(
            make_app, "http://localhost:1", dead, ("127.0.0.1", provider.port), timeout=4
        )
    (finding,) = found.values()
    assert (finding.code, finding.severity) == ("address_failed", Severity.WARNING)
    kind = "IPv6" if ":" in host else "IPv4"
    assert finding.title.startswith(f"{host}, one of the addresses of localhost, fails: Timeout")
    assert f"Repair the {kind} route" in finding.remedy


@pytest.mark.requirement("A2")
def test_an_address_that_refuses_at_once_is_named_without_alarm(make_app: Any) -> None:
    """As ::1 of localhost, where the emulator listens on 127.0.0.1 only."""
    with MisbehavingProvider(REFUSE) as provider:
        found = examine(
            make_app, "http://localhost:1", refusing_address(), ("127.0.0.1", provider.port)
        )
    (finding,) = found.values()
    assert (finding.code, finding.severity) == ("address_failed", Severity.OK)
    assert "127.0.0.1" in finding.title
    assert "ConnectionRefusedError" in finding.title


def test_a_machine_without_ipv6_is_no_alarm() -> None:
    for number in (errno.ENETUNREACH, errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
        with case(number):
            failure = _Failure(OSError(number, "Network is unreachable"), is_tls=False)
            assert failure.is_immediate
            assert failure.reason == "Network is unreachable"
    assert not _Failure(OSError(errno.EHOSTUNREACH, "No route"), is_tls=False).is_immediate


@pytest.mark.requirement("A2")
def test_an_address_whose_handshake_fails_is_named(
    make_app: Any, trusted: CertificateAuthority
) -> None:
    tls = trusted.server_context("gateway.example")
    wrong = trusted.server_context("other.example")
    for name, options in {
        "TimeoutError": {"on_connect": hang()},
        "fails": {"on_connect": raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")},
        "Hostname mismatch": {"tls": wrong},
    }.items():
        with (
            case(name),
            MisbehavingProvider(REFUSE, **options) as broken,
            MisbehavingProvider(REFUSE, tls=tls) as provider,
        ):
            addresses = [("127.0.0.1", broken.port), ("127.0.0.1", provider.port)]
            found = examine(make_app, "https://gateway.example", *addresses, timeout=5)
            (finding,) = found.values()
            assert (finding.code, finding.severity) == ("address_failed", Severity.WARNING)
            assert name in finding.title
            assert "what answers at this address" in finding.remedy


@pytest.mark.requirement("A2")
def test_each_address_is_named_if_all_fail(make_app: Any, trusted: CertificateAuthority) -> None:
    with silent_address() as dead, silent_address("127.0.0.2") as other:
        found = examine(
            make_app, "https://gateway.example", dead, other, ("127.0.0.3", dead[1]), timeout=0.5
        )
    finding = found["tcp_failed"]
    for address in ("127.0.0.1: TimeoutError", "127.0.0.2: TimeoutError", "127.0.0.3: Connection"):
        assert address in finding.title
    with MisbehavingProvider(on_connect=raw(b"no TLS at all")) as broken:
        addresses = [("127.0.0.1", broken.port), refusing_address()]
        found = examine(make_app, "https://gateway.example", *addresses)
    assert set(found) == {"tls_failed"}


def test_the_findings_match_the_schema(make_app: Any, diagnose: Any) -> None:
    with MisbehavingProvider(REFUSE) as provider, pytest.MonkeyPatch.context() as patch:
        addresses = resolver_of(("127.0.0.2", 1), ("127.0.0.1", provider.port))
        look_up = socket.getaddrinfo
        patch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *args, **options: (
                addresses(host, *args) if host == "localhost" else look_up(host, *args, **options)
            ),
        )
        url = f"http://localhost:{provider.port}"
        diagnosis = diagnose(make_app(OPENROUTER_BASE_URL=url), "--live")
    jsonschema.validate(diagnosis.document, SCHEMA)
    diagnosis.says("address_failed", "127.0.0.2", "takes no time")


@pytest.mark.requirement("A16")
def test_any_date_of_the_server_is_survived(make_app: Any, diagnose: Any) -> None:
    for date in (
        "Fri, 99 Foo 9999999 99:99:99 GMT",
        "Mon, 1 Jan 99999999999999999999 00:00:00 GMT",
        "1 Jan 0001 00:00:00 +2359",
        "Thu, 01 Jan 1970 00:00:00 -9999999",
        ",",
        "Mon, 01 Jan 2024 00:00:00 +99999999999999999999",
    ):
        with case(date), MisbehavingProvider([answer(200, {}, {"Date": date}), REFUSE]) as provider:
            diagnosis = diagnose(make_app(OPENROUTER_BASE_URL=provider.url), "--live")
            assert set(diagnosis.bad) <= {"clock_skew"}
