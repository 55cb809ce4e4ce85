"""TLS is always verified. A failure comes before anything is sent."""

from __future__ import annotations

import datetime
import shutil
import ssl
import subprocess
import time

import pytest
from certificates import CertificateAuthority
from components import require
from exchanges import CODE, KEY, VERIFIER, timed_out_exchange
from misbehaving import (
    MisbehavingProvider,
    drip,
    hang,
    http_answer,
    issue_key,
    raw,
    tunnel_to,
)
from polling import PATIENCE

from flask_openrouter.client import OpenRouterClient, deadline
from flask_openrouter.client.environment import CA_VARIABLES
from flask_openrouter.errors import ConfigurationError, TransportError

DAY = datetime.timedelta(days=1)


@pytest.fixture(autouse=True)
def trusted(tmp_path, monkeypatch):
    """A certificate authority that the environment names as the only trusted one."""
    authority = CertificateAuthority(tmp_path)
    for variable in CA_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    return authority


def exchange(provider):
    return OpenRouterClient(provider.url, timeout=PATIENCE).exchange_code(CODE, VERIFIER)


def test_verified_certificate_is_accepted_and_the_connection_kept(trusted):
    with MisbehavingProvider(issue_key(KEY), tls=trusted.server_context("127.0.0.1")) as provider:
        client = OpenRouterClient(provider.url)
        for _ in range(5):
            assert client.exchange_code(CODE, VERIFIER).api_key == KEY
        client.api_session(KEY).get("models")
        assert (provider.handshakes, len(provider.requests)) == (1, 6)


def test_public_authorities_are_trusted_unless_the_environment_says_otherwise(trusted, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with MisbehavingProvider(issue_key(KEY), tls=trusted.server_context("127.0.0.1")) as provider:
        client = OpenRouterClient(provider.url)
        with pytest.raises(TransportError, match="certificate"):
            client.exchange_code(CODE, VERIFIER)
    assert len(client._transport.adapter._tls.get_ca_certs()) > 50


def test_clients_with_the_same_authorities_read_them_once(trusted, monkeypatch):
    first, second = (OpenRouterClient(f"https://{name}.example") for name in ("one", "two"))
    assert first._transport.adapter._tls is second._transport.adapter._tls
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    other = OpenRouterClient("https://one.example")
    assert other._transport.adapter._tls is not first._transport.adapter._tls


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_each_variable_names_the_bundle(trusted, monkeypatch, variable):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.setenv(variable, str(trusted.bundle))
    with MisbehavingProvider(issue_key(KEY), tls=trusted.server_context("127.0.0.1")) as provider:
        assert exchange(provider).api_key == KEY


def test_bundle_may_be_a_directory(trusted, monkeypatch, tmp_path):
    """The directory is empty, so nothing is trusted."""
    empty = tmp_path / "certificates"
    empty.mkdir()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(empty))
    with (
        MisbehavingProvider(issue_key(KEY), tls=trusted.server_context("127.0.0.1")) as provider,
        pytest.raises(TransportError, match="certificate"),
    ):
        exchange(provider)


def test_a_directory_of_certificates_is_trusted(trusted, monkeypatch, tmp_path):
    """In the form that ``openssl rehash`` makes, as in /etc/ssl/certs."""
    if shutil.which("openssl") is None:
        require("openssl", "a directory of certificates is made with it")
    directory = tmp_path / "certificates"
    directory.mkdir()
    shutil.copy(trusted.bundle, directory / "authority.pem")
    subprocess.run(["openssl", "rehash", directory], check=True)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(directory))
    with MisbehavingProvider(issue_key(KEY), tls=trusted.server_context("127.0.0.1")) as provider:
        assert exchange(provider).api_key == KEY


def test_missing_bundle_is_named_at_once(monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nowhere.pem"))
    with pytest.raises(ConfigurationError, match="REQUESTS_CA_BUNDLE names a file that does not"):
        OpenRouterClient()


def test_bundle_without_certificates_is_named(monkeypatch, tmp_path):
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(empty))
    client = OpenRouterClient()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        client.exchange_code(CODE, VERIFIER)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        client.api_session(KEY).get("models")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        client.preload()


@pytest.mark.requirement("R74", "F12")
@pytest.mark.parametrize(
    ("hosts", "options"),
    [
        (["127.0.0.1"], {"self_signed": True}),
        (["127.0.0.1"], {"valid_from": -2 * DAY, "valid_until": -DAY}),
        (["127.0.0.1"], {"valid_from": DAY, "valid_until": 2 * DAY}),
        (["openrouter.ai"], {}),
        (["127.0.0.2"], {}),
    ],
    ids=["self-signed", "expired", "not yet valid", "wrong name", "wrong address"],
)
def test_bad_certificate_gets_no_request(trusted, hosts, options):
    tls = trusted.server_context(*hosts, **options)
    with MisbehavingProvider(issue_key(KEY), tls=tls) as provider:
        client = OpenRouterClient(provider.url)
        with pytest.raises(TransportError, match="certificate could not be verified") as caught:
            client.exchange_code(CODE, VERIFIER)
        assert not caught.value.was_sent
        with pytest.raises(TransportError, match="certificate could not be verified"):
            client.api_session(KEY).get("models", verify=False)
        assert provider.requests == []


