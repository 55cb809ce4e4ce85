"""Responses, errors and streams of the session that a view uses."""

from __future__ import annotations

import gzip
import io
import json
import threading
import time

import pytest
import requests
from cases import case
from misbehaving import (
    MisbehavingProvider,
    answer,
    drip,
    flood,
    hang,
    http_answer,
    raw,
    reset,
)

from flask_openrouter.client import OpenRouterClient
from flask_openrouter.errors import (
    InvalidAnswerError,
    KeyRejectedError,
    OpenRouterError,
    OutOfCreditError,
    RateLimitError,
    ServerError,
    TransportError,
    TransportTimeoutError,
)

KEY = "sk-or-v1-" + "0123456789abcdef" * 4
GOOD = answer(200, {"data": []})


def session_for(provider, key=KEY, **options):
    return OpenRouterClient(provider.url).api_session(key, **options)


def error(message="No", **more):
    return {"error": {"code": 1, "message": message, **more}}


@pytest.mark.requirement("R99", "F43")
def test_401_means_that_the_key_is_dead():
    calls = []
    with MisbehavingProvider(answer(401, error("User not found."), {"CF-Ray": "8a"})) as provider:
        session = session_for(provider, on_unauthorized=lambda *given: calls.append(given))
        for _ in range(2):
            with pytest.raises(KeyRejectedError) as caught:
                session.post("chat/completions", json={})
        assert provider.connections == 1
    assert [type(error) for error, _ in calls] == [KeyRejectedError, KeyRejectedError]
    assert all(0 < seconds <= 60 for _, seconds in calls)
    assert (caught.value.status, caught.value.upstream_message) == (401, "User not found.")
    assert caught.value.request_id == "8a"


def test_401_is_raised_without_on_unauthorized_as_well():
    with MisbehavingProvider(answer(401)) as provider, pytest.raises(KeyRejectedError):
        session_for(provider).get("models", stream=True)


@pytest.mark.requirement("R99", "F44")
def test_out_of_credit_keeps_the_key():
    for status, body in [
        (402, error("Insufficient credits. Add more")),
        (403, error("Key limit exceeded. Manage it using https://openrouter.ai/keys")),
    ]:
        with case(status, body):
            calls = []
            with MisbehavingProvider(answer(status, body)) as provider:
                session = session_for(
                    provider, on_unauthorized=lambda *given, calls=calls: calls.append(given)
                )
                with pytest.raises(OutOfCreditError) as caught:
                    session.post("chat/completions", json={})
            assert caught.value.status == status
            assert caught.value.settings_url == f"{provider.url}/settings/credits"
            assert calls == []


def test_a_providers_refusal_is_returned_whole():
    """OpenRouter relays it. It says nothing about the visitor's key or credit."""
    for status in [401, 402, 403]:
        for stream in [False, True]:
            for compressed in [False, True]:
                with case(status, stream, compressed):
                    calls = []
                    metadata = {"raw": "invalid x-api-key", "provider_name": "Anthropic"}
                    body = json.dumps(error("Provider returned error", metadata=metadata)).encode()
                    headers = {"X-A": "b"} | ({"Content-Encoding": "gzip"} if compressed else {})
                    act = answer(status, gzip.compress(body) if compressed else body, headers)
                    with MisbehavingProvider(act) as provider:
                        session = session_for(
                            provider,
                            on_unauthorized=lambda *given, calls=calls: calls.append(given),
                        )
                        for _ in range(2):
                            reply = session.post("chat/completions", json={}, stream=stream)
                            assert (reply.status_code, reply.headers["x-a"]) == (status, "b")
                            assert reply.json()["error"]["metadata"] == metadata
                        assert provider.connections == 1
                    assert calls == []
                    assert "authorization" not in reply.request.headers


def test_another_403_is_returned_whole():
    for stream in [False, True]:
        for compressed in [False, True]:
            with case(stream, compressed):
                body = json.dumps(error("Your input was flagged")).encode()
                headers = {"X-A": "b"} | ({"Content-Encoding": "gzip"} if compressed else {})
                act = answer(403, gzip.compress(body) if compressed else body, headers)
                with MisbehavingProvider(act) as provider:
                    session = session_for(provider)
                    for _ in range(2):
                        reply = session.post("chat/completions", json={}, stream=stream)
                        assert (reply.status_code, reply.headers["x-a"]) == (403, "b")
                        assert reply.json()["error"]["message"] == "Your input was flagged"
                    assert provider.connections == 1


@pytest.mark.requirement("R79")
def test_error_body_is_read_to_64_kib_only():
    body = b" " * 1_000_000
    with MisbehavingProvider(
        [raw(http_answer(403, body)), raw(http_answer(401, body))]
    ) as provider:
        session = session_for(provider)
        assert len(session.get("models").content) == 65_536
        with pytest.raises(KeyRejectedError):
            session.get("models")


@pytest.mark.requirement("R79")
def test_error_body_is_inflated_to_64_kib_only():
    bomb = gzip.compress(bytes(10_000_000))
    for stream in (False, True):
        with (
            case(stream),
            MisbehavingProvider(answer(500, bomb, {"Content-Encoding": "gzip"})) as provider,
        ):
            reply = session_for(provider).get("models", stream=stream)
            assert reply.status_code == 500
            assert len(reply.content) <= 65_536


