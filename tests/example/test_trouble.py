"""What the chat says when OpenRouter refuses, fails, or the visitor leaves."""

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
def test_r109_refusals_are_told_in_plain_words(
    connected: ChatVisitor, status: int, headers: dict[str, str], ours: int, error: str, words: str
) -> None:
    with connected.emulator.faults(status=status, headers=headers, body=RAW, path=CHAT, times=None):
        answer = connected.ask()
    assert answer.status_code == ours
    assert answer.get_json()["error"] == error
    assert words in answer.get_json()["message"]
    assert "RAW" not in answer.text
    assert "<b>" not in answer.text
    assert 'id="prompt"' in connected.get("/").text, "the key must survive"


@pytest.mark.parametrize(
    ("header", "wait"), [("7", 7), ("soon", 10), (None, 10), ("99999", 3600), ("9" * 20, 10)]
)
def test_a_rate_limit_says_how_long(connected: ChatVisitor, header: str | None, wait: int) -> None:
    headers = {} if header is None else {"Retry-After": header}
    with connected.emulator.faults(status=429, headers=headers, path=CHAT):
        assert connected.ask().get_json()["wait"] == wait


def test_out_of_credit_links_to_the_remedy(connected: ChatVisitor) -> None:
    with connected.emulator.faults(status=402, path=CHAT):
        link = connected.ask().get_json()["link"]
    assert link["url"] == "https://openrouter.ai/settings/credits"


def test_a_spent_key_is_told_from_an_empty_account(connected: ChatVisitor) -> None:
    """402 can be either, so the key is asked; 403 with these words can only be the key."""
    connected.emulator.set_key(connected.api_key, limit=5, usage=5)
    first = connected.ask().get_json()
    body = {"error": {"message": "Key limit exceeded. Manage it", "code": 403}}
    with connected.emulator.faults(status=403, body=body, path=CHAT):
        second = connected.ask().get_json()
    for answer in (first, second):
        assert answer["error"] == "key_limit"
        assert "/keys/" in answer["link"]["url"]


def test_a_revoked_key_asks_to_connect_again(connected: ChatVisitor) -> None:
    conversation = connected.converse("hello")
    connected.emulator.revoke(connected.api_key)
    answer = connected.ask(conversation=conversation)
    assert answer.status_code == 401
    assert answer.get_json()["error"] == "key_rejected"
    assert "/openrouter/login" in answer.get_json()["login_url"]
    assert "Connect OpenRouter" in connected.get("/").text
    connected.connect()
    assert end_of(connected.ask(conversation=conversation))["state"] == "done"


def test_an_answer_that_is_no_stream_is_trouble_of_the_provider(connected: ChatVisitor) -> None:
    with connected.emulator.faults(status=200, body="not events", path=CHAT):
        answer = connected.ask()
    assert answer.status_code == 502
    assert answer.get_json()["error"] == "provider_down"


def test_openrouter_out_of_reach_is_a_network_problem(tmp_path: Path) -> None:
    with run_in_thread() as emulator:
        visitor = ChatVisitor(example_at(emulator.url, tmp_path), emulator)
        visitor.connect()
    for answer in (visitor.ask(), visitor.fetch("/models")):
        assert answer.status_code == 502
        assert answer.get_json()["error"] == "network"
        assert answer.get_json()["retry"] is True
    assert visitor.get("/").status_code == 200, "the page itself waits for nobody"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 502}, "provider_down"),
        ({"status": 429}, "rate_limited"),
        ({"status": 402}, "out_of_credit"),
        ({"status": 401}, "rejected"),
        ({"reset": True}, "interrupted"),
    ],
)
def test_an_answer_that_breaks_off_keeps_what_was_said(
    connected: ChatVisitor, fault: dict[str, Any], error: str
) -> None:
    with connected.emulator.faults(path=CHAT, mid_stream=True, **fault):
        answer = connected.ask()
    assert answer.status_code == 200
    end = end_of(answer)
    assert end["problem"]["error"] == error
    assert end["state"] == "broken"
    assert "Broken off" in end["note"]
    kept = connected.exported(begin_of(answer)["conversation"])
    assert kept[1]["state"] == "broken"
    assert kept[1]["text"].split()[0] in html_of(answer)


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
def test_a_stream_of_nonsense_is_a_problem_and_no_crash(
    connected: ChatVisitor, events: list[object]
) -> None:
    with connected.emulator.faults(**sse(*events)):
        end = end_of(connected.ask())
    assert end["problem"]["error"] in ("interrupted", "provider_down")


