"""All operations that cost money need a key with credit, and say afterwards what they cost."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from cases import case
from inference import events, get, post, usage_of, user
from protocol_steps import error_of, exchange

from flask_openrouter.emulator import Emulator
from flask_openrouter.emulator.generations import MAX_GENERATIONS, Generation, Generations

CHAT = "/chat/completions"
PAID: dict[str, dict[str, Any]] = {
    CHAT: {"model": "openai/gpt-4o", "messages": [user("Hello!")]},
    "/completions": {"model": "openai/gpt-4o", "prompt": "Hello!"},
    "/responses": {"model": "openai/gpt-4o", "input": "Hello!"},
    "/embeddings": {"model": "openai/text-embedding-3-small", "input": "Hello!"},
}


@pytest.mark.requirement("E2")
def test_what_costs_money_needs_a_live_key_with_credit(
    emulator: Emulator, http: requests.Session
) -> None:
    for path, body in PAID.items():
        with case(path):
            url = f"{emulator.url}/api/v1{path}"
            assert error_of(http.post(url, json=body))[0] == 401
            gone = emulator.issue_key()
            emulator.revoke(gone)
            assert error_of(post(http, emulator, path, gone, **body)) == (401, "User not found.")
            spent = emulator.issue_key(limit=1, usage=1)
            with emulator.configured(spent_limit_status=402):
                assert error_of(post(http, emulator, path, spent, **body))[0] == 402
            with emulator.configured(spent_limit_status=403):
                assert error_of(post(http, emulator, path, spent, **body)) == (
                    403,
                    "Key limit exceeded (total limit). Manage it using "
                    "https://openrouter.ai/settings/keys",
                )
            assert usage_of(http, emulator, spent) == 1


@pytest.mark.requirement("E2")
def test_what_an_answer_cost_can_be_asked(emulator: Emulator, http: requests.Session) -> None:
    for path, body in PAID.items():
        with case(path):
            api_key = emulator.issue_key(limit=5)
            response = post(http, emulator, path, api_key, **body)
            cost = response.json()["usage"]["cost"]
            generation_id = response.headers["X-Generation-Id"]
            assert generation_id == response.json()["id"]
            found = get(http, emulator, f"/generation?id={generation_id}", api_key).json()["data"]
            assert found["total_cost"] == cost > 0
            assert found["model"] == body["model"]
            assert found["streamed"] is False
            assert found["cancelled"] is False
            assert found["api_type"] == path[1:] or path in (CHAT, "/responses")
            assert usage_of(http, emulator, api_key) == pytest.approx(cost)


@pytest.mark.requirement("E2")
def test_a_streamed_answer_is_found_as_well(emulator: Emulator, http: requests.Session) -> None:
    api_key = emulator.issue_key()
    body = {"messages": [user("Hello!")], "model": "openrouter/auto", "stream": True}
    response = post(http, emulator, CHAT, api_key, **body)
    cost = events(response)[-2]["usage"]["cost"]
    path = f"/generation?id={response.headers['X-Generation-Id']}"
    found = get(http, emulator, path, api_key).json()["data"]
    assert found["total_cost"] == cost
    assert found["streamed"] is True
    assert found["router"] == "openrouter/auto"
    assert found["finish_reason"] == "stop"
    with emulator.faults(status=502, mid_stream=True):
        response = post(http, emulator, CHAT, api_key, **body)
    path = f"/generation?id={response.headers['X-Generation-Id']}"
    broken = get(http, emulator, path, api_key).json()["data"]
    assert broken["cancelled"] is True
    assert broken["finish_reason"] is None


@pytest.mark.requirement("E2")
def test_a_generation_is_shown_to_its_account_only(
    emulator: Emulator, http: requests.Session
) -> None:
    mine, other = emulator.issue_key(), emulator.issue_key()
    stranger = emulator.issue_key(openrouter_user_id="user_stranger")
    generation_id = post(http, emulator, CHAT, mine, **PAID[CHAT]).json()["id"]
    path = f"/generation?id={generation_id}"
    assert get(http, emulator, path, other).status_code == 200
    assert error_of(get(http, emulator, path, stranger))[0] == 404
    assert error_of(get(http, emulator, path))[0] == 401
    assert error_of(get(http, emulator, "/generation?id=gen-unknown", mine))[0] == 404
    assert error_of(get(http, emulator, "/generation", mine))[0] == 400
    emulator.reset()
    assert error_of(get(http, emulator, path, emulator.issue_key()))[0] == 404


def test_a_limit_that_resets_is_named_in_the_refusal(
    emulator: Emulator, http: requests.Session
) -> None:
    limited = {"callback_url": "http://localhost:3000/", "limit": 0, "usage_limit_type": "daily"}
    owner = emulator.issue_key()
    code = post(http, emulator, "/auth/keys/code", owner, **limited).json()["data"]["id"]
    api_key = exchange(http, emulator, code=code).json()["key"]
    with emulator.configured(spent_limit_status=403):
        response = post(http, emulator, CHAT, api_key, **PAID[CHAT])
    assert "(daily limit)" in error_of(response)[1]


def test_old_generations_are_dropped() -> None:
    generations = Generations()
    for number in range(MAX_GENERATIONS + 1):
        generations.add(
            Generation(
                id=str(number),
                key_owner=None,
                model="a/b",
                router=None,
                api_type="completions",
                created=0.0,
                seconds=0.0,
                cost=0.0,
                prompt_tokens=1,
                completion_tokens=1,
                finish_reason="stop",
                streamed=False,
            )
        )
    assert generations.find("0", None) is None
    assert generations.find("1", None) is not None