def test_an_error_whose_body_is_cut_off_keeps_its_status():
    body = json.dumps(error()).encode()
    headers = {"Retry-After": "7"}
    for status, kind in [(401, KeyRejectedError), (429, RateLimitError), (503, ServerError)]:
        for name, act in {
            "too short": raw(http_answer(status, body, headers, length=999)),
            "empty": raw(http_answer(status, b"", headers, length=999)),
            "reset": reset(after=http_answer(status, body, headers, length=999)),
            "silent": hang(after=http_answer(status, body, headers, length=999)),
        }.items():
            for stream in (False, True):
                with case(status, name, stream), MisbehavingProvider(act) as provider:
                    session = session_for(provider, timeout=(30, 0.2))
                    with pytest.raises(kind) as caught:
                        session.get("models", stream=stream).raise_for_status()
                    assert (caught.value.status, caught.value.retry_after) == (status, 7)


def test_every_other_response_is_returned_unchanged():
    for status in [200, 204, 400, 404, 408, 409, 422, 429, 500, 503]:
        act = answer(status, b"" if status == 204 else error())
        with case(status), MisbehavingProvider(act) as provider:
            assert session_for(provider).get("models").status_code == status


def test_large_and_compressed_responses_are_not_limited():
    body = gzip.compress(json.dumps({"data": "x" * 1_000_000}).encode())
    with MisbehavingProvider(answer(200, body, {"Content-Encoding": "gzip"})) as provider:
        assert len(session_for(provider).get("models").json()["data"]) == 1_000_000
    assert provider.requests[0].headers["accept-encoding"] == "gzip, deflate"


def test_stream_arrives_as_it_is_sent_and_may_exceed_the_clients_timeout():
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    first_was_read = threading.Event()

    def stream(connection):
        connection.send(head + b"data: 0\n\n")
        if first_was_read.wait(60):
            drip(b"data: 1\n\ndata: 2\n\n", 0.02)(connection)

    with MisbehavingProvider(stream) as provider:
        client = OpenRouterClient(provider.url, timeout=0.2)
        started = time.monotonic()
        with client.api_session(KEY).post("chat/completions", json={}, stream=True) as reply:
            lines = reply.iter_lines(chunk_size=1)
            assert next(lines) == b"data: 0"
            first_was_read.set()
            assert [line for line in lines if line] == [b"data: 1", b"data: 2"]
    # time: a lower bound, which a slow machine only exceeds by more
    assert time.monotonic() - started > 0.3


def test_stream_that_is_closed_early_closes_the_connection():
    """The model's answer costs money; OpenRouter stops it when the connection closes."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    gone = threading.Event()

    def stream(connection):
        flood(b"data: x\n\n", after=head)(connection)
        gone.set()

    with MisbehavingProvider(stream) as provider:
        with session_for(provider).post("chat/completions", json={}, stream=True) as reply:
            next(reply.iter_lines())
        assert gone.wait(60)


def test_time_limit_is_for_the_next_bytes_and_cannot_be_switched_off():
    with MisbehavingProvider(hang()) as provider:
        session = session_for(provider, timeout=(1, 0.2))
        for timeout in (None, 0.2):
            started = time.monotonic()
            with pytest.raises(TransportTimeoutError) as caught:
                session.get("models", timeout=timeout)
            # time: the server never answers, so without a limit this would not end
            assert time.monotonic() - started < 10
            assert isinstance(caught.value, requests.Timeout)
            assert caught.value.was_sent


def test_default_time_limits_are_5_and_60_seconds():
    assert OpenRouterClient().api_session(KEY)._timeout == (5, 60)


def test_lost_connection_is_a_transport_error_and_one_of_requests():
    for name, act in {
        "reset": reset(),
        "closed": raw(b""),
        "reset in the body": reset(after=http_answer(200, b"x" * 9)[:-3]),
    }.items():
        with case(name):
            with MisbehavingProvider(act) as provider:
                with pytest.raises(TransportError) as caught:
                    session_for(provider).get("models")
                assert len(provider.requests) == 1
            assert isinstance(caught.value, requests.ConnectionError)
            assert not isinstance(caught.value, TransportTimeoutError)
            assert caught.value.was_sent


def test_unreachable_is_a_transport_error_and_one_of_requests():
    with MisbehavingProvider(GOOD) as provider:
        url = provider.url
    with pytest.raises(requests.ConnectionError) as caught:
        OpenRouterClient(url).api_session(KEY).get("models")
    assert isinstance(caught.value, OpenRouterError)
    assert not caught.value.was_sent


def test_malformed_response_is_invalid():
    for data in [
        b"nonsense\r\n\r\n",
        http_answer(200, b"no gzip at all", {"Content-Encoding": "gzip"}),
    ]:
        with (
            case(data),
            MisbehavingProvider(raw(data)) as provider,
            pytest.raises(InvalidAnswerError),
        ):
            session_for(provider).get("models")


def test_exceptions_of_the_callers_own_code_are_not_changed():
    class MyError(Exception):
        pass

    def hook(reply, *arguments, **options):
        raise MyError

    with MisbehavingProvider(GOOD) as provider:
        session = session_for(provider)
        with pytest.raises(MyError):
            session.get("models", hooks={"response": hook})
        with pytest.raises(KeyboardInterrupt):
            session.post("models", data=interrupted())


def interrupted():
    yield b"x"
    raise KeyboardInterrupt


def test_upload_may_be_a_stream():
    with MisbehavingProvider(GOOD) as provider:
        session_for(provider).post("models", data=io.BytesIO(b"content"))
    assert provider.requests[0].body == b"content"
