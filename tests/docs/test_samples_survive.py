"""The first samples of the README and of the quickstart, under every answer of OpenRouter."""

from __future__ import annotations

from typing import Any

import pytest
from cases import case
from doc_blocks import blocks
from flask import Flask
from visitor import Visitor

from flask_openrouter.emulator import NAMED_FAULTS, Emulator

#: The status that the visitor gets. Faults that are not named here do not harm a plain answer.
STATUSES = {
    "relayed_401": 502,
    "passing_401": 502,
    "chat_401": 502,
    "error_401_in_200": 502,
    # Set aside, and asked to connect again.
    "outage_401": 303,
    "outage_500": 502,
    "relayed_402": 502,
    "upstream_limit_402": 502,
    "fewer_tokens_402": 402,
    "weight_402": 402,
    "prompt_tokens_402": 402,
    "in_flight_402": 429,
    "null_provider_402": 402,
    "key_limit_403": 402,
    "key_budget_403": 402,
    "workspace_budget_403": 402,
    "workspace_admin_403": 402,
    "guardrail_budget_403": 402,
    "moderation_403": 403,
    "content_policy_403": 403,
    "age_403": 403,
    "context_length_400": 400,
    "relayed_context_length_400": 400,
    "zod_400": 502,
    "text_400": 502,
    "data_policy_404": 403,
    "guardrail_404": 403,
    "zdr_404": 403,
    "blocked_model_404": 403,
    "ignored_providers_404": 403,
    "free_models_per_day_429": 429,
    "retry_after_in_body_429": 429,
    "reset_header_429": 429,
    "rate_limited_200": 429,
    "privacy_502": 403,
    "error_200": 502,
    "html_524": 504,
    "error_chunk": 502,
    "error_on_choice": 502,
    "error_event": 502,
    "finish_reason_error": 502,
    "network_error_finish": 502,
    "timeout_finish": 502,
    "error_in_delta": 429,
    "key_limit_in_stream": 402,
    "relayed_401_in_stream": 502,
}
UNHARMED = {
    "null_content": "The model said nothing.",
    "only_reasoning": "The model said nothing.",
    "refusal": "The model said nothing.",
    "content_in_parts": "Hello?",
    "split_surrogates": "\U0001f600 today.",
    "lone_surrogate": "\ufffd",
}


def readme_app(emulator: Emulator) -> Flask:
    code = blocks("python")[0].code
    settings = f'app.config["OPENROUTER_BASE_URL"] = "{emulator.url}"\napp.testing = True\n'
    names: dict[str, Any] = {"__name__": "app"}
    code = code.replace("\nOpenRouterAuth(app)\n", f"\n{settings}OpenRouterAuth(app)\n")
    exec(code, names)  # noqa: S102
    app: Flask = names["app"]
    return app


def quickstart_app(emulator: Emulator) -> Flask:
    (code,) = [b.code for b in blocks("python") if "def create_app" in b.code and "PAGE" in b.code]
    names: dict[str, Any] = {"__name__": "app"}
    exec(code, names)  # noqa: S102
    settings = {"SECRET_KEY": "x" * 32, "OPENROUTER_BASE_URL": emulator.url, "TESTING": True}
    app: Flask = names["create_app"](settings)
    return app


@pytest.mark.requirement("O9", "O10", "O11", "O23")
@pytest.mark.parametrize("make", [readme_app, quickstart_app])
def test_a_sample_survives_every_answer(make: Any, emulator: Emulator) -> None:
    app = make(emulator)
    assert set(STATUSES) | set(UNHARMED) <= set(NAMED_FAULTS)
    for name in NAMED_FAULTS:
        with case(name):
            emulator.reset()
            visitor = Visitor(app)
            visitor.connect(emulator)
            emulator.faults(name, times=None)
            response = visitor.post("/ask", data={"question": "Hello?"})
            assert response.status_code == STATUSES.get(name, 200), response.text
            assert UNHARMED.get(name, "") in response.text
            assert ("Retry-After" in response.headers) is (response.status_code == 429)
            if response.status_code == 303:
                assert response.location.startswith("/openrouter/login")
