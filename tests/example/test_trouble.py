"""The chat when OpenRouter refuses or fails, or when the visitor leaves."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from chat_visitor import (
    CHAT,
    ChatVisitor,
    begin_of,
    end_of,
    example_at,
    html_of,
    parts_of,
    served,
    sse,
)
from flask import Flask

from flask_openrouter.emulator import create_emulator_app, run_in_thread

RAW = {"error": {"message": "RAW upstream words <b>", "code": 1}}


@pytest.mark.requirement("R109")
@pytest.mark.parametrize(
    ("status", "headers", "ours", "error", "words"),
    [
        (400, {}, 502, "model_gone", "Choose another"),
        (402, {}, 402, "out_of_credit", "no credit left"),
        (403, {}, 502, "not_allowed", "does not allow"),
        (404, {}, 502, "model_gone", "Choose another"),
        (408, {}, 502, "provider_down", "not answering"),
        (413, {}, 502, "too_long", "Start a new chat"),
        (429, {"Retry-After": "7"}, 429, "rate_limited", "Wait a little"),
        (429, {"Retry-After": "soon<b>"}, 429, "rate_limited", "Wait a little"),
        (429, {}, 429, "rate_limited", "Wait a little"),
        (500, {}, 502, "provider_down", "not answering"),
        (503, {}, 502, "provider_down", "not answering"),
        (529, {}, 502, "provider_down", "not answering"),
    ],
)
def test_refusals_are_told_in_plain_words(
    connected: ChatVisitor, status: int, headers: dict[str, str], ours: int, error: str, words: str
) -> None:
    with connected.emulator.faults(status=status, headers=headers, body=RAW, path=CHAT, times=None):
        response = connected.ask()
    assert response.status_code == ours
    assert response.get_json()["error"] == error
    assert words in response.get_json()["message"]
    assert "RAW" not in response.text
    assert "<b>" not in response.text
    assert 'id="prompt"' in connected.get("/").text, "the key must survive"


@pytest.mark.parametrize(
    ("header", "wait"), [("7", 7), ("soon", 10), (None, 10), ("99999", 3600), ("9" * 20, 10)]
)
def test_a_rate_limit_has_a_waiting_time(
    connected: ChatVisitor, header: str | None, wait: int
) -> None:
    headers = {} if header is None else {"Retry-After": header}
    with connected.emulator.faults(status=429, headers=headers, path=CHAT):
        assert connected.ask().get_json()["wait"] == wait


def test_out_of_credit_links_to_the_credit_page(connected: ChatVisitor) -> None:
    with connected.emulator.faults(status=402, path=CHAT):
        link = connected.ask().get_json()["link"]
    assert link["url"] == "https://openrouter.ai/settings/credits"


def test_a_spent_key_limit_is_distinguished_from_an_empty_account(connected: ChatVisitor) -> None:
    """402 can mean either, so the app asks for key_info. 403 with this message means the key."""
    connected.emulator.set_key(connected.api_key, limit=5, usage=5)
    first = connected.ask().get_json()
    body = {"error": {"message": "Key limit exceeded. Manage it", "code": 403}}
    with connected.emulator.faults(status=403, body=body, path=CHAT):
        second = connected.ask().get_json()
    for response in (first, second):
        assert response["error"] == "key_limit"
        assert "/keys/" in response["link"]["url"]


def test_a_revoked_key_asks_to_connect_again(connected: ChatVisitor) -> None:
    conversation = connected.converse("hello")
    connected.emulator.revoke(connected.api_key)
    response = connected.ask(conversation=conversation)
    assert response.status_code == 401
    assert response.get_json()["error"] == "key_rejected"
    assert "/openrouter/login" in response.get_json()["login_url"]
    assert "Connect OpenRouter" in connected.get("/").text
    connected.connect()
    assert end_of(connected.ask(conversation=conversation))["state"] == "done"


def test_a_response_that_is_no_stream_is_a_provider_problem(connected: ChatVisitor) -> None:
    with connected.emulator.faults(status=200, body="not events", path=CHAT):
        response = connected.ask()
    assert response.status_code == 502
    assert response.get_json()["error"] == "provider_down"


def test_an_unreachable_openrouter_is_a_network_problem(tmp_path: Path) -> None:
    with run_in_thread() as emulator:
        visitor = ChatVisitor(example_at(emulator.url, tmp_path), emulator)
        visitor.connect()
    for response in (visitor.ask(), visitor.fetch("/models")):
        assert response.status_code == 502
        assert response.get_json()["error"] == "network"
        assert response.get_json()["retry"] is True
    assert visitor.get("/").status_code == 200, "the page itself does not need OpenRouter"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 502}, "provider_down"),
        ({"status": 429}, "rate_limited"),
        ({"status": 402}, "out_of_credit"),
        ({"status": 401}, "provider_down"),
        ({"reset": True}, "interrupted"),
    ],
)
def test_a_broken_answer_keeps_its_text(
    connected: ChatVisitor, fault: dict[str, Any], error: str
) -> None:
    with connected.emulator.faults(path=CHAT, mid_stream=True, **fault):
        response = connected.ask()
    assert response.status_code == 200
    end = end_of(response)
    assert end["problem"]["error"] == error
    assert end["state"] == "broken"
    assert "Broken off" in end["note"]
    kept = connected.exported(begin_of(response)["conversation"])
    assert kept[1]["state"] == "broken"
    assert kept[1]["text"].split()[0] in html_of(response)


@pytest.mark.parametrize(
    "events",
    [
        ["nonsense"],
        [{"error": "just words"}],
        [{"error": {"code": "server_error"}}],
        [{"choices": [{"delta": {"content": "and then"}}]}],
        ["[]"],
    ],
)
def test_an_invalid_stream_is_a_problem(connected: ChatVisitor, events: list[object]) -> None:
    with connected.emulator.faults(**sse(*events)):
        end = end_of(connected.ask())
    assert end["problem"]["error"] in ("interrupted", "provider_down")


def test_after_an_empty_answer_the_question_can_be_repeated(
    connected: ChatVisitor,
) -> None:
    with connected.emulator.faults(**sse({"error": {"code": 502}})):
        response = connected.ask("hello")
    conversation = begin_of(response)["conversation"]
    assert [m["role"] for m in connected.exported(conversation)] == ["user"]
    assert end_of(connected.ask(None, conversation=conversation))["state"] == "done"


def test_the_model_list_reports_problems(connected: ChatVisitor) -> None:
    path = "/api/v1/models"
    for fault in (
        {"status": 500},
        {"status": 200, "body": {"data": [None]}},
        {"status": 200, "body": {"data": []}},
    ):
        with connected.emulator.faults(path=path, times=None, **fault):
            response = connected.fetch("/models")
        assert response.status_code == 502
        assert response.get_json()["retry"] is True


class SilentModel:
    """An emulator whose model sends one word and then watches for the client to disconnect."""

    def __init__(self, word: str = "one") -> None:
        self.emulator_app = create_emulator_app()
        self.emulator = self.emulator_app.extensions["openrouter_emulator"]
        self.left_at: float | None = None
        self.left = threading.Event()
        self._event = json.dumps({"choices": [{"delta": {"content": word}}]})

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] != CHAT:
            return self.emulator_app.wsgi_app(environ, start_response)
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return self._stream(environ["werkzeug.socket"])

    def _stream(self, connection: socket.socket) -> Iterator[bytes]:
        yield f"data: {self._event}\n\n".encode()
        readable, _, _ = select.select([connection], [], [], 10)
        if readable and connection.recv(1, socket.MSG_PEEK) == b"":
            self.left_at = time.monotonic()
            self.left.set()


@pytest.mark.requirement("R109")
def test_a_visitor_who_leaves_stops_paying_within_two_seconds(tmp_path: Path) -> None:
    """The model is silent, so only a heartbeat can notice that the browser has gone."""
    model = SilentModel()
    with (
        served(model) as upstream,
        served(example_at(upstream, tmp_path)) as origin,
        requests.Session() as browser,
    ):
        login = browser.get(f"{origin}/openrouter/login", allow_redirects=False)
        browser.get(model.emulator.approve(login.headers["Location"]))
        body = {"model": "m", "text": "hi"}
        response = browser.post(f"{origin}/ask", json=body, stream=True, timeout=5)
        lines = response.iter_lines(chunk_size=None)
        begin = json.loads(next(lines))["begin"]
        assert "one" in json.loads(next(lines))["tail"]
        assert next(lines) == b"", "a heartbeat, because the model is silent"
        left_at = time.monotonic()
        response.close()
        # The next question waits until the stopped answer has been saved.
        again = {**body, "conversation": begin["conversation"]}
        with browser.post(f"{origin}/ask", json=again, stream=True, timeout=5) as next_response:
            assert next_response.status_code == 200
        assert model.left.wait(5)
        assert model.left_at is not None
        assert model.left_at - left_at < 2
        export = browser.get(f"{origin}/c/{begin['conversation']}/export.json", timeout=5).json()
        assert export["messages"][1]["text"] == "one"
        assert export["messages"][1]["state"] == "stopped"
        assert export["messages"][1]["cost"] is None


def test_a_second_answer_at_once_in_a_conversation_is_refused(tmp_path: Path) -> None:
    model = SilentModel()
    with served(model) as upstream:
        visitor = ChatVisitor(example_at(upstream, tmp_path), model.emulator)
        visitor.connect()
        response = visitor.ask(buffered=False)
        begin = json.loads(next(response.response))["begin"]  # type: ignore[call-overload]
        second = visitor.ask(conversation=begin["conversation"])
        assert second.status_code == 409
        assert "another tab" in second.get_json()["message"]
        response.close()
        assert model.left.wait(2)


def test_an_unread_response_closes_the_connection_to_openrouter(tmp_path: Path) -> None:
    """A server may close a response without ever iterating over it."""
    model = SilentModel()
    with served(model) as upstream:
        app: Flask = example_at(upstream, tmp_path)
        visitor = ChatVisitor(app, model.emulator)
        visitor.connect()
        response = visitor.ask(buffered=False)
        response.close()
        assert model.left.wait(2)


def test_heartbeats_are_empty_lines(connected: ChatVisitor) -> None:
    with connected.emulator.faults(path=CHAT, mid_stream=True, status=502, delay=0.7):
        response = connected.ask()
    assert "\n\n" in response.get_data(as_text=True)
    assert parts_of(response)[-1]["end"]["problem"]
