"""Bodies, JSON and errors of responses, without a socket."""

from __future__ import annotations

import gzip
import json
import zlib
from datetime import datetime, timedelta, timezone

import pytest
from cases import case
from hypothesis import given
from hypothesis import strategies as st

from flask_openrouter.client.models import parse_object
from flask_openrouter.client.responses import (
    APIResponse,
    clean_message,
    error_from,
    parse_retry_after,
)
from flask_openrouter.client.transport import MAX_RESPONSE_BYTES, decode_body
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
    PayloadTooLargeError,
    ProviderError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    UnprocessableError,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)


def error_body(message, **more):
    return json.dumps({"error": {"code": 1, "message": message, **more}}).encode()


def test_every_documented_status_has_a_class():
    for status, error_class, is_retryable in [
        (400, BadRequestError, False),
        (401, KeyRejectedError, False),
        (402, OutOfCreditError, False),
        (403, ForbiddenError, False),
        (404, NotFoundError, False),
        (405, MethodNotAllowedError, False),
        (408, RequestTimeoutError, True),
        (409, ConflictError, True),
        (413, PayloadTooLargeError, False),
        (418, APIError, False),
        (422, UnprocessableError, False),
        (429, RateLimitError, True),
        (500, ServerError, True),
        (524, ServerError, True),
        (599, ServerError, True),
    ]:
        with case(status, error_class, is_retryable):
            error = error_from(status, {}, error_body("Why"))
            assert type(error) is error_class
            assert (error.status, error.upstream_message, error.is_retryable) == (
                status,
                "Why",
                is_retryable,
            )
            assert (error.request_id, error.retry_after) == (None, None)


def test_a_status_that_is_not_an_error_is_an_invalid_answer():
    for status in [100, 199, 204, 302, 399, 600, 999]:
        with case(status):
            error = error_from(status, {}, b"")
            assert isinstance(error, InvalidAnswerError)
            assert error.status == status


def test_403_for_a_spent_limit_is_out_of_credit():
    for body in [
        error_body("Key limit exceeded. Manage it using https://openrouter.ai/keys"),
        error_body("KEY LIMIT EXCEEDED (monthly limit)"),
        error_body("Insufficient credits. Add more"),
        error_body("The workspace budget for today is exhausted"),
        error_body("Forbidden", metadata={"limit_source": "openrouter_credits"}),
        error_body("Forbidden", metadata={"limit_source": "openrouter_key_limit"}),
    ]:
        with case(body):
            error = error_from(403, {}, body)
            assert type(error) is OutOfCreditError
            assert error.status == 403
            assert error.settings_url == "https://openrouter.ai/settings/credits"


def test_another_403_is_forbidden():
    for body in [
        error_body("Your chosen model requires moderation and your input was flagged"),
        error_body("Only management keys can perform this operation"),
        error_body("You wrote: key limit exceeded"),
        error_body("Your credits were spent"),
        error_body("Forbidden", metadata={"limit_source": "openrouter_shared"}),
        error_body("Forbidden", metadata={"limit_source": 7}),
        error_body("Forbidden", metadata=["key limit"]),
        error_body(None),
        error_body(["key limit"]),
        b"key limit exceeded",
        None,
    ]:
        with case(body):
            assert type(error_from(403, {}, body)) is ForbiddenError


def test_an_error_that_names_a_provider_is_the_providers():
    for status in [401, 402, 403, 404]:
        for metadata in [
            {"raw": "invalid x-api-key", "provider_name": "Anthropic"},
            {"provider_name": "Venice", "is_byok": False},
            {"provider_code": "insufficient_quota"},
            {"provider_code": 401},
            {"provider_error_code": "insufficient_quota"},
            {"raw": "invalid x-api-key"},
            {"raw": {"error": "invalid x-api-key"}},
            {"raw": "nothing left", "provider_name": None},
        ]:
            with case(status, metadata):
                error = error_from(
                    status, {}, error_body("Provider returned error", metadata=metadata)
                )
                assert type(error) is ProviderError
                assert (error.status, error.upstream_message) == (status, "Provider returned error")
                assert not error.is_retryable


def test_a_providers_trouble_is_retryable_as_openrouters_is():
    for status, is_retryable in [(400, False), (429, True), (502, True)]:
        with case(status, is_retryable):
            error = error_from(status, {}, error_body("Busy", metadata={"provider_name": "Venice"}))
            assert type(error) is ProviderError
            assert error.is_retryable is is_retryable


def test_an_error_that_names_no_provider_is_openrouters():
    for status, kind in [(401, KeyRejectedError), (402, OutOfCreditError)]:
        for metadata in [
            None,
            {},
            {"provider_name": None},
            {"provider_name": "", "provider_code": "", "raw": ""},
            {"provider_name": None, "provider_code": None, "raw": None},
            ["provider_name"],
            "provider_name",
        ]:
            with case(status, kind, metadata):
                assert type(error_from(status, {}, error_body("No", metadata=metadata))) is kind


def test_moderation_is_decided_before_the_provider_and_the_credit():
    """OpenRouter names the moderated provider, and its message may quote the visitor."""
    for provider in [{}, {"provider_name": "OpenAI"}, {"raw": "flagged"}]:
        with case(provider):
            metadata = {
                "reasons": ["violence"],
                "flagged_input": "My credit limit was reached",
                **provider,
            }
            body = error_body("Flagged: my credit limit was reached", metadata=metadata)
            assert type(error_from(403, {}, body)) is ForbiddenError


def test_a_403_without_reasons_that_names_a_provider_is_the_providers():
    body = error_body("Key limit exceeded", metadata={"reasons": [], "provider_name": "OpenAI"})
    assert type(error_from(403, {}, body)) is ProviderError


