"""The real SDK for TypeScript works with the emulator, and does what our client does."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from callers import OurClient
from cases import case
from protocol_steps import CALLBACK_URL, CODE_CHALLENGE, CODE_VERIFIER, S256, approved_code, code_in
from typescript_sdk import TypeScriptSDK

from flask_openrouter import OpenRouterClient
from flask_openrouter.emulator import Emulator

MODEL = "openai/gpt-4o-mini"
QUESTION: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "What is Flask?"}],
}
UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


def test_its_code_challenges_equal_ours(typescript: TypeScriptSDK) -> None:
    """1,000 verifiers of every length that RFC 7636 allows, half of them made by our client."""
    chance = random.Random(7636)  # The seed makes a failure repeatable.
    verifiers = [OpenRouterClient.create_code_verifier() for _ in range(500)]
    verifiers += ["".join(chance.choices(UNRESERVED, k=43 + n % 86)) for n in range(500)]
    theirs = typescript.call("code_challenges", "http://unused", code_verifiers=verifiers).value
    assert theirs == [OpenRouterClient.create_code_challenge(verifier) for verifier in verifiers]
    assert {len(verifier) for verifier in verifiers} == set(range(43, 129))


def test_both_refuse_a_malformed_code_verifier(typescript: TypeScriptSDK) -> None:
    for verifier in ["a" * 42, "a" * 129, "a" * 42 + "=", "a" * 43 + "\n"]:
        with case(verifier):
            outcome = typescript.call("code_challenges", "http://unused", code_verifiers=[verifier])
            assert outcome.value == [None]
            with pytest.raises(ValueError, match="code_verifier"):
                OpenRouterClient.create_code_challenge(verifier)


def test_its_authorization_url_equals_ours(typescript: TypeScriptSDK, emulator: Emulator) -> None:
    for parameters in [
        {"callback_url": CALLBACK_URL},
        {"callback_url": CALLBACK_URL, "limit": 0},
        {"callback_url": CALLBACK_URL, "limit": 0.5, **S256},
        {"callback_url": "https://app.example/a%20b?x=1&y=%26", **S256},
        {"callback_url": CALLBACK_URL, "code_challenge": CODE_VERIFIER}
        | {"code_challenge_method": "plain"},
    ]:
        with case(parameters):
            theirs = typescript.call("authorization_url", emulator.url, **parameters).value
            ours = OurClient().call("authorization_url", emulator.url, **parameters).value
            assert urlsplit(theirs)[:3] == urlsplit(ours)[:3]
            assert parse_qsl(urlsplit(theirs).query) == parse_qsl(urlsplit(ours).query)


def test_it_logs_in_from_the_first_step_to_the_last(
    typescript: TypeScriptSDK, emulator: Emulator
) -> None:
    pkce = typescript.call("create_code_challenge", emulator.url).value
    url = typescript.call(
        "authorization_url",
        emulator.url,
        callback_url=CALLBACK_URL,
        code_challenge=pkce["code_challenge"],
        code_challenge_method="S256",
        limit=5,
    ).value
    issued = typescript.call(
        "exchange",
        emulator.url,
        code=code_in(emulator.approve(url)),
        code_verifier=pkce["code_verifier"],
        code_challenge_method="S256",
    ).value
    assert issued["user_id"] == "user_emulated"
    info = typescript.call("key", emulator.url, issued["key"]).value["data"]
    assert (info["limit"], info["limit_remaining"]) == (5, 5)
    assert "authorization" not in emulator.requests[-2].headers


def test_it_creates_a_code_that_our_client_exchanges(
    typescript: TypeScriptSDK, emulator: Emulator
) -> None:
    created = typescript.call(
        "create_code",
        emulator.url,
        emulator.issue_key(),
        callback_url=CALLBACK_URL,
        code_challenge=CODE_CHALLENGE,
        code_challenge_method="S256",
        expires_at="2099-01-01T00:00:00Z",
        key_label="second key",
        limit=5,
        usage_limit_type="monthly",
        workspace_id="12345678-1234-4234-8234-123456789012",
    ).value["data"]
    client = OpenRouterClient(emulator.url)
    issued = client.exchange_code(created["id"], CODE_VERIFIER)
    info = client.get_key_info(issued.api_key)
    assert (info.limit, info.limit_reset) == (5, "monthly")
    assert info.workspace_id == "12345678-1234-4234-8234-123456789012"


def test_it_lists_the_models(typescript: TypeScriptSDK, emulator: Emulator) -> None:
    public = typescript.call("models", emulator.url).value["data"]
    own = typescript.call("models_user", emulator.url, emulator.issue_key()).value["data"]
    assert MODEL in [model["id"] for model in public]
    assert [model["id"] for model in own] == [model["id"] for model in public]


def test_it_chats_plain_and_streamed(typescript: TypeScriptSDK, emulator: Emulator) -> None:
    api_key = emulator.issue_key()
    whole = typescript.call("chat", emulator.url, api_key, **QUESTION).value
    *chunks, usage = typescript.call("stream", emulator.url, api_key, **QUESTION).value
    text = whole["choices"][0]["message"]["content"]
    assert "“What is Flask?”" in text
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks) == text
    assert usage["usage"]["total_tokens"] == whole["usage"]["total_tokens"] > 0


def test_it_reads_an_error_in_the_middle_of_a_stream(
    typescript: TypeScriptSDK, emulator: Emulator
) -> None:
    with emulator.faults(status=502, mid_stream=True):
        chunks = typescript.call("stream", emulator.url, emulator.issue_key(), **QUESTION).value
    assert chunks[-1]["error"]["code"] == 502
    assert chunks[-1]["choices"][0]["finish_reason"] == "error"


def test_it_knows_the_refusals_that_need_no_fault(
    typescript: TypeScriptSDK, emulator: Emulator
) -> None:
    dead, spent = emulator.issue_key(), emulator.issue_key(limit=1, usage=1)
    emulator.revoke(dead)

    def error(operation: str, key: str | None = None, **parameters: Any) -> tuple[Any, ...]:
        outcome = typescript.call(operation, emulator.url, key, **parameters)
        return outcome.status, outcome.error

    wrong = {"code": approved_code(emulator, **S256), "code_verifier": "w" * 43}
    assert error("exchange", code="unknown") == (400, "BadRequestResponseError")
    assert error("exchange", **wrong) == (403, "ForbiddenResponseError")
    assert error("key", dead) == (401, "UnauthorizedResponseError")
    assert error("chat", dead, **QUESTION) == (401, "UnauthorizedResponseError")
    assert error("chat", spent, **QUESTION) == (403, "ForbiddenResponseError")
    with emulator.configured(spent_limit_status=402, credits_style="documented"):
        assert error("chat", spent, **QUESTION) == (402, "PaymentRequiredResponseError")
        assert error("credits", spent) == (403, "ForbiddenResponseError")
    no_key = error("create_code", callback_url=CALLBACK_URL)
    assert no_key == (401, "UnauthorizedResponseError")


def test_it_refuses_a_response_without_user_id(
    typescript: TypeScriptSDK, emulator: Emulator
) -> None:
    """So the emulator must send one. Our client accepts the key without it."""
    body = {"key": emulator.issue_key()}
    with emulator.faults(status=200, body=body, times=2):
        theirs = typescript.call("exchange", emulator.url, code="any")
        ours = OurClient().call("exchange", emulator.url, code="any")
    assert theirs.error == "ResponseValidationError"
    assert ours.error is None
