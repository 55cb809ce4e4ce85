"""The exchange of a code for a key, over real sockets."""

from __future__ import annotations

import json

import pytest
from cases import case
from misbehaving import MisbehavingProvider, answer, issue_key, raw, redirect_to
from polling import PATIENCE

from flask_openrouter.client import OpenRouterClient
from flask_openrouter.errors import (
    APIError,
    BadRequestError,
    CodeRefusedError,
    ConflictError,
    ForbiddenError,
    InvalidAnswerError,
    KeyRejectedError,
    MethodNotAllowedError,
    NotFoundError,
    OutOfCreditError,
    RateLimitError,
    ServerError,
)

KEY = "sk-or-v1-" + "0123456789abcdef" * 4
CODE = "auth_code-xyz_789"
VERIFIER = "v" * 43


def exchange(provider, *args):
    return OpenRouterClient(provider.url, timeout=PATIENCE).exchange_code(*args)


def test_exchange_returns_the_key_and_the_user():
    with MisbehavingProvider(issue_key(KEY, "user_2yOPc")) as provider:
        issued = exchange(provider, CODE, VERIFIER)
    assert (issued.api_key, issued.openrouter_user_id) == (KEY, "user_2yOPc")


@pytest.mark.requirement("R15")
def test_exchange_sends_these_three_fields_and_s256():
    with MisbehavingProvider(issue_key(KEY)) as provider:
        exchange(provider, CODE, VERIFIER)
    (request,) = provider.requests
    assert (request.method, request.path) == ("POST", "/api/v1/auth/keys")
    assert request.json == {
        "code": CODE,
        "code_verifier": VERIFIER,
        "code_challenge_method": "S256",
    }
    assert request.headers["content-type"] == "application/json"


def test_only_given_fields_are_sent():
    for arguments, body in [
        ((CODE,), {"code": CODE}),
        (
            (CODE, VERIFIER, "plain"),
            {"code": CODE, "code_verifier": VERIFIER, "code_challenge_method": "plain"},
        ),
    ]:
        with case(arguments, body):
            with MisbehavingProvider(issue_key(KEY)) as provider:
                exchange(provider, *arguments)
            assert provider.requests[0].json == body


