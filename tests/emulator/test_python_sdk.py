"""Our client and the real ``openrouter`` package: same calls, same results, matching errors."""

from __future__ import annotations

import re
from typing import Any

import openrouter
import pytest
from callers import OurClient, Outcome, PythonSDK
from cases import case
from project_files import ROOT
from protocol_steps import CALLBACK_URL, CODE_CHALLENGE, CODE_VERIFIER, PLAIN, S256, approved_code

from flask_openrouter import errors
from flask_openrouter.emulator import KEY_MARKER, Emulator

# The package warns about its own deprecated fields whenever it parses a key.
pytestmark = pytest.mark.filterwarnings("ignore:.*DEPRECATED:DeprecationWarning")

#: Statuses that are not documented for our operations, but that a gateway may send.
UNDOCUMENTED = [
    (404, "OpenRouterDefaultError", "NotFoundError"),
    (405, "OpenRouterDefaultError", "MethodNotAllowedError"),
    (408, "OpenRouterDefaultError", "RequestTimeoutError"),
    (413, "OpenRouterDefaultError", "PayloadTooLargeError"),
    (418, "OpenRouterDefaultError", "APIError"),
    (422, "OpenRouterDefaultError", "UnprocessableError"),
    (429, "OpenRouterDefaultError", "RateLimitError"),
    (504, "OpenRouterDefaultError", "ServerError"),
]
#: The package's errors of other operations than those of the conformance page.
OF_OTHER_OPERATIONS = {
    "BatchPaymentRequiredResponseError",
    "ClientClosedRequestResponseError",
    "CreatePrivateEndpointValidationFailedResponseError",
    "GatewayTimeoutResponseError",
    "GoneResponseError",
    "NoResponseError",
}


@pytest.fixture(params=[OurClient(), PythonSDK()], ids=lambda caller: caller.name)
def caller(request: pytest.FixtureRequest) -> OurClient | PythonSDK:
    param: OurClient | PythonSDK = request.param
    return param


def both(operation: str, emulator: Emulator, key: str | None = None, **given: Any) -> list[Outcome]:
    """Make one call with our client and with the package."""
    return [c.call(operation, emulator.url, key, **given) for c in (OurClient(), PythonSDK())]


def test_both_send_the_same_exchange(emulator: Emulator) -> None:
    for name, parameters in {"S256": S256, "plain": PLAIN, "none": {}}.items():
        with case(name):
            method = parameters.get("code_challenge_method")
            pkce = (
                {"code_verifier": CODE_VERIFIER, "code_challenge_method": method} if method else {}
            )
            ours, theirs = (
                caller.call(
                    "exchange", emulator.url, code=approved_code(emulator, **parameters), **pkce
                )
                for caller in (OurClient(), PythonSDK())
            )
            assert ours.value["openrouter_user_id"] == theirs.value["user_id"] == "user_emulated"
            assert {ours.value["api_key"][:25], theirs.value["key"][:25]} == {
                f"sk-or-v1-{KEY_MARKER}"
            }
            sent = [dict(r.body) for r in emulator.requests if r.path == "/api/v1/auth/keys"]
            for body in sent:
                del body["code"]  # Each caller had its own code.
            first, second = sent
            assert first == second
            emulator.reset()


def test_both_create_the_same_code(emulator: Emulator) -> None:
    ours, theirs = both(
        "create_code",
        emulator,
        emulator.issue_key(),
        callback_url=CALLBACK_URL,
        code_challenge=CODE_CHALLENGE,
        code_challenge_method="S256",
        expires_at="2099-12-31T23:59:59Z",
        key_label="second key",
        limit=5,
        usage_limit_type="monthly",
        workspace_id="12345678-1234-4234-8234-123456789012",
    )
    assert ours.value["app_id"] == theirs.value["data"]["app_id"]
    first, second = (r.body for r in emulator.requests)
    assert first == second
    keys = [
        OurClient().call("exchange", emulator.url, code=code, code_verifier=CODE_VERIFIER).value
        for code in (ours.value["code"], theirs.value["data"]["id"])
    ]
    assert len({key["api_key"] for key in keys}) == 2


def test_both_read_the_same_key_info(emulator: Emulator) -> None:
    for limits in [{}, {"limit": 10, "usage": 2.5}, {"limit": 0}]:
        with case(limits):
            ours, theirs = both("key", emulator, emulator.issue_key(**limits))
            data = theirs.value["data"]
            assert {name: data.get(name) for name in ours.value} == ours.value
            assert ours.value["limit"] == limits.get("limit")


def test_undocumented_errors_have_matching_classes(emulator: Emulator) -> None:
    """The conformance page has the documented ones."""
    for status, theirs, ours in UNDOCUMENTED:
        with case(status, theirs, ours):
            with emulator.faults(status=status, times=2):
                mine, other = both("key", emulator, emulator.issue_key())
            assert (other.error, other.status) == (theirs, status)
            assert (mine.error, mine.status) == (ours, status)
            assert issubclass(getattr(errors, ours), errors.APIError)
            # OpenRouter's message is in both.
            assert other.message is not None
            assert mine.message is not None
            assert mine.message.partition("): ")[2] in other.message


def test_the_conformance_page_names_every_error_of_the_package() -> None:
    known = {name for name in dir(openrouter.errors) if name.endswith("ResponseError")}
    page = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    assert known - set(re.findall(r"`(\w+)`", page)) == OF_OTHER_OPERATIONS


def test_both_refuse_a_malformed_response(
    emulator: Emulator, caller: OurClient | PythonSDK
) -> None:
    with emulator.faults(status=200, body={"key": 7, "user_id": None}):
        outcome = caller.call("exchange", emulator.url, code="any")
    assert outcome.error in ("InvalidAnswerError", "ResponseValidationError")


def test_neither_sends_a_key_with_the_exchange(
    emulator: Emulator, caller: OurClient | PythonSDK
) -> None:
    caller.call("exchange", emulator.url, code=approved_code(emulator))
    assert "authorization" not in emulator.requests[-1].headers
    assert emulator.count("POST", "/api/v1/auth/keys") == 1
