"""The ``requests.Session`` that a view uses: addresses, headers, secrets."""

from __future__ import annotations

import pickle
import threading

import pytest
import requests
from cases import case
from misbehaving import (
    MisbehavingProvider,
    answer,
    redirect_to,
)

from flask_openrouter.client import OpenRouterClient

KEY = "sk-or-v1-" + "0123456789abcdef" * 4
OTHER_KEY = "sk-or-v1-" + "fedcba9876543210" * 4
GOOD = answer(200, {"data": []})


def session_for(provider, key=KEY, **options):
    return OpenRouterClient(provider.url).api_session(key, **options)


def test_addresses_are_relative_to_the_api():
    for address in ["chat/completions", "/chat/completions"]:
        with case(address):
            with MisbehavingProvider(answer(200, {"id": "gen-1"})) as provider:
                reply = session_for(provider).post(address, json={"model": "m"})
            (request,) = provider.requests
            assert (request.method, request.path) == ("POST", "/api/v1/chat/completions")
            assert request.json == {"model": "m"}
            assert request.headers["authorization"] == f"Bearer {KEY}"
            assert reply.json() == {"id": "gen-1"}


def test_relative_addresses_stay_below_the_root():
    for address, path in [
        ("models?offset=0&limit=5", "/api/v1/models?offset=0&limit=5"),
        ("models?next=https://evil.example/", "/api/v1/models?next=https://evil.example/"),
        ("models/a/b:free", "/api/v1/models/a/b:free"),
        ("//evil.example/x", "/api/v1/evil.example/x"),
        ("", "/api/v1/"),
    ]:
        with case(address, path):
            with MisbehavingProvider(GOOD) as provider:
                session_for(provider).get(address)
            assert provider.requests[0].path == path


def test_absolute_address_below_the_root_is_accepted():
    with MisbehavingProvider(GOOD) as provider:
        session_for(provider).get(f"{provider.url}/api/v1/models", params={"limit": 5})
    assert provider.requests[0].path == "/api/v1/models?limit=5"


def test_key_is_never_sent_elsewhere():
    for address in [
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
        "..%2fkeys",
        "..\\keys",
        "file:///etc/passwd",
    ]:
        with (
            case(address),
            MisbehavingProvider(GOOD) as provider,
            MisbehavingProvider(GOOD) as other,
        ):
            session = session_for(provider)
            url = address.format(own=provider.url, other=other.url)
            with pytest.raises(ValueError, match="sends its key to addresses below"):
                session.get(url)
            assert provider.requests == other.requests == []


def test_prepared_request_for_another_or_no_host_is_not_sent():
    with MisbehavingProvider(GOOD) as provider, MisbehavingProvider(GOOD) as other:
        prepared = requests.Request("GET", f"{other.url}/api/v1/models").prepare()
        with pytest.raises(ValueError, match="sends its key to addresses below"):
            session_for(provider).send(prepared)
        with pytest.raises(ValueError, match="sends its key to addresses below"):
            session_for(provider).send(requests.PreparedRequest())
        assert provider.requests == other.requests == []


@pytest.mark.requirement("R75")
def test_redirects_are_returned_not_followed():
    for status in [301, 302, 303, 307, 308]:
        with case(status), MisbehavingProvider(GOOD) as other:
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


@pytest.mark.requirement("R64")
def test_a_hook_may_take_the_key_off_before_it_logs_the_request():
    def hook(reply, **_):
        assert reply.request.headers.pop("Authorization") == f"Bearer {KEY}"

    with MisbehavingProvider(answer(200, {"id": "gen-1"})) as provider:
        reply = session_for(provider).post("chat/completions", json={}, hooks={"response": hook})
    assert reply.json() == {"id": "gen-1"}


@pytest.mark.requirement("R64", "R76")
def test_threads_may_share_a_prepared_request():
    is_inside = threading.Event()

    def hook(reply, **_):
        if not is_inside.is_set():
            is_inside.set()
            # A second request from start to end, while the first is not over.
            others.append(session.send(prepared))

    with MisbehavingProvider(GOOD) as provider:
        session, others = session_for(provider), []
        prepared = session.prepare_request(
            requests.Request("GET", "models", hooks={"response": hook})
        )
        replies = [session.send(prepared), *others]
    assert [reply.status_code for reply in replies] == [200, 200]
    for request in (prepared, *(reply.request for reply in replies)):
        assert "authorization" not in request.headers
        assert request.hooks["response"] == [hook]


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
def test_malformed_key_gets_no_session():
    for key in ["", "short", KEY + "\r\nX: y", None]:
        with case(key):
            with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared
                OpenRouterClient().api_session(key)
            assert str(caught.value) == (
                "api_key must be 8 to 512 printable ASCII characters without blanks"
            )
