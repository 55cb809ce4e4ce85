"""The ``requests.Session`` that a view uses."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import threading
import time

import pytest
import requests
from misbehaving import (
    MisbehavingProvider,
    answer,
    drip,
    flood,
    hang,
    http_answer,
    raw,
    redirect_to,
    reset,
)

from flask_openrouter.client import OpenRouterClient
from flask_openrouter.errors import (
    InvalidAnswerError,
    KeyRejectedError,
    OpenRouterError,
    OutOfCreditError,
    TransportError,
    TransportTimeoutError,
)

KEY = "sk-or-v1-" + "0123456789abcdef" * 4
OTHER_KEY = "sk-or-v1-" + "fedcba9876543210" * 4
GOOD = answer(200, {"data": []})


def session_for(provider, key=KEY, **options):
    return OpenRouterClient(provider.url).api_session(key, **options)


def error(message="No", **more):
    return {"error": {"code": 1, "message": message, **more}}


@pytest.mark.parametrize("address", ["chat/completions", "/chat/completions"])
def test_addresses_are_relative_to_the_api(address):
    with MisbehavingProvider(answer(200, {"id": "gen-1"})) as provider:
        reply = session_for(provider).post(address, json={"model": "m"})
    (request,) = provider.requests
    assert (request.method, request.path) == ("POST", "/api/v1/chat/completions")
    assert request.json == {"model": "m"}
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert reply.json() == {"id": "gen-1"}


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("models?offset=0&limit=5", "/api/v1/models?offset=0&limit=5"),
        ("models?next=https://evil.example/", "/api/v1/models?next=https://evil.example/"),
        ("models/a/b:free", "/api/v1/models/a/b:free"),
        ("//evil.example/x", "/api/v1/evil.example/x"),
        ("", "/api/v1/"),
    ],
)
def test_relative_addresses_stay_below_the_root(address, path):
    with MisbehavingProvider(GOOD) as provider:
        session_for(provider).get(address)
    assert provider.requests[0].path == path


def test_absolute_address_below_the_root_is_accepted():
    with MisbehavingProvider(GOOD) as provider:
        session_for(provider).get(f"{provider.url}/api/v1/models", params={"limit": 5})
    assert provider.requests[0].path == "/api/v1/models?limit=5"


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/api/v1/models",
        "{other}/api/v1/models",
        "{own}/auth",
        "{own}/api/v1",
        "{own}/api/v1/../../auth",
        "{own}/api/v1/%2e%2e/%2e%2e/auth",
        "{own}@evil.example/api/v1/",
        "{own}.evil.example/api/v1/",
        "../../auth",
        "..",
        "chat/../models",
        "%2e%2e/keys",
        "file:///etc/passwd",
        None,
    ],
)
def test_key_is_never_sent_elsewhere(address):
    with MisbehavingProvider(GOOD) as provider, MisbehavingProvider(GOOD) as other:
        session = session_for(provider)
        if address is not None:
            address = address.format(own=provider.url, other=other.url)
        with pytest.raises(ValueError, match="sends its key to addresses below"):
            session.get(address) if address is not None else session.send(
                requests.PreparedRequest()
            )
        assert provider.requests == other.requests == []


def test_prepared_request_for_another_host_is_not_sent():
    with MisbehavingProvider(GOOD) as provider, MisbehavingProvider(GOOD) as other:
        prepared = requests.Request("GET", f"{other.url}/api/v1/models").prepare()
        with pytest.raises(ValueError, match="below"):
            session_for(provider).send(prepared)
        assert other.requests == []


@pytest.mark.requirement("R75")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_returned_not_followed(status):
    with MisbehavingProvider(GOOD) as other:
        with MisbehavingProvider(redirect_to(other.url, status)) as provider:
            reply = session_for(provider).post("models", json={}, allow_redirects=True)
            assert (reply.status_code, reply.history, reply.next) == (status, [], None)
            assert len(provider.requests) == 1
        assert other.connections == 0


@pytest.mark.requirement("R76")
def test_bearer_cannot_be_replaced(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with MisbehavingProvider(GOOD) as provider:
        session = session_for(provider)
        assert not session.trust_env
        session.headers["Authorization"] = "Bearer mine"
        session.auth = ("user", "password")
        session.trust_env = True
        session.get("models", headers={"authorization": "x", "X-Extra": "1"}, auth=("a", "b"))
        session.get("models")
    for request in provider.requests:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.header_names.count("authorization") == 1
    assert provider.requests[0].headers["x-extra"] == "1"


@pytest.mark.requirement("R77")
def test_no_cookies_are_kept_or_sent():
    with MisbehavingProvider(answer(200, {}, {"Set-Cookie": "a=b; Path=/"})) as provider:
        session = session_for(provider)
        session.get("models", cookies={"c": "d"})
        session.get("models")
        assert list(session.cookies) == []
    assert all("cookie" not in request.headers for request in provider.requests)


@pytest.mark.requirement("R77")
def test_sessions_share_connections_and_nothing_else():
    with MisbehavingProvider(GOOD) as provider:
        client = OpenRouterClient(provider.url)
        with client.api_session(KEY) as first:
            first.headers["X-Mine"] = "1"
            first.get("models")
        second = client.api_session(OTHER_KEY)
        second.get("models")
        first.get("models")
        assert provider.connections == 1
    keys = [request.headers["authorization"][-4:] for request in provider.requests]
    assert keys == [KEY[-4:], OTHER_KEY[-4:], KEY[-4:]]
    assert "x-mine" not in provider.requests[1].headers


def test_attribution_is_sent():
    with MisbehavingProvider(GOOD) as provider:
        client = OpenRouterClient(
            provider.url, app_url="http://localhost:3000", app_title="App", app_categories=("game",)
        )
        client.api_session(KEY).get("models")
    headers = provider.requests[0].headers
    assert headers["http-referer"] == "http://localhost:3000"
    assert headers["x-openrouter-title"] == "App"
    assert headers["x-openrouter-categories"] == "game"


@pytest.mark.requirement("R99", "F43")
def test_401_means_that_the_key_is_dead():
    calls = []
    with MisbehavingProvider(answer(401, error("User not found."), {"CF-Ray": "8a"})) as provider:
        session = session_for(provider, on_rejected=lambda: calls.append(1))
        for _ in range(2):
            with pytest.raises(KeyRejectedError) as caught:
                session.post("chat/completions", json={})
        assert provider.connections == 1
    assert calls == [1]
    assert (caught.value.status, caught.value.upstream_message) == (401, "User not found.")
    assert caught.value.request_id == "8a"


def test_401_is_raised_without_on_rejected_as_well():
    with MisbehavingProvider(answer(401)) as provider, pytest.raises(KeyRejectedError):
        session_for(provider).get("models", stream=True)


@pytest.mark.requirement("R99", "F44")
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (402, error("Insufficient credits. Add more")),
        (403, error("Key limit exceeded. Manage it using https://openrouter.ai/keys")),
    ],
)
def test_out_of_credit_keeps_the_key(status, body):
    calls = []
    with MisbehavingProvider(answer(status, body)) as provider:
        session = session_for(provider, on_rejected=lambda: calls.append(1))
        with pytest.raises(OutOfCreditError) as caught:
            session.post("chat/completions", json={})
    assert caught.value.status == status
    assert caught.value.settings_url == f"{provider.url}/settings/credits"
    assert calls == []


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_providers_refusal_is_returned_whole(status, stream, compressed):
    """OpenRouter relays it. It says nothing about the visitor's key or credit."""
    calls = []
    metadata = {"raw": "invalid x-api-key", "provider_name": "Anthropic"}
    body = json.dumps(error("Provider returned error", metadata=metadata)).encode()
    headers = {"X-A": "b"} | ({"Content-Encoding": "gzip"} if compressed else {})
    act = answer(status, gzip.compress(body) if compressed else body, headers)
    with MisbehavingProvider(act) as provider:
        session = session_for(provider, on_rejected=lambda: calls.append(1))
        for _ in range(2):
            reply = session.post("chat/completions", json={}, stream=stream)
            assert (reply.status_code, reply.headers["x-a"]) == (status, "b")
            assert reply.json()["error"]["metadata"] == metadata
        assert provider.connections == 1
    assert calls == []
    assert "authorization" not in reply.request.headers


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_another_403_is_returned_whole(stream, compressed):
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


