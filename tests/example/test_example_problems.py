"""The chat when OpenRouter refuses or fails, or when the visitor leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from chat_visitor import (
    CHAT,
    MODEL,
    ChatVisitor,
    begin_of,
    end_of,
    example_at,
    html_of,
    lines_of,
    sse,
    stored_messages,
)
from flask import Flask
from held_model import HeldModel
from live_app import PATIENCE, live

from example_app import answer, chat
from flask_openrouter.emulator import run_in_thread

RAW = {"error": {"message": "RAW upstream words <b>", "code": 1}}


@pytest.mark.requirement("R109")
def test_refusals_are_explained_in_plain_words(connected: ChatVisitor) -> None:
    for status, headers, code, error, words in (
        (400, {}, 502, "model_gone", "Choose another"),
        (402, {}, 402, "out_of_credit", "no credit left"),
        (403, {}, 403, "not_allowed", "does not allow"),
        (404, {}, 502, "model_gone", "Choose another"),
        (408, {}, 504, "provider_down", "not answering"),
        (413, {}, 400, "too_long", "Start a new chat"),
        (429, {"Retry-After": "7"}, 429, "rate_limited", "Wait a little"),
        (429, {"Retry-After": "soon<b>"}, 429, "rate_limited", "Wait a little"),
        (429, {}, 429, "rate_limited", "Wait a little"),
        (500, {}, 502, "provider_down", "not answering"),
        (503, {}, 502, "provider_down", "not answering"),
        (529, {}, 502, "provider_down", "not answering"),
    ):
        fault = {"status": status, "headers": headers, "body": RAW, "path": CHAT}
        with connected.emulator.faults(times=None, **fault):
            response = connected.ask()
        assert response.status_code == code, fault
        assert response.get_json()["error"] == error, fault
        assert words in response.get_json()["message"], fault
        assert "RAW" not in response.text, fault
        assert "<b>" not in response.text, fault
        assert 'id="prompt"' in connected.get("/").text, "the key must survive"


def test_a_rate_limit_has_a_waiting_time(connected: ChatVisitor) -> None:
    waits: dict[str | None, int] = {"7": 7, "soon": 10, None: 10, "99999": 3600, "9" * 20: 10}
    for header, wait in waits.items():
        headers = {} if header is None else {"Retry-After": header}
        with connected.emulator.faults(status=429, headers=headers, path=CHAT):
            response = connected.ask()
        assert response.get_json()["wait"] == wait, header
        assert response.headers["Retry-After"] == str(wait)


def test_out_of_credit_links_to_the_credit_page(connected: ChatVisitor) -> None:
    with connected.emulator.faults(status=402, path=CHAT):
        link = connected.ask().get_json()["link_url"]
    assert link == f"{connected.emulator.url}/settings/credits"


def test_a_spent_key_limit_is_distinguished_from_an_empty_account(connected: ChatVisitor) -> None:
    """402 can mean either, so the app asks for key_info. 403 with this message means the key."""
    connected.emulator.set_key(connected.api_key, limit=5, usage=5)
    first = connected.ask().get_json()
    body = {"error": {"message": "Key limit exceeded. Manage it", "code": 403}}
    with connected.emulator.faults(status=403, body=body, path=CHAT):
        second = connected.ask().get_json()
    for response in (first, second):
        assert response["error"] == "key_limit"
        assert "/keys/" in response["link_url"]


def test_a_402_means_no_credit_when_key_info_fails(connected: ChatVisitor) -> None:
    with (
        connected.emulator.faults(status=402, path=CHAT),
        connected.emulator.faults(status=500, path="/api/v1/key", times=None),
    ):
        assert connected.ask().get_json()["error"] == "out_of_credit"


def test_a_spent_key_limit_in_mid_answer_is_recognized(connected: ChatVisitor) -> None:
    connected.emulator.set_key(connected.api_key, limit=5, usage=5)
    with connected.emulator.faults(**sse({"error": {"code": 402}})):
        assert end_of(connected.ask())["problem"]["error"] == "key_limit"


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


def test_an_invalid_http_response_is_a_provider_problem(connected: ChatVisitor) -> None:
    headers = {"Content-Length": "-5"}
    with connected.emulator.faults(status=200, body="x", headers=headers, path=CHAT):
        assert connected.ask().get_json()["error"] in ("provider_down", "network")


def test_an_unreachable_openrouter_is_a_network_problem(tmp_path: Path) -> None:
    with run_in_thread() as emulator:
        visitor = ChatVisitor(example_at(emulator.url, tmp_path), emulator)
        visitor.connect()
    for response in (visitor.ask(), visitor.fetch("/models")):
        assert response.status_code == 502
        assert response.get_json()["error"] == "network"
        assert response.get_json()["retry"] is True
    assert visitor.get("/").status_code == 200, "the page itself does not need OpenRouter"


def test_a_broken_answer_keeps_its_text(connected: ChatVisitor) -> None:
    faults: tuple[tuple[dict[str, Any], str], ...] = (
        ({"status": 502}, "provider_down"),
        ({"status": 429}, "rate_limited"),
        ({"status": 402}, "out_of_credit"),
        ({"status": 401}, "unconfirmed"),
        ({"reset": True}, "interrupted"),
    )
    for fault, error in faults:
        with connected.emulator.faults(path=CHAT, mid_stream=True, **fault):
            response = connected.ask()
        assert response.status_code == 200, fault
        end = end_of(response)
        assert end["problem"]["error"] == error, fault
        assert end["state"] == "broken", fault
        assert "Broken off" in end["note"], fault
        stored = connected.exported(begin_of(response)["conversation"])
        assert stored[1]["state"] == "broken", fault
        assert stored[1]["text"].split()[0] in html_of(response), fault


def test_an_invalid_stream_is_a_problem(connected: ChatVisitor) -> None:
    for event in (
        "nonsense",
        {"error": "just words"},
        {"error": {"code": "server_error"}},
        {"choices": [{"delta": {"content": "and then"}}]},
        "[]",
    ):
        with connected.emulator.faults(**sse(event)):
            end = end_of(connected.ask())
        assert end["problem"]["error"] in ("interrupted", "provider_down"), event


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
        {"status": 429},
        {"status": 200, "body": {"error": {"code": 500}}},
        {"status": 200, "body": {"data": [None]}},
        {"status": 200, "body": {"data": []}},
        {"status": 200, "body": {"data": {}}},
        {"status": 200, "body": "[]"},
        {"status": 200, "body": "<html>"},
    ):
        with connected.emulator.faults(path=path, times=None, **fault):
            response = connected.fetch("/models")
        assert response.status_code == 502
        assert response.get_json()["error"] == "no_models"
        assert response.get_json()["retry"] is True


class CountedHeartbeats:
    """The app as WSGI, with a count of the heartbeats in its streamed answers."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self.count = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        chunks: Any = self._app.wsgi_app(environ, start_response)
        try:
            for chunk in chunks:
                self.count += chunk == b"\n"
                yield chunk
        finally:
            chunks.close()