@pytest.mark.requirement("R76", "R77")
def test_exchange_carries_no_credentials_and_no_cookies(tmp_path, monkeypatch):
    """F21: requests would turn ``.netrc`` into a Basic header."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    script = [answer(500, headers={"Set-Cookie": "a=b; Path=/"}), issue_key(KEY)]
    with MisbehavingProvider(script) as provider:
        client = OpenRouterClient(provider.url)
        with pytest.raises(ServerError):
            client.exchange_code(CODE, VERIFIER)
        client.exchange_code(CODE, VERIFIER)
    for request in provider.requests:
        assert set(request.header_names) == {
            "host",
            "accept-encoding",
            "user-agent",
            "accept",
            "content-type",
            "content-length",
        }
        assert request.headers["accept-encoding"] == "identity"


@pytest.mark.requirement("R9")
def test_what_cannot_be_a_code_is_not_sent():
    for code in [
        "",
        " ",
        "a b",
        "a\r\nb",
        "\x00abc",
        "\x7f",
        "é",
        "\U0001f600",
        "x" * 1_025,
        None,
        7,
        b"x",
    ]:
        with case(code), MisbehavingProvider(issue_key(KEY)) as provider:
            with pytest.raises(ValueError, match="code must be 1 to 1024"):
                exchange(provider, code, VERIFIER)
            assert provider.connections == 0


def test_malformed_pkce_arguments_are_not_sent():
    for verifier, method, problem in [
        ("v" * 42, None, "code_verifier must be"),
        ("", None, "code_verifier must be"),
        (7, None, "code_verifier must be"),
        (VERIFIER, "s256", "exactly"),
        (VERIFIER, "", "exactly"),
        (None, "S256", "needs a code_verifier"),
    ]:
        with case(verifier, method), MisbehavingProvider(issue_key(KEY)) as provider:
            with pytest.raises(ValueError, match=problem):
                exchange(provider, CODE, verifier, method)
            assert provider.connections == 0


@pytest.mark.requirement("F3", "F4", "F5", "F6", "F7", "F8")
def test_each_error_status_has_its_class_and_is_final():
    for status, error_class in [
        (400, CodeRefusedError),
        (403, CodeRefusedError),
        (401, KeyRejectedError),
        (402, OutOfCreditError),
        (404, NotFoundError),
        (405, MethodNotAllowedError),
        (409, ConflictError),
        (418, APIError),
        (429, RateLimitError),
        (500, ServerError),
        (502, ServerError),
        (503, ServerError),
        (504, ServerError),
        (529, ServerError),
    ]:
        with case(status, error_class):
            body = {"error": {"code": status, "message": "Authorization code expired"}}
            with MisbehavingProvider(answer(status, body, {"Retry-After": "60"})) as provider:
                with pytest.raises(APIError) as caught:
                    exchange(provider, CODE, VERIFIER)
                assert len(provider.exchanges) == 1
            error = caught.value
            assert type(error) is error_class
            assert not isinstance(error, BadRequestError | ForbiddenError)
            assert (error.status, error.upstream_message) == (status, "Authorization code expired")
            assert error.retry_after == 60


@pytest.mark.requirement("F8")
def test_html_of_an_error_page_is_not_shown():
    page = "<html><h1>502 Bad Gateway</h1></html>"
    with (
        MisbehavingProvider(answer(502, page, {"Content-Type": "text/html"})) as provider,
        pytest.raises(ServerError) as caught,
    ):
        exchange(provider, CODE, VERIFIER)
    assert caught.value.upstream_message == ""


@pytest.mark.requirement("R75")
def test_redirects_are_not_followed():
    for status in [300, 301, 302, 303, 307, 308]:
        with case(status):
            with MisbehavingProvider(issue_key(KEY)) as elsewhere:
                script = redirect_to(f"{elsewhere.url}/api/v1/auth/keys", status)
                with MisbehavingProvider(script) as provider:
                    with pytest.raises(InvalidAnswerError) as caught:
                        exchange(provider, CODE, VERIFIER)
                    assert len(provider.exchanges) == 1
                assert elsewhere.connections == 0
            assert caught.value.status == status


@pytest.mark.requirement("R81")
def test_other_successes_do_not_count():
    for status in [202, 203, 204, 205, 206, 226]:
        with case(status):
            with (
                MisbehavingProvider(answer(status, {"key": KEY})) as provider,
                pytest.raises(InvalidAnswerError) as caught,
            ):
                exchange(provider, CODE, VERIFIER)
            assert caught.value.status == status


@pytest.mark.requirement("R81")
def test_a_final_1xx_does_not_count():
    early = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    with (
        MisbehavingProvider(raw(early)) as provider,
        pytest.raises(InvalidAnswerError, match="HTTP 103"),
    ):
        exchange(provider, CODE, VERIFIER)


def quoted(text: str) -> bytes:
    return json.dumps({"key": text}).encode()


BAD_BODIES = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "a string": json.dumps(KEY).encode(),
    "a number": b"7",
    "an empty object": b"{}",
    "an error": b'{"error":{"code":400,"message":"Invalid code"}}',
    "key is null": b'{"key":null}',
    "key is a number": b'{"key":12345678}',
    "key is a list": b'{"key":["sk-or-v1-aaaaaaaa"]}',
    "key is an object": b'{"key":{"a":"b"}}',
    "key is true": b'{"key":true}',
    "key is empty": quoted(""),
    "key is a blank": quoted(" "),
    "key of blanks": quoted(" " * 20),
    "key is too short": quoted("sk-or-1"),
    "key is too long": quoted("s" * 513),
    "key of 10 kB": quoted("s" * 10_240),
    "key with a line end": quoted(KEY + "\n"),
    "key with a header": quoted(KEY + "\r\nX: y"),
    "key with a blank": quoted("sk-or v1-aaaaaaaa"),
    "key with a NUL": quoted(KEY + "\0"),
    "key with DEL": quoted(KEY + "\x7f"),
    "key with a lone surrogate": b'{"key":"sk-or-v1-aaaaaaaa\\ud800"}',
    "key with an accent": quoted("sk-or-v1-aaaaaaaé"),
    "two keys": b'{"key":"sk-or-v1-aaaaaaaa","key":"sk-or-v1-bbbbbbbb"}',
    "two equal keys": b'{"key":"sk-or-v1-aaaaaaaa","key":"sk-or-v1-aaaaaaaa"}',
    "wrapped": b'{"data":{"key":"sk-or-v1-aaaaaaaa"}}',
    "other capitals": b'{"Key":"sk-or-v1-aaaaaaaa"}',
    "NaN": b'{"key":"sk-or-v1-aaaaaaaa","x":NaN}',
    "Infinity": b'{"key":"sk-or-v1-aaaaaaaa","x":-Infinity}',
    "data after the end": quoted(KEY) + b"x",
    "two objects": quoted(KEY) * 2,
    "cut short": quoted(KEY)[:-1],
    "single quotes": b"{'key':'sk-or-v1-aaaaaaaa'}",
    "comment": b'/**/{"key":"sk-or-v1-aaaaaaaa"}',
    "BOM": b"\xef\xbb\xbf" + quoted(KEY),
    "UTF-16": json.dumps({"key": KEY}).encode("utf-16"),
    "UTF-16 without BOM": json.dumps({"key": KEY}).encode("utf-16-le"),
    "UTF-32": json.dumps({"key": KEY}).encode("utf-32"),
    "bad UTF-8": b'{"key":"sk-or-v1-aaaaaaaa","x":"\xff"}',
    "deep list": b"[" * 60_000,
    "deep object": b'{"a":' * 12_000,
    "deep inside": b'{"key":"sk-or-v1-aaaaaaaa","x":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "an integer of 5,000 digits": b'{"key":"sk-or-v1-aaaaaaaa","x":' + b"9" * 5_000 + b"}",
    "a captive portal (F19)": b"<html><a href='/login'>Free WiFi</a></html>",
}


@pytest.mark.requirement("R81", "R82", "F18")
def test_only_an_object_with_a_well_formed_key_counts():
    for name, body in BAD_BODIES.items():
        with case(name):
            with MisbehavingProvider(answer(200, body)) as provider:
                with pytest.raises(InvalidAnswerError) as caught:
                    exchange(provider, CODE, VERIFIER)
                assert len(provider.exchanges) == 1
            assert caught.value.status == 200
            assert str(caught.value) == "OpenRouter's response has no well-formed key"


@pytest.mark.requirement("R81")
def test_whatever_else_stands_beside_a_good_key_is_taken():
    for body, api_key, user_id in [
        ({"key": KEY, "user_id": None}, KEY, None),
        ({"key": KEY}, KEY, None),
        ({"key": KEY, "user_id": "user_1", "new": {"field": [1.5]}}, KEY, "user_1"),
        ({"key": KEY, "user_id": 7}, KEY, None),
        ({"key": KEY, "user_id": ""}, KEY, None),
        ({"key": KEY, "user_id": "a\nb"}, KEY, None),
        ({"key": KEY, "user_id": "x" * 256}, KEY, None),
        ({"key": KEY, "user_id": "x" * 255}, KEY, "x" * 255),
        ({"key": "another-prefix!"}, "another-prefix!", None),
        ({"key": "k" * 8}, "k" * 8, None),
        ({"key": "k" * 512}, "k" * 512, None),
    ]:
        with case(body, api_key, user_id):
            with MisbehavingProvider(answer(201, body)) as provider:
                issued = exchange(provider, CODE, VERIFIER)
            assert (issued.api_key, issued.openrouter_user_id) == (api_key, user_id)


def test_content_type_of_the_response_does_not_matter():
    with MisbehavingProvider(answer(200, {"key": KEY}, {"Content-Type": "text/plain"})) as provider:
        assert exchange(provider, CODE).api_key == KEY