@pytest.mark.parametrize("status", [200, 204, 400, 404, 408, 409, 422, 429, 500, 503])
def test_every_other_response_is_returned_unchanged(status):
    with MisbehavingProvider(answer(status, b"" if status == 204 else error())) as provider:
        assert session_for(provider).get("models").status_code == status


def test_large_and_compressed_responses_are_not_limited():
    body = gzip.compress(json.dumps({"data": "x" * 1_000_000}).encode())
    with MisbehavingProvider(answer(200, body, {"Content-Encoding": "gzip"})) as provider:
        assert len(session_for(provider).get("models").json()["data"]) == 1_000_000
    assert provider.requests[0].headers["accept-encoding"] == "gzip, deflate"


def test_stream_arrives_as_it_is_sent_and_may_exceed_the_clients_timeout():
    events = b"".join(b"data: %d\n\n" % number for number in range(5))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    with MisbehavingProvider(drip(events, 0.01, after=head)) as provider:
        client = OpenRouterClient(provider.url, timeout=0.2)
        started = time.monotonic()
        with client.api_session(KEY).post("chat/completions", json={}, stream=True) as reply:
            assert time.monotonic() - started < 0.3
            lines = [line for line in reply.iter_lines() if line]
    assert lines == [b"data: %d" % number for number in range(5)]
    assert time.monotonic() - started > 0.4


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
        assert gone.wait(2)