def test_the_error_class_that_a_call_gives_a_status_comes_first():
    body = error_body("No", metadata={"raw": "invalid code"})
    error = error_from(400, {}, body, meanings={400: CodeRefusedError})
    assert type(error) is CodeRefusedError


@pytest.mark.requirement("R69")
def test_upstream_message_is_one_short_printable_line():
    for body, message in [
        (b'{"error":"in plain"}', "in plain"),
        (b'{"error":["x"]}', ""),
        (b'{"message":"elsewhere"}', ""),
        (b"[]", ""),
        (b"<html>", ""),
        (None, ""),
        (error_body("a\r\nCRITICAL forged\x1b[2J\u202eb\x00  c "), "a CRITICAL forged [2J b c"),
        (error_body("\ud800x"), "x"),
        (error_body("x" * 201), "x" * 200),
        (error_body("x" * 199 + " yz"), "x" * 199),
    ]:
        with case(body, message):
            assert error_from(400, {}, body).upstream_message == message


@pytest.mark.requirement("R64")
def test_what_was_sent_is_removed_from_the_message_before_it_is_cut():
    secret = "c0de/with+odd=characters"
    message = "x" * 191 + f" {secret} c0de%2Fwith%2Bodd%3Dcharacters sk-or-v1-0123456789abcdef"
    error = error_from(400, {}, error_body(message), secrets=(secret, None))
    assert "c0de" not in error.upstream_message
    assert error.upstream_message.endswith("[removed")
    assert clean_message(message[192:], [secret]) == "[removed] [removed] [removed]"


@pytest.mark.requirement("R64")
def test_answer_does_not_show_its_body():
    assert repr(APIResponse(200, {"a": "secret"}, b"secret")) == "APIResponse(status=200)"


def test_request_id_comes_from_the_headers():
    for headers, request_id in [
        ({"x-request-id": "req_1", "cf-ray": "8a-FRA"}, "req_1"),
        ({"cf-ray": "8a-FRA"}, "8a-FRA"),
        ({"x-request-id": "a b", "cf-ray": "8a-FRA"}, "8a-FRA"),
        ({"x-request-id": "x" * 129}, None),
        ({"x-request-id": ""}, None),
        ({"x-request-id": "the-code"}, "[removed]"),
    ]:
        with case(headers, request_id):
            assert error_from(500, headers, None, secrets=["the-code"]).request_id == request_id


def test_retry_after_is_seconds_or_a_date():
    for value, seconds in [
        (None, None),
        ("0", 0),
        ("30", 30),
        (" 1.5 ", 1.5),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("9" * 400, None),
        ("soon", None),
        ("", None),
        ("Fri, 20 Nov 2026 12:00:30 GMT", 30),
        ("Fri, 20 Nov 2026 12:00:30 -0000", 30),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0),
        ("Fri, 99 Nov 2026 11:00:00 GMT", None),
        ("Fri, 20 Nov 2026 07" + "8" * 30 + ":00 GMT", None),
    ]:
        with case(value, seconds):
            assert parse_retry_after(value, NOW) == seconds


def test_retry_after_date_is_counted_from_now():
    later = datetime.now(timezone.utc) + timedelta(seconds=100)
    seconds = parse_retry_after(later.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    assert seconds is not None
    assert 90 < seconds <= 100


@given(st.text(max_size=80))
def test_no_retry_after_breaks_the_reader(value):
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or seconds >= 0


@given(st.binary(max_size=200))
def test_no_body_breaks_the_reader(body):
    parsed = parse_object(body)
    assert parsed is None or isinstance(parsed, dict)


@given(
    st.dictionaries(st.text(), st.none() | st.booleans() | st.floats(allow_nan=False) | st.text())
)
def test_every_json_object_is_read(value):
    if any(x in (float("inf"), float("-inf")) for x in value.values()):
        return
    assert parse_object(json.dumps(value).encode()) == value


BODY = b'{"key":"value"}'


def raw_deflate(data):
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def test_one_compression_is_undone():
    for body, encoding in [
        (BODY, ""),
        (BODY, "identity"),
        (gzip.compress(BODY), "gzip"),
        (gzip.compress(BODY), " X-GZip "),
        (zlib.compress(BODY), "deflate"),
        (raw_deflate(BODY), "deflate"),
    ]:
        with case(body, encoding):
            assert decode_body(body, encoding) == BODY


@pytest.mark.requirement("R79")
def test_other_encodings_and_too_much_are_refused():
    for body, encoding in [
        (gzip.compress(gzip.compress(BODY)), "gzip, gzip"),
        (gzip.compress(BODY), "gzip, identity"),
        (gzip.compress(BODY), "br"),
        (gzip.compress(BODY), "zstd"),
        (gzip.compress(BODY), "deflate"),
        (BODY, "gzip"),
        (BODY, "deflate"),
        (gzip.compress(BODY)[:-1], "gzip"),
        (gzip.compress(BODY) + b"more", "gzip"),
        (gzip.compress(BODY) * 2, "gzip"),
        (gzip.compress(bytes(MAX_RESPONSE_BYTES + 1)), "gzip"),
        (zlib.compress(bytes(MAX_RESPONSE_BYTES + 1)), "deflate"),
        (b"", "gzip"),
    ]:
        with case(body, encoding):
            assert decode_body(body, encoding) is None


@pytest.mark.requirement("R79")
def test_exactly_64_kib_are_decoded():
    assert decode_body(gzip.compress(bytes(MAX_RESPONSE_BYTES)), "gzip") == bytes(
        MAX_RESPONSE_BYTES
    )