def test_an_answer_without_a_word_leaves_the_question_to_be_asked_again(
    connected: ChatVisitor,
) -> None:
    with connected.emulator.faults(**sse({"error": {"code": 502}})):
        answer = connected.ask("hello")
    conversation = begin_of(answer)["conversation"]
    assert [m["role"] for m in connected.exported(conversation)] == ["user"]
    assert end_of(connected.ask(None, conversation=conversation))["state"] == "done"


def test_models_say_what_is_wrong(connected: ChatVisitor) -> None:
    path = "/api/v1/models"
    for fault in (
        {"status": 500},
        {"status": 200, "body": {"data": [None]}},
        {"status": 200, "body": {"data": []}},
    ):
        with connected.emulator.faults(path=path, times=None, **fault):
            answer = connected.fetch("/models")
        assert answer.status_code == 502
        assert answer.get_json()["retry"] is True


class SilentModel:
    """An emulator whose model says one word, then nothing, and watches for its client to go."""

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


def test_r109_a_visitor_who_leaves_stops_paying_within_two_seconds(tmp_path: Path) -> None:
    """The model is silent, so only the heartbeat can notice that the browser has gone."""
    model = SilentModel()
    with (
        served(model) as upstream,
        served(example_at(upstream, tmp_path)) as origin,
        requests.Session() as browser,
    ):
        login = browser.get(f"{origin}/openrouter/login", allow_redirects=False)
        browser.get(model.emulator.approve(login.headers["Location"]))
        body = {"model": "m", "text": "hi"}
        answer = browser.post(f"{origin}/ask", json=body, stream=True, timeout=5)
        lines = answer.iter_lines(chunk_size=None)
        begin = json.loads(next(lines))["begin"]
        assert "one" in json.loads(next(lines))["tail"]
        assert next(lines) == b"", "a heartbeat, since the model says nothing"
        left_at = time.monotonic()
        answer.close()
        # The next question waits for the end of the answer that was stopped, and finds it kept.
        again = {**body, "conversation": begin["conversation"]}
        with browser.post(f"{origin}/ask", json=again, stream=True, timeout=5) as next_answer:
            assert next_answer.status_code == 200
        assert model.left.wait(5)
        assert model.left_at is not None
        assert model.left_at - left_at < 2
        export = browser.get(f"{origin}/c/{begin['conversation']}/export.json", timeout=5).json()
        assert export["messages"][1]["text"] == "one"
        assert export["messages"][1]["state"] == "stopped"
        assert export["messages"][1]["cost"] is None


def test_two_answers_at_once_in_one_conversation_are_refused(tmp_path: Path) -> None:
    model = SilentModel()
    with served(model) as upstream:
        visitor = ChatVisitor(example_at(upstream, tmp_path), model.emulator)
        visitor.connect()
        answer = visitor.ask(buffered=False)
        begin = json.loads(next(answer.response))["begin"]  # type: ignore[call-overload]
        second = visitor.ask(conversation=begin["conversation"])
        assert second.status_code == 409
        assert "another tab" in second.get_json()["message"]
        answer.close()
        assert model.left.wait(2)


def test_an_answer_that_nobody_starts_to_read_is_hung_up(tmp_path: Path) -> None:
    """A server may close a response without ever iterating over it."""
    model = SilentModel()
    with served(model) as upstream:
        app: Flask = example_at(upstream, tmp_path)
        visitor = ChatVisitor(app, model.emulator)
        visitor.connect()
        answer = visitor.ask(buffered=False)
        answer.close()
        assert model.left.wait(2)


def test_heartbeats_are_empty_lines(connected: ChatVisitor) -> None:
    with connected.emulator.faults(path=CHAT, mid_stream=True, status=502, delay=0.7):
        answer = connected.ask()
    assert "\n\n" in answer.get_data(as_text=True)
    assert parts_of(answer)[-1]["end"]["problem"]