def test_time_limit_is_for_the_next_bytes_and_cannot_be_switched_off():
    with MisbehavingProvider(hang()) as provider:
        session = session_for(provider, timeout=(1, 0.2))
        for timeout in (None, 0.2):
            started = time.monotonic()
            with pytest.raises(TransportTimeoutError) as caught:
                session.get("models", timeout=timeout)
            assert time.monotonic() - started < 1
            assert isinstance(caught.value, requests.Timeout)
            assert caught.value.was_sent


def test_default_time_limits_are_5_and_60_seconds():
    assert OpenRouterClient().api_session(KEY)._timeout == (5, 60)


@pytest.mark.parametrize("act", [reset(), raw(b""), reset(after=http_answer(200, b"x" * 9)[:-3])])
def test_lost_connection_is_a_transport_error_and_one_of_requests(act):
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


@pytest.mark.parametrize(
    "data", [b"nonsense\r\n\r\n", http_answer(200, b"no gzip at all", {"Content-Encoding": "gzip"})]
)
def test_malformed_response_is_invalid(data):
    with MisbehavingProvider(raw(data)) as provider, pytest.raises(InvalidAnswerError):
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


@pytest.mark.requirement("R64")
def test_session_shows_no_key():
    session = OpenRouterClient().api_session(KEY)
    assert repr(session) == "<APISession https://openrouter.ai/api/v1/>"
    assert KEY not in repr(vars(session))
    with pytest.raises(TypeError, match="holds a secret"):
        pickle.dumps(session)


@pytest.mark.requirement("R64")
def test_answers_show_no_key():
    with MisbehavingProvider(GOOD) as provider:
        reply = session_for(provider).get("models")
    assert KEY not in repr(vars(reply.request))


@pytest.mark.requirement("R82")
@pytest.mark.parametrize("key", ["", "short", KEY + "\r\nX: y", None])
def test_malformed_key_gets_no_session(key):
    with pytest.raises(ValueError, match="api_key must be"):
        OpenRouterClient().api_session(key)