@pytest.mark.requirement("R74")
def test_other_authority_is_not_trusted(trusted, tmp_path):
    (tmp_path / "other").mkdir()
    other = CertificateAuthority(tmp_path / "other")
    with MisbehavingProvider(issue_key(KEY), tls=other.server_context("127.0.0.1")) as provider:
        with pytest.raises(TransportError, match="certificate"):
            exchange(provider)
        assert provider.requests == []


@pytest.mark.requirement("F12")
def test_old_tls_gets_no_request(trusted):
    tls = trusted.server_context("127.0.0.1")
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        tls.maximum_version = ssl.TLSVersion.TLSv1_1
    with MisbehavingProvider(issue_key(KEY), tls=tls) as provider:
        with pytest.raises(TransportError) as caught:
            exchange(provider)
        assert not caught.value.was_sent
        assert provider.requests == []


def test_plain_http_on_a_tls_port_gets_no_request(trusted):
    on_connect = raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    tls = trusted.server_context("127.0.0.1")
    with MisbehavingProvider(on_connect=on_connect, tls=tls) as provider:
        with pytest.raises(TransportError) as caught:
            exchange(provider)
        assert not caught.value.was_sent


@pytest.mark.requirement("R78")
@pytest.mark.parametrize(
    "on_connect", [hang(), drip(b"\x16\x03\x03\x40\x00" + b"\x00" * 500, 0.02)]
)
def test_handshake_counts_as_connecting(trusted, monkeypatch, on_connect):
    monkeypatch.setattr(deadline, "CONNECT_SECONDS", 0.4)
    tls = trusted.server_context("127.0.0.1")
    with MisbehavingProvider(on_connect=on_connect, tls=tls) as provider:
        started = time.monotonic()
        with pytest.raises(TransportError) as caught:
            exchange(provider)
        # time: the limit of the connection, 1.6 s, and not that of the call, 60 s
        assert time.monotonic() - started < 30
        session = OpenRouterClient(provider.url).api_session(KEY, timeout=(0.4, 9))
        with pytest.raises(TransportError):
            session.get("models")
        # time: likewise, and not the limit of reading, 9 s
        assert time.monotonic() - started < 9
    assert (type(caught.value), caught.value.was_sent) == (TransportError, False)


@pytest.mark.requirement("R78", "F15")
@pytest.mark.parametrize(
    "act",
    [
        hang(),
        drip(http_answer(200, {"key": KEY}), 0.1),
        drip(b" " * 1000, 0.03, after=http_answer(200, length=1000)),
    ],
)
def test_time_limit_holds_under_tls(trusted, act):
    with MisbehavingProvider(act, tls=trusted.server_context("127.0.0.1")) as provider:
        _, seconds = timed_out_exchange(provider, 1.2)
    # time: ten times the limit; the responses would take longer, or for ever
    assert 1.1 < seconds < 12


@pytest.mark.requirement("R80")
def test_kept_tls_connection_that_was_closed_is_replaced(trusted):
    with MisbehavingProvider(issue_key(KEY), tls=trusted.server_context("127.0.0.1")) as provider:
        client = OpenRouterClient(provider.url)
        for number in range(1, 4):
            assert client.exchange_code(CODE, VERIFIER).api_key == KEY
            assert (provider.handshakes, len(provider.exchanges)) == (number, number)
            provider.drop_connections()


def tunnelled(trusted, act, proxy_tls=None):
    """Return a provider with a name of its own, and a proxy that leads to it."""
    provider = MisbehavingProvider(
        act, tls=trusted.server_context("gateway.example"), host="gateway.example"
    )
    return provider, MisbehavingProvider(tunnel_to(provider.port), tls=proxy_tls)


@pytest.mark.requirement("R76")
@pytest.mark.parametrize("is_secure", [False, True])
def test_proxy_of_the_environment_is_used(trusted, monkeypatch, is_secure):
    proxy_tls = trusted.server_context("127.0.0.1") if is_secure else None
    provider, proxy = tunnelled(trusted, issue_key(KEY), proxy_tls)
    with provider, proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        client = OpenRouterClient(provider.url)
        assert client.exchange_code(CODE, VERIFIER).api_key == KEY
        assert client.api_session(KEY).post("chat/completions", json={}).status_code == 200
        assert (proxy.connections, provider.handshakes) == (1, 1)
    (request,) = proxy.requests
    assert (request.method, request.path) == ("CONNECT", f"gateway.example:{provider.port}")
    assert "authorization" not in request.headers


@pytest.mark.requirement("R78")
@pytest.mark.parametrize("is_secure", [False, True])
def test_time_limit_holds_through_a_proxy(trusted, monkeypatch, is_secure):
    proxy_tls = trusted.server_context("127.0.0.1") if is_secure else None
    provider, proxy = tunnelled(trusted, drip(http_answer(200, {"key": KEY}), 0.1), proxy_tls)
    with provider, proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        _, seconds = timed_out_exchange(provider, 1.2)
    # time: ten times the limit; the response would take much longer
    assert seconds < 12


@pytest.mark.requirement("R74")
def test_certificate_is_checked_behind_a_proxy(trusted, monkeypatch):
    provider, proxy = tunnelled(trusted, issue_key(KEY))
    provider.url = provider.url.replace("gateway.example", "another.example")
    with provider, proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(TransportError, match="certificate") as caught:
            exchange(provider)
        assert provider.requests == []
    assert not caught.value.was_sent
