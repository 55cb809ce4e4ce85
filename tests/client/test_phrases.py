"""OpenRouter's phrases for what settings of the visitor's account exclude, as they are sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cases import case

from flask_openrouter.client.responses import error_from, error_in
from flask_openrouter.errors import (
    APIError,
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    ProviderError,
)

BASE_URL = "https://gateway.example"
PRIVACY = f"{BASE_URL}/settings/privacy"
PREFERENCES = f"{BASE_URL}/settings/preferences"
GUARDRAILS = f"{BASE_URL}/settings/guardrails"
EXCLUDED = (
    "0 endpoints out of {} requested are available matching your guardrail restrictions and data"
    " policy. We removed them for the following reasons (an endpoint may have matched multiple"
    " reasons):\n{}: 1 endpoint excluded; configurable at https://openrouter.ai/settings/privacy"
)
IGNORED = "All providers have been ignored. To change your default ignored providers, visit: "
ALLOWED = "No allowed providers are available for the selected model."
SERVING = f"{ALLOWED} Providers serving a/b: {'a-provider, ' * 60}c, but your"
AGE = "This model requires you to complete the following before use: 18+ age confirmation."


def check(status: int, message: object, metadata: dict[str, Any], *expected: object) -> None:
    """Check the class, the reason and the help of an error, as a status and inside a 200."""
    body = {"error": {"code": status, "message": message, "metadata": metadata}}
    by_status = error_from(status, {}, json.dumps(body).encode(), base_url=BASE_URL)
    for error in (by_status, error_in(body, base_url=BASE_URL)):
        with case(status, message, metadata):
            assert isinstance(error, APIError)
            assert (type(error), error.reason, error.help_url) == expected


@pytest.mark.requirement("O10")
def test_settings_that_exclude_a_model_are_named_by_phrases() -> None:
    for message, reason, help_url in [
        (
            EXCLUDED.format(1, "Paid model training violation (account settings)"),
            "privacy",
            PRIVACY,
        ),
        (EXCLUDED.format(12, "ZDR violation (account settings)"), "privacy", PRIVACY),
        (EXCLUDED.format(1, "ZDR violation (guardrail)"), "guardrail", GUARDRAILS),
        (EXCLUDED.format(3, "Model blocked by guardrail"), "guardrail", GUARDRAILS),
        (EXCLUDED.format(1, "Something new"), "privacy", PRIVACY),
        ("ZDR violation (account settings): 8 endpoints excluded", "privacy", PRIVACY),
        ("Zero data retention violation (account settings)", "privacy", PRIVACY),
        ("Free model publication violation (account settings)", "privacy", PRIVACY),
        ("Free model training violation (guardrail): 1 endpoint", "guardrail", GUARDRAILS),
        ("Model blocked by guardrail: 5 endpoints excluded", "guardrail", GUARDRAILS),
        (f"{IGNORED}https://openrouter.ai/settings/privacy", "privacy", PRIVACY),
        (f"{IGNORED}https://openrouter.ai/settings/preferences", "privacy", PREFERENCES),
        (ALLOWED, "privacy", PRIVACY),
        (f"{SERVING} account's allowed-providers setting permits only: d", "privacy", PRIVACY),
        # The app's own request.
        (f"{SERVING} request's `provider.only` preference permits only: d", None, None),
        ("No endpoints found that support image input", None, None),
        (f"You wrote: {ALLOWED}", None, None),
    ]:
        check(404, message, {}, NotFoundError, reason, help_url)
    names = {"available_providers": ["z-ai"], "requested_providers": ["anthropic"]}
    check(404, ALLOWED, names, NotFoundError, "privacy", PRIVACY)


@pytest.mark.requirement("O10")
def test_settings_that_exclude_a_model_are_named_by_codes() -> None:
    for names, reason, help_url in [
        (["paid-model-training-violation-by-account"], "privacy", PRIVACY),
        (["free-model-training-violation"], "privacy", PRIVACY),
        (["zdr-violation-by-account"], "privacy", PRIVACY),
        (["provider-ignored-BY-ACCOUNT"], "privacy", PRIVACY),
        (["zdr-violation"], "privacy", PRIVACY),
        (["model-ignored-by-guardrail"], "guardrail", GUARDRAILS),
        (["zdr-violation-by-guardrail", "provider-not-allowed"], "guardrail", GUARDRAILS),
        (["zdr-violation-by-guardrail", "zdr-violation-by-account"], "privacy", PRIVACY),
        (["provider-not-allowed", None, 7], None, None),
    ]:
        reasons = [{"reason": name, "endpoint_count": 1} for name in names]
        metadata = {"ineligibility_reasons": reasons}
        check(404, "No", metadata, NotFoundError, reason, help_url)
    for odd in ("zdr", {"reason": "zdr"}, ["zdr"], [None]):
        check(404, "No", {"ineligibility_reasons": odd}, NotFoundError, None, None)


@pytest.mark.requirement("O10", "O18")
def test_a_missing_age_confirmation_is_no_moderation() -> None:
    where = f"{AGE} Confirm at https://openrouter.ai/settings/preferences."
    missing = {"missing_attestation_types": ["age_18plus"], "provider_name": None}
    for message, metadata, help_url in [
        (where, missing, PREFERENCES),
        (where, {}, PREFERENCES),
        ("No", missing, PREFERENCES),
        (AGE, {}, None),
    ]:
        check(403, message, metadata, ForbiddenError, "permission", help_url)
    check(403, f"You wrote: {AGE}", {}, ForbiddenError, None, None)


@pytest.mark.requirement("O9")
def test_a_request_that_is_too_long_is_known_in_every_spelling() -> None:
    for subject in ("endpoint", "model"):
        for size in ("40960", "131,072", "1,048,576"):
            message = f"This {subject}'s maximum context length is {size} tokens. However, you"
            check(400, message, {}, BadRequestError, "context_length", None)
    inner = {"message": "Too long", "code": "context_length_exceeded"}
    for raw in (
        json.dumps({"error": inner}),
        json.dumps(inner),
        json.dumps({"error": {"type": "string_too_long", "code": None}}),
        {"error": inner},
    ):
        named = {"provider_name": "OpenAI", "raw": raw}
        check(400, "Provider returned error", named, ProviderError, "context_length", None)
    quoted = json.dumps({"error": {"message": 'My "code": "context_length_exceeded"'}})
    for raw in (quoted, "context_length_exceeded", '{"error": "x"}', "[1]", ["x"]):
        check(400, "No", {"raw": raw}, ProviderError, None, None)
