"""What the chat says when OpenRouter refuses, fails, or the visitor leaves."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from chat_visitor import ChatVisitor, example_at, parts_of, served, text_of

from flask_openrouter.emulator import create_emulator_app, run_in_thread

CHAT = "/api/v1/chat/completions"
RAW = {"error": {"message": "RAW upstream words <b>", "code": 1}}


@pytest.mark.parametrize(
    ("status", "headers", "ours", "error", "words"),
    [
        (400, {}, 502, "model", "Choose another model"),
        (402, {}, 402, "out_of_credit", "no credit left"),
        (403, {}, 502, "not_allowed", "does not allow"),
        (404, {}, 502, "model", "Choose another model"),
        (408, {}, 502, "model", "has trouble"),
        (413, {}, 502, "too_long", "Start a new chat"),
        (429, {"Retry-After": "7"}, 429, "rate_limited", "Wait 7 seconds"),
        (429, {"Retry-After": "soon<b>"}, 429, "rate_limited", "Wait a moment"),
        (429, {}, 429, "rate_limited", "Wait a moment"),
        (500, {}, 502, "model", "has trouble"),
        (503, {}, 502, "model", "has trouble"),
        (529, {}, 502, "model", "has trouble"),
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


def test_out_of_credit_links_to_the_remedy(connected: ChatVisitor) -> None:
    with connected.emulator.faults(status=402, path=CHAT):
        link = connected.ask().get_json()["link"]
    assert link["url"] == "https://openrouter.ai/settings/credits"


def test_a_spent_key_links_to_its_own_page(connected: ChatVisitor) -> None:
    body = {"error": {"message": "Key limit exceeded. Manage it", "code": 403}}
    with connected.emulator.faults(status=403, body=body, path=CHAT):
        answer = connected.ask().get_json()
    assert answer["error"] == "out_of_credit"
    assert "/keys/" in answer["link"]["url"]


def test_a_revoked_key_asks_to_connect_again(connected: ChatVisitor) -> None:
    connected.emulator.revoke(connected.api_key)
    answer = connected.ask()
    assert answer.status_code == 401
    assert "/openrouter/login" in answer.get_json()["login_url"]
    assert "Connect OpenRouter" in connected.get("/").text
    connected.connect()
    assert parts_of(connected.ask())[-1]["done"] is True


def test_an_answer_that_is_no_stream_is_model_trouble(connected: ChatVisitor) -> None:
    with connected.emulator.faults(status=200, body="not events", path=CHAT):
        answer = connected.ask()
    assert answer.status_code == 502
    assert answer.get_json()["error"] == "model"


def test_openrouter_out_of_reach_is_a_network_problem() -> None:
    with run_in_thread() as emulator:
        visitor = ChatVisitor(example_at(emulator.url), emulator)
        visitor.connect()
    for answer in (visitor.ask(), visitor.fetch("/models")):
        assert answer.status_code == 502
        assert answer.get_json()["error"] == "network"
        assert answer.get_json()["retry"] is True


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 502}, "model"),
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
    assert text_of(answer)
    assert parts_of(answer)[-1]["error"] == error


def test_models_say_what_is_wrong(connected: ChatVisitor) -> None:
    path = "/api/v1/models"
    for fault in ({"status": 500}, {"status": 200, "body": {"data": [None]}}):
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


def test_r109_a_visitor_who_leaves_stops_paying_within_two_seconds() -> None:
    """The model is silent, so only the heartbeat can notice that the browser has gone."""
    model = SilentModel()
    with (
        served(model) as upstream,
        served(example_at(upstream)) as origin,
        requests.Session() as browser,
    ):
        login = browser.get(f"{origin}/openrouter/login", allow_redirects=False)
        browser.get(model.emulator.approve(login.headers["Location"]))
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        answer = browser.post(f"{origin}/chat", json=body, stream=True, timeout=5)
        lines = answer.iter_lines(chunk_size=None)
        assert json.loads(next(lines)) == {"text": "one"}
        assert next(lines) == b"", "a heartbeat, since the model says nothing"
        left_at = time.monotonic()
        answer.close()
        assert model.left.wait(5)
        assert model.left_at is not None
        assert model.left_at - left_at < 2


def test_an_answer_that_nobody_starts_to_read_is_hung_up() -> None:
    """A server may close a response without ever iterating over it."""
    model = SilentModel()
    with served(model) as upstream:
        app = example_at(upstream)
        visitor = ChatVisitor(app, model.emulator)
        visitor.connect()
        answer = visitor.ask(buffered=False)
        answer.close()
        assert model.left.wait(2)
