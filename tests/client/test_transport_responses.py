"""The outcome of one request: a complete response, or an error with a fixed sentence."""

from __future__ import annotations

import logging
import socket
import ssl

import pytest
import requests
import urllib3
from cases import case
from certificates import CertificateAuthority
from exchanges import CODE, KEY, VERIFIER, failure_of_exchange, timed_out_exchange, unused_port
from misbehaving import MisbehavingProvider, answer, hang, http_answer, issue_key, raw
from polling import PATIENCE

from flask_openrouter.client import OpenRouterClient
from flask_openrouter.client.transport import causes_of, is_network_error, is_timeout
from flask_openrouter.errors import InvalidAnswerError, TransportError

#: A body of the largest size that is read. Its last byte is part of the JSON.
LARGEST = (b'{"key":"%s"}' % KEY.encode()).rjust(65_536)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n"


def exchange(url):
    return OpenRouterClient(url, timeout=PATIENCE).exchange_code(CODE, VERIFIER)


# --- complete responses -----------------------------------------------------------------------


def test_the_largest_response_is_read_to_its_last_byte():
    for name, act in {
        "with a length": answer(200, LARGEST),
        "in a chunk": raw(CHUNKED % (len(LARGEST), LARGEST) + b"0\r\n\r\n", close=False),
        "until the end of the connection": raw(b"HTTP/1.1 200 OK\r\n\r\n" + LARGEST),
    }.items():
        with case(name), MisbehavingProvider(act) as provider:
            assert exchange(provider.url).api_key == KEY


def test_a_truncated_response_is_refused_even_if_its_json_is_complete():
    """All of the JSON arrived, but not the end of the response."""
    for length in [200, 65_535, 65_536]:
        with case(length):
            body = LARGEST[-length:]
            for act in (
                raw(CHUNKED % (length, body)),
                raw(http_answer(200, body, length=length + 1)),
            ):
                with MisbehavingProvider([act, issue_key(KEY)]) as provider:
                    with pytest.raises((TransportError, InvalidAnswerError)):
                        exchange(provider.url)
                    assert len(provider.exchanges) == 1


def test_a_response_whose_length_is_too_large_is_refused_at_once():
    """The body is not read."""
    act = hang(after=http_answer(200, b"", length=65_537))
    with MisbehavingProvider(act) as provider:
        error, seconds = failure_of_exchange(provider.url)
    assert type(error) is InvalidAnswerError
    assert seconds < PATIENCE / 2


# --- what is sent -----------------------------------------------------------------------------


def test_the_library_names_itself_and_asks_for_no_compression():
    with MisbehavingProvider(issue_key(KEY)) as provider:
        exchange(provider.url)
    (request,) = provider.requests
    assert request.headers["user-agent"] == "Flask-OpenRouter"
    assert request.headers["accept-encoding"] == "identity"


def test_each_request_has_its_own_method_path_and_headers():
    with MisbehavingProvider(issue_key(KEY)) as provider:
        transport = OpenRouterClient(provider.url)._transport
        for method, path in [("GET", "/a"), ("POST", "/a"), ("GET", "/b"), ("GET", "/a")]:
            transport.send(method, path, {"X-Of": path}, None, PATIENCE)
    sent = [(r.method, r.path, r.headers["x-of"]) for r in provider.requests]
    assert sent == [
        ("GET", "/a", "/a"),
        ("POST", "/a", "/a"),
        ("GET", "/b", "/b"),
        ("GET", "/a", "/a"),
    ]


def test_no_header_of_one_request_is_in_the_next():
    with MisbehavingProvider(issue_key(KEY)) as provider:
        transport = OpenRouterClient(provider.url)._transport
        transport.send("POST", "/a", {"Authorization": "Bearer x"}, {"a": "secret"}, PATIENCE)
        transport.send("POST", "/a", {}, {}, PATIENCE)
    assert "authorization" not in provider.requests[1].headers
    assert provider.requests[1].body == b"{}"


# --- log and messages -------------------------------------------------------------------------


def test_the_log_has_the_request_and_its_outcome(caplog):
    caplog.set_level(logging.DEBUG, logger="flask_openrouter")
    with MisbehavingProvider([answer(500), raw(b"")]) as provider:
        for _ in range(2):
            failure_of_exchange(provider.url)
    assert caplog.record_tuples == [
        ("flask_openrouter", logging.DEBUG, "POST /api/v1/auth/keys: HTTP 500"),
        ("flask_openrouter", logging.DEBUG, "POST /api/v1/auth/keys: TransportError"),
    ]


def test_a_network_failure_is_not_logged_as_an_error(caplog):
    with MisbehavingProvider(raw(b"")) as provider:
        failure_of_exchange(provider.url)
    failure_of_exchange(f"http://127.0.0.1:{unused_port()}")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_bug_is_logged_with_its_line(monkeypatch, caplog):
    def broken(*arguments, **options):
        raise ZeroDivisionError

    monkeypatch.setattr(socket, "getaddrinfo", broken)
    failure_of_exchange("https://gateway.example")
    line = broken.__code__.co_firstlineno + 1
    assert [record.getMessage() for record in caplog.records] == [
        f"unexpected ZeroDivisionError at {__file__}:{line}"
    ]


def test_each_failure_has_its_own_sentence(tmp_path):
    tls = CertificateAuthority(tmp_path).server_context("127.0.0.1")
    sentences = {}
    with MisbehavingProvider(hang()) as provider:
        sentences["slow"] = timed_out_exchange(provider, 1.5)[0]
    with MisbehavingProvider(issue_key(KEY), tls=tls) as provider:
        sentences["untrusted"] = failure_of_exchange(provider.url)[0]
    assert {name: (str(error), error.was_sent) for name, error in sentences.items()} == {
        "slow": ("OpenRouter did not answer within the time limit", True),
        "untrusted": (
            "OpenRouter's certificate could not be verified, so nothing was sent",
            False,
        ),
    }


def test_a_bundle_that_cannot_be_read_is_named_with_its_remedy(monkeypatch, tmp_path):
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(empty))
    with pytest.raises(Exception, match="bundle") as caught:
        exchange("https://openrouter.ai")
    assert str(caught.value) == (
        "The certificate bundle of the environment (REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE,"
        " SSL_CERT_FILE) cannot be read; correct or unset it"
    )


# --- what an exception means ------------------------------------------------------------------


def test_every_wrapped_exception_is_found():
    """Python's cause and context, urllib3's reason, and the arguments as requests uses them."""
    inner = TimeoutError("too slow")
    cause, context = RuntimeError("cause"), RuntimeError("context")
    cause.__cause__, context.__context__ = inner, inner
    reason = urllib3.exceptions.MaxRetryError(None, "/", inner)
    for error in (inner, cause, context, reason, RuntimeError("x", inner)):
        assert inner in list(causes_of(error))
        assert is_timeout(error)
        assert is_network_error(error)
        assert is_timeout(requests.ConnectionError(RuntimeError(error)))
    assert not is_timeout(RuntimeError("x", "TimeoutError", TimeoutError))
    assert not is_network_error(RuntimeError("x"))
    assert not is_timeout(ssl.SSLError("x"))


def test_exceptions_that_wrap_each_other_do_not_loop():
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__context__, other.__context__ = other, one
    assert list(causes_of(one)) == [one, other]
