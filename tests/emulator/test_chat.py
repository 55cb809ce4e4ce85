"""``POST /api/v1/chat/completions``: answers, streams, prices, refusals."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests
from cases import case
from openrouter_schemas import assert_documented, assert_schema
from polling import wait_until
from protocol_steps import bearer, error_of

from flask_openrouter.emulator import Emulator, EmulatorConfig, run_in_thread

PATH = "/api/v1/chat/completions"
MODEL = "openai/gpt-4o-mini"


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def chat(
    http: requests.Session, emulator: Emulator, api_key: str, **body: Any
) -> requests.Response:
    body = {"model": MODEL, "messages": [user("What is Flask?")], **body}
    body = {name: value for name, value in body.items() if value is not ...}
    return http.post(f"{emulator.url}{PATH}", json=body, headers=bearer(api_key))


def text_in(response: requests.Response) -> str:
    text: str = response.json()["choices"][0]["message"]["content"]
    return text


def events(response: requests.Response) -> list[Any]:
    """Return the data of the events, without comments."""
    blocks = response.content.decode().split("\n\n")
    data = [block.removeprefix("data: ") for block in blocks if block.startswith("data: ")]
    return [item if item == "[DONE]" else json.loads(item) for item in data]


def usage_of(http: requests.Session, emulator: Emulator, api_key: str) -> float:
    url = f"{emulator.url}/api/v1/key"
    usage: float = http.get(url, headers=bearer(api_key)).json()["data"]["usage"]
    return usage


def test_an_answer_quotes_the_question_and_says_that_it_is_emulated(
    emulator: Emulator, http: requests.Session
) -> None:
    response = chat(http, emulator, emulator.issue_key())
    assert_documented(response.json(), "/chat/completions", "post", 200)
    assert "“What is Flask?”" in text_in(response)
    assert "emulated" in text_in(response)
    assert response.headers["X-Generation-Id"] == response.json()["id"]
    assert response.json()["id"].startswith("gen-")
    assert response.json()["system_fingerprint"] is None


def test_the_same_question_gets_the_same_answer(emulator: Emulator, http: requests.Session) -> None:
    answers = {text_in(chat(http, emulator, emulator.issue_key())) for _ in range(3)}
    assert len(answers) == 1


def test_answers_fit_the_conversation(emulator: Emulator, http: requests.Session) -> None:
    for messages, words in [
        ([user("Hello!")], "nice to meet you"),
        ([user("Write a poem")], "Thank you. You wrote: “Write a poem”"),
        ([user("")], "without words"),
        ([user(None)], "without words"),
        ([{"role": "system", "content": "Be brief."}], "without words"),
        ([user("x" * 1000)], "x" * 280 + "…"),
        ([user("one"), {"role": "assistant", "content": "1"}, user("two")], "message 2"),
        ([user([{"type": "text", "text": "from parts"}, {"type": "image_url"}])], "from parts"),
        ([user("<img src=x onerror=alert(1)>")], "<img src=x onerror=alert(1)>"),
    ]:
        with case(messages, words):
            response = chat(http, emulator, emulator.issue_key(), messages=messages)
            assert words in text_in(response)


def test_a_stream_sends_the_answer_word_by_word(emulator: Emulator, http: requests.Session) -> None:
    api_key = emulator.issue_key()
    response = chat(http, emulator, api_key, stream=True)
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.headers["X-Generation-Id"]
    assert response.content.startswith(b": OPENROUTER PROCESSING\n\n")
    *chunks, usage, done = events(response)
    assert done == "[DONE]"
    for chunk in [*chunks, usage]:
        assert_schema(chunk, "ChatStreamChunk")
        assert chunk["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert usage["choices"] == chunks[-1]["choices"]
    assert usage["usage"]["cost"] > 0
    deltas = [chunk["choices"][0]["delta"]["content"] for chunk in chunks]
    assert len(deltas) > 20
    assert "".join(deltas) == text_in(chat(http, emulator, api_key))
    assert not any("usage" in chunk for chunk in chunks)


def test_the_price_is_charged_to_the_key(emulator: Emulator, http: requests.Session) -> None:
    api_key = emulator.issue_key(limit=1)
    plain = chat(http, emulator, api_key).json()["usage"]["cost"]
    assert usage_of(http, emulator, api_key) == pytest.approx(plain)
    streamed = events(chat(http, emulator, api_key, stream=True))[-2]["usage"]["cost"]
    assert usage_of(http, emulator, api_key) == pytest.approx(plain + streamed)
    assert usage_of(http, emulator, emulator.issue_key()) == 0


def test_free_models_cost_nothing(emulator: Emulator, http: requests.Session) -> None:
    api_key = emulator.issue_key()
    response = chat(http, emulator, api_key, model="meta-llama/llama-3.3-70b-instruct:free")
    assert response.json()["usage"]["cost"] == 0
    assert usage_of(http, emulator, api_key) == 0


def test_a_client_that_leaves_early_pays_for_the_words_sent(http: requests.Session) -> None:
    with run_in_thread(EmulatorConfig(word_delay=0.01)) as emulator:
        api_key = emulator.issue_key()
        with http.post(
            f"{emulator.url}{PATH}",
            json={"model": MODEL, "messages": [user("hi")], "stream": True},
            headers=bearer(api_key),
            stream=True,
        ) as response:
            next(response.iter_content(1000))
        whole = chat(http, emulator, emulator.issue_key()).json()["usage"]["cost"]
        usage = wait_until(lambda: usage_of(http, emulator, api_key))
        assert 0 < usage < whole


def test_a_stream_survives_the_deletion_of_its_key(
    emulator: Emulator, http: requests.Session
) -> None:
    """Resetting the emulator in the middle of a stream does not break the stream."""
    with emulator.configured(word_delay=0.005):
        response = http.post(
            f"{emulator.url}{PATH}",
            json={"messages": [user("hi")], "stream": True},
            headers=bearer(emulator.issue_key()),
            stream=True,
        )
        emulator.ledger.clear()
    assert events(response)[-1] == "[DONE]"


def test_answers_can_be_cut_short(emulator: Emulator, http: requests.Session) -> None:
    for name in ["max_tokens", "max_completion_tokens"]:
        with case(name):
            response = chat(http, emulator, emulator.issue_key(), **{name: 3}).json()
            assert response["choices"][0]["finish_reason"] == "length"
            assert response["usage"]["completion_tokens"] == 3
            # JSON has one kind of number (RFC 8259 section 6).
            same = chat(http, emulator, emulator.issue_key(), **{name: 3.0}).json()
            assert same["usage"] == response["usage"]
            whole = chat(http, emulator, emulator.issue_key(), **{name: 1000}).json()
            assert whole["choices"][0]["finish_reason"] == "stop"


def test_the_first_known_model_answers(emulator: Emulator, http: requests.Session) -> None:
    for body, served in [
        ({"model": ...}, MODEL),
        ({"model": None}, MODEL),
        ({"model": ..., "models": ["no/such", "openai/gpt-4o"]}, "openai/gpt-4o"),
        ({"model": "no/such", "models": ["openai/gpt-4o"]}, "openai/gpt-4o"),
        ({"models": ["openai/gpt-4o"]}, MODEL),
        ({"stream": None}, MODEL),
    ]:
        with case(body, served):
            response = chat(http, emulator, emulator.issue_key(), **body)
            assert response.json()["model"] == served


def test_bad_requests_are_refused_and_cost_nothing(
    emulator: Emulator, http: requests.Session
) -> None:
    for body in [
        {"model": "no/such"},
        {"model": 5},
        {"model": ""},
        {"messages": ...},
        {"messages": []},
        {"messages": "hi"},
        {"messages": ["hi"]},
        {"messages": [{"role": "pirate", "content": "hi"}]},
        {"messages": [{"role": "user", "content": 5}]},
        {"stream": "yes"},
        {"max_tokens": 0},
        {"max_tokens": True},
        {"max_tokens": 2.5},
        {"models": "openai/gpt-4o"},
        {"models": ["openai/gpt-4o", 5]},
        {"messages": [{"role": "user", "content": ["text"]}]},
        {"messages": [{"role": "user", "content": [{"text": "without a type"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]},
        {"max_completion_tokens": "5"},
    ]:
        with case(body):
            api_key = emulator.issue_key()
            response = chat(http, emulator, api_key, **body)
            assert error_of(response)[0] == 400
            assert_documented(response.json(), "/chat/completions", "post", 400)
            assert usage_of(http, emulator, api_key) == 0


def test_without_a_live_key_the_chat_is_refused(emulator: Emulator, http: requests.Session) -> None:
    url = f"{emulator.url}{PATH}"
    assert error_of(http.post(url, json={})) == (401, "Missing Authentication header")
    assert error_of(chat(http, emulator, "sk-or-v1-unknown")) == (401, "User not found.")
    api_key = emulator.issue_key()
    emulator.revoke(api_key)
    assert error_of(chat(http, emulator, api_key, stream=True)) == (401, "User not found.")


@pytest.mark.parametrize("stream", [False, True])
def test_a_spent_key_is_out_of_credit(
    emulator: Emulator, http: requests.Session, stream: bool
) -> None:
    with emulator.configured(spent_limit_status=402):
        response = chat(http, emulator, emulator.issue_key(limit=1, usage=1), stream=stream)
    assert error_of(response) == (
        402,
        "Insufficient credits. Add more using https://openrouter.ai/settings/credits",
    )
    assert response.json()["error"]["metadata"] == {"limit_source": "openrouter_credits"}
    assert_documented(response.json(), "/chat/completions", "post", 402)
    refused = chat(http, emulator, emulator.issue_key(limit=0), stream=stream)
    assert error_of(refused)[0] == 403
    assert "Key limit exceeded" in error_of(refused)[1]


def test_a_fault_can_send_every_documented_error_before_the_stream(
    emulator: Emulator, http: requests.Session
) -> None:
    for status in [400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 524, 529]:
        with case(status):
            with emulator.faults(status=status, path=PATH, headers={"Retry-After": "7"}):
                response = chat(http, emulator, emulator.issue_key(), stream=True)
            assert error_of(response)[0] == status
            assert response.headers["Retry-After"] == "7"
            assert response.headers["X-OpenRouter-Emulator"] == "1"
            assert_documented(response.json(), "/chat/completions", "post", status)


def test_a_fault_can_send_an_error_in_the_middle_of_the_stream(
    emulator: Emulator, http: requests.Session
) -> None:
    for status, error_type in [
        (502, "provider_unavailable"),
        (429, "rate_limit_exceeded"),
        (500, "server"),
    ]:
        with case(status, error_type):
            api_key = emulator.issue_key()
            with emulator.faults(status=status, path=PATH, mid_stream=True):
                response = chat(http, emulator, api_key, stream=True)
            assert response.status_code == 200
            *chunks, last = events(response)
            assert len(chunks) > 5
            assert last["error"]["code"] == status
            assert last["error"]["metadata"] == {"error_type": error_type}
            assert last["choices"][0]["finish_reason"] == "error"
            assert_schema(last, "ChatStreamChunk")
            assert usage_of(http, emulator, api_key) > 0


def test_a_fault_can_drop_the_connection_of_a_stream(
    emulator: Emulator, http: requests.Session
) -> None:
    with (
        emulator.faults(reset=True, path=PATH, mid_stream=True),
        pytest.raises(requests.exceptions.ChunkedEncodingError),
    ):
        chat(http, emulator, emulator.issue_key(), stream=True)


def test_a_mid_stream_fault_fails_the_whole_response_without_a_stream(
    emulator: Emulator, http: requests.Session
) -> None:
    for fault, status in [({"status": 503}, 503), ({"reset": True}, 502)]:
        with case(fault, status), emulator.faults(mid_stream=True, path=PATH, **fault):
            assert error_of(chat(http, emulator, emulator.issue_key()))[0] == status


def test_words_come_with_the_configured_delay(http: requests.Session) -> None:
    with run_in_thread(EmulatorConfig(word_delay=0.005)) as emulator:
        started = time.monotonic()
        response = chat(http, emulator, emulator.issue_key(), stream=True, max_tokens=20)
        # time: a lower bound, which a slow machine only exceeds by more
        assert time.monotonic() - started >= 0.1
        assert events(response)[-1] == "[DONE]"
