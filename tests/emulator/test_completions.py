"""``POST /api/v1/completions``: the older API for texts."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from cases import case
from inference import events, post, usage_of
from protocol_steps import error_of

from flask_openrouter.emulator import Emulator

PATH = "/completions"
QUESTION: dict[str, Any] = {"model": "openai/gpt-4o", "prompt": "Once upon a time"}


def complete(http: requests.Session, emulator: Emulator, **body: Any) -> requests.Response:
    return post(http, emulator, PATH, emulator.issue_key(), **{**QUESTION, **body})


@pytest.mark.requirement("E2")
def test_a_prompt_is_answered_whole_and_streamed(
    emulator: Emulator, http: requests.Session
) -> None:
    for options in [{}, {"reasoning": {"effort": "low"}}, {"max_tokens": 3}, {"prompt": ["Hi"]}]:
        with case(options):
            whole = complete(http, emulator, **options).json()
            (choice,) = whole["choices"]
            assert whole["object"] == "text_completion"
            assert bool(choice["reasoning"]) == ("reasoning" in options)
            *chunks, usage, done = events(complete(http, emulator, stream=True, **options))
            assert done == "[DONE]"
            texts = [chunk["choices"][0]["text"] for chunk in chunks]
            assert "".join(texts) == choice["text"]
            assert usage["usage"]["cost"] == whole["usage"]["cost"] > 0
            assert usage["choices"][0]["finish_reason"] == choice["finish_reason"]
    hidden = complete(http, emulator, reasoning={"effort": "low", "exclude": True}).json()
    assert hidden["choices"][0]["reasoning"] is None
    with emulator.configured(usage_choice=False):
        *_, usage, _ = events(complete(http, emulator, stream=True))
        assert usage["choices"] == []


@pytest.mark.requirement("E2")
def test_a_fault_breaks_the_stream(emulator: Emulator, http: requests.Session) -> None:
    with emulator.faults(status=502, mid_stream=True):
        *chunks, last = events(complete(http, emulator, stream=True))
    assert len(chunks) > 5
    assert last["error"]["code"] == 502
    assert last["choices"][0]["finish_reason"] == "error"


@pytest.mark.requirement("E2")
def test_bad_requests_are_refused(emulator: Emulator, http: requests.Session) -> None:
    for body in [
        {"prompt": ...},
        {"prompt": 5},
        {"prompt": []},
        {"prompt": ["one", "two"]},
        {"prompt": [5]},
        {"model": "no/such"},
        {"max_tokens": 0},
    ]:
        with case(body):
            api_key = emulator.issue_key()
            response = post(http, emulator, PATH, api_key, **{**QUESTION, **body})
            assert error_of(response)[0] == 400
            assert usage_of(http, emulator, api_key) == 0
