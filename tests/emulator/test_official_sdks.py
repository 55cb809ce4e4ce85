"""The official ``openrouter`` and ``openai`` packages work with the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from cases import case
from protocol_steps import (
    CALLBACK_URL,
    CODE_CHALLENGE,
    CODE_VERIFIER,
    ERROR_CLASSES,
    S256,
    approved_code,
)

from flask_openrouter.emulator import Emulator

MODEL = "openai/gpt-4o-mini"
QUESTION: list[dict[str, Any]] = [{"role": "user", "content": "What is Flask?"}]

openai = pytest.importorskip("openai")
openrouter = pytest.importorskip("openrouter")

# The package warns about its own deprecated fields whenever it parses a key.
pytestmark = pytest.mark.filterwarnings("ignore:.*DEPRECATED:DeprecationWarning")


def make_sdk(emulator: Emulator, api_key: str | None = None) -> Any:
    """Return a client without the retries that would send a code twice."""
    utils = openrouter.utils
    return openrouter.OpenRouter(
        api_key=api_key,
        server_url=f"{emulator.url}/api/v1",
        retry_config=utils.RetryConfig("none", utils.BackoffStrategy(1, 1, 1, 1), False),
    )


@pytest.fixture
def sdk(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    with make_sdk(emulator) as client:
        yield client


@pytest.fixture
def keyed_sdk(emulator: Emulator) -> Iterator[Any]:
    with make_sdk(emulator, emulator.issue_key(limit=10, usage=1)) as client:
        yield client


@pytest.fixture
def openai_client(emulator: Emulator) -> Iterator[Any]:
    with openai.OpenAI(
        api_key=emulator.issue_key(), base_url=f"{emulator.url}/api/v1", max_retries=0
    ) as client:
        yield client


def test_openrouter_exchanges_a_code(emulator: Emulator, sdk: Any) -> None:
    code = approved_code(emulator, **S256)
    issued = sdk.o_auth.exchange_auth_code_for_api_key(
        code=code, code_verifier=CODE_VERIFIER, code_challenge_method="S256"
    )
    assert issued.key.startswith("sk-or-v1-")
    assert issued.user_id == "user_emulated"
    assert emulator.count("POST", "/api/v1/auth/keys") == 1


def test_openrouter_accepts_an_account_without_id(emulator: Emulator, sdk: Any) -> None:
    with emulator.configured(openrouter_user_id=None):
        issued = sdk.o_auth.exchange_auth_code_for_api_key(code=approved_code(emulator))
    assert issued.user_id is None


def test_openrouter_creates_a_code(sdk: Any, keyed_sdk: Any) -> None:
    created = keyed_sdk.o_auth.create_auth_code(
        callback_url=CALLBACK_URL,
        code_challenge=CODE_CHALLENGE,
        code_challenge_method="S256",
        expires_at=datetime(2099, 1, 1, tzinfo=timezone.utc),
        key_label="second key",
        limit=5,
        usage_limit_type="monthly",
    )
    issued = sdk.o_auth.exchange_auth_code_for_api_key(
        code=created.data.id, code_verifier=CODE_VERIFIER, code_challenge_method="S256"
    )
    assert issued.key.startswith("sk-or-v1-")


def test_openrouter_reads_the_key(keyed_sdk: Any) -> None:
    data = keyed_sdk.api_keys.get_current_key_metadata().data
    assert (data.limit, data.usage, data.limit_remaining) == (10, 1, 9)


def test_openrouter_lists_the_models(emulator: Emulator, keyed_sdk: Any) -> None:
    listed = keyed_sdk.models.list().result.data
    assert MODEL in [model.id for model in listed]
    own = keyed_sdk.models.list_for_user(security={"bearer": emulator.issue_key()}).result.data
    assert [model.id for model in own] == [model.id for model in listed]


def test_openrouter_chats(keyed_sdk: Any) -> None:
    completion = keyed_sdk.chat.send(model=MODEL, messages=QUESTION)
    assert "“What is Flask?”" in completion.choices[0].message.content
    assert completion.usage.cost > 0


def test_openrouter_chats_in_a_stream(keyed_sdk: Any) -> None:
    whole = keyed_sdk.chat.send(model=MODEL, messages=QUESTION).choices[0].message.content
    with keyed_sdk.chat.send(model=MODEL, messages=QUESTION, stream=True) as stream:
        *chunks, usage = list(stream)
    assert "".join(chunk.choices[0].delta.content for chunk in chunks) == whole
    assert usage.usage.cost > 0


def test_openrouter_reads_an_error_in_the_middle_of_a_stream(
    emulator: Emulator, keyed_sdk: Any
) -> None:
    with (
        emulator.faults(status=502, mid_stream=True),
        keyed_sdk.chat.send(model=MODEL, messages=QUESTION, stream=True) as stream,
    ):
        *_, last = list(stream)
    assert last.error.code == 502
    assert last.choices[0].finish_reason == "error"


def test_openrouter_knows_every_error_by_its_own_class(emulator: Emulator, keyed_sdk: Any) -> None:
    for status, error in ERROR_CLASSES.items():
        with case(status, error):
            expected = getattr(openrouter.errors, error)
            with emulator.faults(status=status), pytest.raises(expected) as caught:
                keyed_sdk.chat.send(model=MODEL, messages=QUESTION)
            assert caught.value.status_code == status
            assert caught.value.data.error.code == status


def test_openrouter_knows_the_refusals_of_the_exchange(emulator: Emulator, sdk: Any) -> None:
    exchange = sdk.o_auth.exchange_auth_code_for_api_key
    with pytest.raises(openrouter.errors.BadRequestResponseError, match="Invalid code"):
        exchange(code="unknown")
    with pytest.raises(openrouter.errors.ForbiddenResponseError, match="code_verifier"):
        exchange(code=approved_code(emulator, **S256), code_verifier="w" * 43)
    code = approved_code(emulator)
    emulator.advance_clock(601)
    with pytest.raises(openrouter.errors.ForbiddenResponseError, match="expired"):
        exchange(code=code)


def test_openrouter_knows_the_refusals_of_creating_a_code(
    emulator: Emulator, sdk: Any, keyed_sdk: Any
) -> None:
    errors = openrouter.errors
    with pytest.raises(errors.UnauthorizedResponseError, match="Missing Authentication header"):
        sdk.o_auth.create_auth_code(callback_url=CALLBACK_URL)
    with pytest.raises(errors.BadRequestResponseError):
        keyed_sdk.o_auth.create_auth_code(callback_url="http://evil.example/")
    with (
        emulator.configured(create_code_conflict=True),
        pytest.raises(errors.ConflictResponseError),
    ):
        keyed_sdk.o_auth.create_auth_code(callback_url=CALLBACK_URL)
    with (
        emulator.configured(management_keys_only=True),
        pytest.raises(errors.ForbiddenResponseError),
    ):
        keyed_sdk.o_auth.create_auth_code(callback_url=CALLBACK_URL)


@pytest.mark.requirement("E9")
def test_the_example_of_openrouters_documentation_creates_a_code(
    emulator: Emulator, keyed_sdk: Any
) -> None:
    created = keyed_sdk.o_auth.create_auth_code(
        callback_url="https://myapp.com/auth/callback", limit=100
    )
    issued = keyed_sdk.o_auth.exchange_auth_code_for_api_key(code=created.data.id)
    assert issued.key.startswith("sk-or-v1-")


def test_openrouter_reports_a_dead_key_and_a_forbidden_balance(
    emulator: Emulator, keyed_sdk: Any
) -> None:
    assert keyed_sdk.credits.get_credits().data.total_usage == 1
    with (
        emulator.configured(credits_style="documented"),
        pytest.raises(openrouter.errors.ForbiddenResponseError),
    ):
        keyed_sdk.credits.get_credits()
    emulator.reset()
    with pytest.raises(openrouter.errors.UnauthorizedResponseError, match="User not found"):
        keyed_sdk.api_keys.get_current_key_metadata()


def test_openai_chats(openai_client: Any) -> None:
    completion = openai_client.chat.completions.create(model=MODEL, messages=QUESTION)
    assert "“What is Flask?”" in completion.choices[0].message.content
    assert completion.usage.total_tokens > 0


def test_openai_chats_in_a_stream(openai_client: Any) -> None:
    stream = openai_client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True)
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content for chunk in chunks if chunk.choices)
    assert "“What is Flask?”" in text
    assert chunks[-1].usage.total_tokens > 0


def test_openai_lists_the_models(openai_client: Any) -> None:
    assert MODEL in [model.id for model in openai_client.models.list()]


def test_openai_knows_the_errors(emulator: Emulator, openai_client: Any) -> None:
    create = openai_client.chat.completions.create
    for status, error in (
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (429, openai.RateLimitError),
        (502, openai.InternalServerError),
    ):
        with emulator.faults(status=status), pytest.raises(error):
            create(model=MODEL, messages=QUESTION)
    with emulator.faults(status=502, mid_stream=True), pytest.raises(openai.APIError) as caught:
        list(create(model=MODEL, messages=QUESTION, stream=True))
    assert "Provider disconnected" in str(caught.value)
