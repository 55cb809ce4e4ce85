"""Named faults that answer an error, with the statuses, texts and metadata seen in the field."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
import requests
from cases import case
from chat_calls import chat, chunks_in
from protocol_steps import bearer, error_of

from flask_openrouter.emulator import Emulator

NOON = datetime(2027, 1, 15, 12, tzinfo=timezone.utc).timestamp()
MIDNIGHT = datetime(2027, 1, 16, tzinfo=timezone.utc).timestamp()
RESETS_AT = "2027-01-16T00:00:00.000Z"
KEYS_PAGE = "https://openrouter.ai/settings/keys"
EXCLUDED = {"ineligibility_reasons": [{"reason": "zdr-violation-by-account", "endpoint_count": 1}]}
BLOCKED = {"ineligibility_reasons": [{"reason": "model-ignored-by-guardrail", "endpoint_count": 1}]}

#: Status, a part of the message, and a part of the metadata (``None``: no metadata).
ERRORS: dict[str, tuple[int, str, dict[str, Any] | None]] = {
    "relayed_401": (401, "Provider returned error", {"provider_name": "Anthropic"}),
    "relayed_402": (402, "Provider returned error", {"provider_name": "Venice", "is_byok": False}),
    "upstream_limit_402": (
        402,
        "Provider returned error",
        {"limit_source": "upstream_provider_credits"},
    ),
    "passing_401": (401, "User not found.", None),
    "fewer_tokens_402": (402, "more credits, or fewer max_tokens. You requested up to 4096", None),
    "weight_402": (402, "Insufficient credits", {"reason": "weight_exceeds_budget"}),
    "prompt_tokens_402": (402, "Prompt tokens limit exceeded: 230799 > 91442", None),
    "in_flight_402": (402, "in flight", {"limit_source": "openrouter_in_flight_budget"}),
    "null_provider_402": (402, "Insufficient credits", {"provider_name": None}),
    "key_limit_403": (403, f"Key limit exceeded (daily limit). Manage it using {KEYS_PAGE}", None),
    "key_budget_403": (
        403,
        "Budget limit exceeded",
        {"limit_source": "openrouter_key_limit", "resets_at": RESETS_AT},
    ),
    "workspace_budget_403": (
        403,
        "Budget limit exceeded",
        {
            "limit_source": "openrouter_workspace_budget",
            "scope": "workspace",
            "limit_usd": 500,
            "spend_usd": 500.12,
            "resets_at": RESETS_AT,
        },
    ),
    "workspace_admin_403": (403, "Contact your workspace admin.", None),
    "guardrail_budget_403": (
        403,
        "Budget limit exceeded",
        {"limit_source": "openrouter_guardrail_budget"},
    ),
    "moderation_403": (403, "my credit card limit was reached", {"reasons": ["harassment"]}),
    "content_policy_403": (
        403,
        "Provider returned error",
        {"error_type": "content_policy_violation", "provider_name": "Google"},
    ),
    "age_403": (403, "18+ age", {"missing_attestation_types": ["age_18plus"]}),
    "relayed_context_length_400": (400, "Provider returned", {"provider_name": "OpenAI"}),
    "zdr_404": (404, "\nZDR violation (account settings): 1 endpoint", EXCLUDED),
    "blocked_model_404": (404, "\nModel blocked by guardrail: 1 endpoint", BLOCKED),
    "ignored_providers_404": (404, "All providers have been ignored", None),
    "context_length_400": (400, "maximum context length is 40960 tokens. However, you", None),
    "data_policy_404": (404, "No endpoints found matching your data policy", None),
    "guardrail_404": (404, "No endpoints available matching your guardrail restrictions", None),
    "free_models_per_day_429": (
        429,
        "Rate limit exceeded: free-models-per-day",
        {
            "headers": {
                "X-RateLimit-Limit": "50",
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": str(int(MIDNIGHT * 1000)),
            }
        },
    ),
    "retry_after_in_body_429": (429, "Provider returned error", {"retry_after_seconds": 42}),
    "reset_header_429": (429, "Rate limit exceeded: limit_rpm", None),
    "privacy_502": (502, "Paid model training violation (account settings)", None),
}


@pytest.mark.requirement("O1", "O2", "O3", "O4", "O5", "O6", "O7", "O8", "O9", "O10", "O18")
@pytest.mark.requirement("O21", "O24", "E7")
def test_each_error_is_answered_once_in_place_of_an_answer(
    emulator: Emulator, http: requests.Session
) -> None:
    emulator.configure(clock=lambda: NOON)
    for name, (status, message, metadata) in ERRORS.items():
        for stream in (False, True):
            with case(name, stream):
                with emulator.faults(name):
                    response = chat(http, emulator, stream=stream)
                    assert chat(http, emulator).status_code == 200
                assert error_of(response)[0] == status
                assert message in error_of(response)[1]
                found = response.json()["error"].get("metadata")
                if metadata is None:
                    assert found is None
                else:
                    assert found.items() >= metadata.items()
                assert "Retry-After" not in response.headers or name == "in_flight_402"


@pytest.mark.requirement("O8", "O21")
def test_some_errors_say_in_a_header_when_to_try_again(
    emulator: Emulator, http: requests.Session
) -> None:
    emulator.configure(clock=lambda: NOON)
    with emulator.faults("in_flight_402"):
        assert chat(http, emulator).headers["Retry-After"] == "5"
    with emulator.faults("reset_header_429"):
        headers = chat(http, emulator).headers
    assert headers["X-RateLimit-Reset"] == str(int((NOON + 42) * 1000))


@pytest.mark.requirement("O11", "O22")
def test_an_error_can_come_with_status_200(emulator: Emulator, http: requests.Session) -> None:
    for name, code in [("rate_limited_200", 429), ("error_200", 502), ("error_401_in_200", 401)]:
        for stream in (False, True):
            with case(name, stream):
                with emulator.faults(name):
                    response = chat(http, emulator, stream=stream)
                assert response.status_code == 200
                if stream and name != "rate_limited_200":
                    assert response.headers["Content-Type"].startswith("text/event-stream")
                    (body,) = chunks_in(response.content)
                else:
                    body = response.json()
                assert body["error"]["code"] == code
                assert body.keys() - {"id"} == {"error"}


@pytest.mark.requirement("O23")
def test_a_400_can_have_other_shapes(emulator: Emulator, http: requests.Session) -> None:
    with emulator.faults("zod_400"):
        response = chat(http, emulator)
    body = response.json()
    assert (response.status_code, body["success"]) == (400, False)
    assert body["error"]["name"] == "ZodError"
    (issue,) = json.loads(body["error"]["message"])
    assert issue["path"] == ["messages"]
    with emulator.faults("text_400"):
        response = chat(http, emulator)
    assert (response.status_code, response.text) == (400, "Malformed JSON in request body")
    assert response.headers["Content-Type"].startswith("text/plain")


@pytest.mark.requirement("E7")
def test_an_error_can_be_a_web_page(emulator: Emulator, http: requests.Session) -> None:
    with emulator.faults("html_524"):
        response = chat(http, emulator)
    assert response.status_code == 524
    assert response.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert "524: A timeout occurred" in response.text
    url = f"{emulator.url}/api/v1/auth/keys/code"
    with emulator.faults("create_code_404"):
        response = http.post(url, json={}, headers=bearer(emulator.issue_key()))
    assert response.status_code == 404
    assert "<html>" in response.text


@pytest.mark.requirement("O3", "E7")
def test_a_key_can_be_good_at_key_while_chat_says_401(
    emulator: Emulator, http: requests.Session
) -> None:
    key = bearer(emulator.issue_key())
    with emulator.faults("chat_401"):
        for _ in range(3):
            assert error_of(chat(http, emulator)) == (401, "User not found.")
            assert http.get(f"{emulator.url}/api/v1/key", headers=key).ok
    assert chat(http, emulator).status_code == 200


@pytest.mark.requirement("E7")
def test_an_outage_answers_everything_for_a_while(
    emulator: Emulator, http: requests.Session
) -> None:
    emulator.configure(clock=lambda: NOON)
    key = bearer(emulator.issue_key())
    for name, status in [("outage_401", 401), ("outage_500", 500)]:
        emulator.faults(name, lasts=600)
        for seconds, expected in [(0, status), (599, status), (1, 200), (0, 200)]:
            with case(name, seconds):
                emulator.advance_clock(seconds)
                for path in ("key", "models", "models/user"):
                    url = f"{emulator.url}/api/v1/{path}"
                    assert http.get(url, headers=key).status_code == expected
                assert http.get(emulator.url).status_code == 200
        assert emulator.fault_queue.faults(emulator.now()) == []