@pytest.mark.requirement("R109")
def test_a_visitor_who_leaves_stops_paying_within_two_seconds(
    held: HeldModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is silent, so only a heartbeat can notice that the browser has gone.

    Heartbeats are counted, because a duration would depend on the machine.
    """
    # The next question waits as long as it takes to save the stopped answer.
    monkeypatch.setattr(chat, "PATIENCE", PATIENCE)
    held.hold(after="Hello")
    app = CountedHeartbeats(example_at(held.emulator.url, tmp_path))
    with live(app) as origin, requests.Session() as browser:
        login = browser.get(f"{origin}/openrouter/login", allow_redirects=False)
        browser.get(held.emulator.approve(login.headers["Location"]))
        body = {"model": MODEL, "text": "hi"}
        response = browser.post(f"{origin}/ask", json=body, stream=True, timeout=PATIENCE)
        lines = response.iter_lines(chunk_size=None)
        begin = json.loads(next(lines))["begin"]
        assert "Hello" in next(json.loads(line)["tail"] for line in lines if line)
        assert next(lines) == b"", "a heartbeat, because the model is silent"
        response.close()
        before = app.count
        assert held.left.wait(PATIENCE)
        assert (app.count - before) * answer.HEARTBEAT <= 2
        held.release()
        again = {**body, "conversation": begin["conversation"]}
        with browser.post(f"{origin}/ask", json=again, timeout=PATIENCE) as next_response:
            assert next_response.status_code == 200
    stopped = stored_messages(tmp_path / "chat.db", begin["conversation"])[1]
    assert stopped["text"].startswith("Hello")
    assert stopped["state"] == "stopped"
    assert stopped["cost"] is None


def test_a_second_question_is_refused_while_an_answer_is_written(
    held: HeldModel, held_visitor: ChatVisitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "PATIENCE", 0.1)
    held.hold(after="")
    response = held_visitor.ask(buffered=False)
    begin = next(lines_of(response))["begin"]
    second = held_visitor.ask(conversation=begin["conversation"])
    assert second.status_code == 409
    assert "another tab" in second.get_json()["message"]
    response.close()
    assert held.left.wait(PATIENCE)


def test_an_unread_response_closes_the_connection_to_openrouter(
    held: HeldModel, held_visitor: ChatVisitor
) -> None:
    """A server may close a response without ever iterating over it."""
    held.hold(after="")
    held_visitor.ask(buffered=False).close()
    assert held.left.wait(PATIENCE)


def test_heartbeats_are_empty_lines(
    held: HeldModel, held_visitor: ChatVisitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer, "HEARTBEAT", 0.05)
    held.hold(after="")
    response = held_visitor.ask(buffered=False)
    lines: Iterator[Any] = iter(response.response)
    assert b'"begin"' in next(lines)
    assert [next(lines), next(lines)] == [b"\n", b"\n"]
    held.release()
    assert b'"state":"done"' in list(lines)[-1]
    response.close()
