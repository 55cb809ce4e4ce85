"""The official ``openai`` and ``openrouter`` packages get every kind of answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from cases import case
from inference import MODEL, WEATHER, user
from pydantic import BaseModel

from flask_openrouter.emulator import Emulator

openai = pytest.importorskip("openai")
openrouter = pytest.importorskip("openrouter")

# The packages warn about their own deprecated fields.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

QUESTION = [user("What is the weather in Paris?")]
STRICT = {**WEATHER, "function": {**WEATHER["function"], "strict": True}}
FLAT = {"type": "function", "strict": True, **WEATHER["function"]}


class Soup(BaseModel):
    """A structured answer."""

    name: str
    hours: int
    tags: list[str]


@pytest.fixture
def openai_client(emulator: Emulator) -> Iterator[Any]:
    with openai.OpenAI(
        api_key=emulator.issue_key(), base_url=f"{emulator.url}/api/v1", max_retries=0
    ) as client:
        yield client


@pytest.fixture
def sdk(emulator: Emulator) -> Iterator[Any]:
    utils = openrouter.utils
    with openrouter.OpenRouter(
        api_key=emulator.issue_key(),
        server_url=f"{emulator.url}/api/v1",
        retry_config=utils.RetryConfig("none", utils.BackoffStrategy(1, 1, 1, 1), False),
    ) as client:
        yield client


@pytest.mark.requirement("E3")
def test_openai_gets_a_tool_call_and_answers_it(openai_client: Any) -> None:
    create = openai_client.chat.completions.create
    first = create(model=MODEL, messages=QUESTION, tools=[WEATHER]).choices[0]
    assert first.finish_reason == "tool_calls"
    (call,) = first.message.tool_calls
    assert call.function.name == "get_weather"
    result = {"role": "tool", "tool_call_id": call.id, "content": "18 °C"}
    second = create(
        model=MODEL, messages=[*QUESTION, first.message, result], tools=[WEATHER]
    ).choices[0]
    assert "18 °C" in second.message.content


@pytest.mark.requirement("E3")
def test_openai_joins_streamed_tool_calls(openai_client: Any) -> None:
    with openai_client.chat.completions.stream(
        model=MODEL, messages=QUESTION, tools=[STRICT]
    ) as stream:
        for _ in stream:
            pass
        completion = stream.get_final_completion()
    (call,) = completion.choices[0].message.tool_calls
    assert call.function.parsed_arguments == {"city": "Paris", "unit": "celsius"}


@pytest.mark.requirement("E3")
def test_openai_parses_structured_answers(openai_client: Any) -> None:
    chat = openai_client.chat.completions.parse(
        model=MODEL, messages=QUESTION, response_format=Soup
    )
    assert isinstance(chat.choices[0].message.parsed, Soup)
    response = openai_client.responses.parse(model=MODEL, input="A soup", text_format=Soup)
    assert isinstance(response.output_parsed, Soup)


@pytest.mark.requirement("E3")
def test_openai_reads_thoughts_pictures_and_sources(openai_client: Any) -> None:
    message = (
        openai_client.chat.completions.create(
            model=f"{MODEL}:online",
            messages=QUESTION,
            reasoning_effort="low",
            extra_body={"modalities": ["image", "text"]},
        )
        .choices[0]
        .message
    )
    assert message.reasoning
    assert message.images[0]["image_url"]["url"].startswith("data:image/png")
    assert message.annotations[0].url_citation.url.startswith("https://")


@pytest.mark.requirement("E2")
def test_openai_gets_responses(openai_client: Any) -> None:
    for options, kinds in [
        ({}, ["message"]),
        ({"reasoning": {"effort": "high"}}, ["reasoning", "message"]),
        ({"tools": [FLAT]}, ["function_call"]),
        ({"max_output_tokens": 3}, ["message"]),
    ]:
        with case(options):
            asked = {"model": MODEL, "input": "What is the weather in Paris?", **options}
            response = openai_client.responses.create(**asked)
            assert [item.type for item in response.output] == kinds
            with openai_client.responses.stream(**asked) as stream:
                *_, last = list(stream)
            final = last.response
            assert final.output_text == response.output_text
            assert final.usage.total_tokens == response.usage.total_tokens


@pytest.mark.requirement("E2")
def test_openai_gets_texts_and_vectors(openai_client: Any) -> None:
    whole = openai_client.completions.create(model=MODEL, prompt="Once upon a time")
    parts = openai_client.completions.create(model=MODEL, prompt="Once upon a time", stream=True)
    assert "".join(part.choices[0].text for part in parts) == whole.choices[0].text
    # The package asks for base64.
    found = openai_client.embeddings.create(
        model="openai/text-embedding-3-small", input=["one", "two"]
    )
    assert [len(item.embedding) for item in found.data] == [1536, 1536]


@pytest.mark.requirement("E2", "E3")
def test_openrouter_gets_every_kind_of_chat(sdk: Any) -> None:
    for options in [
        {"tools": [WEATHER]},
        {"reasoning": {"effort": "high"}},
        {"modalities": ["image", "text"]},
        {"plugins": [{"id": "web"}]},
        {"response_format": {"type": "json_object"}},
        {"max_tokens": 3},
    ]:
        with case(options):
            whole = sdk.chat.send(model=MODEL, messages=QUESTION, **options)
            with sdk.chat.send(model=MODEL, messages=QUESTION, stream=True, **options) as stream:
                *parts, last = list(stream)
            text = "".join(part.choices[0].delta.content or "" for part in parts)
            assert text == (whole.choices[0].message.content or "")
            assert last.choices[0].finish_reason == whole.choices[0].finish_reason
            assert last.usage.cost == whole.usage.cost > 0


@pytest.mark.requirement("E2")
def test_openrouter_gets_responses(emulator: Emulator, sdk: Any) -> None:
    asked = {"model": MODEL, "input": "What is the weather in Paris?"}
    for options in [{}, {"reasoning": {"effort": "high"}}, {"max_output_tokens": 3}]:
        with case(options):
            whole = sdk.responses.send(**asked, **options)
            with sdk.responses.send(**asked, **options, stream=True) as stream:
                *_, last = list(stream)
            assert last.type == f"response.{whole.status}"
            assert last.response.usage.cost == whole.usage.cost > 0
    with (
        emulator.faults(status=502, mid_stream=True),
        sdk.responses.send(**asked, stream=True) as stream,
    ):
        *_, last = list(stream)
    assert last.type == "response.failed"


@pytest.mark.requirement("E1", "E2")
def test_openrouter_reads_the_lists(emulator: Emulator, sdk: Any) -> None:
    listed = sdk.models.list().result.data
    own = sdk.models.list_for_user(security={"bearer": emulator.issue_key()}).result.data
    assert [model.id for model in own] == [model.id for model in listed]
    assert {"openrouter/auto", "~anthropic/claude-sonnet-latest"} <= {model.id for model in listed}
    assert sdk.models.count().data.count == len(listed)
    assert sdk.models.get(author="openai", slug="gpt-4o").data.id == "openai/gpt-4o"
    (endpoint,) = sdk.endpoints.list(author="openai", slug="gpt-4o").data.endpoints
    assert endpoint.context_length == 128_000
    assert [provider.slug for provider in sdk.providers.list().data] == ["emulator"]
    assert sdk.embeddings.list_models().result.data[0].id == "openai/text-embedding-3-small"


@pytest.mark.requirement("E2")
def test_openrouter_gets_vectors_and_generations(sdk: Any) -> None:
    found = sdk.embeddings.generate(
        model="openai/text-embedding-3-small", input="soup", dimensions=8
    )
    assert len(found.data[0].embedding) == 8
    completion = sdk.chat.send(model="openrouter/auto", messages=QUESTION)
    for generation_id, cost in [
        (found.id, found.usage.cost),
        (completion.id, completion.usage.cost),
    ]:
        assert sdk.generations.get_generation(id=generation_id).data.total_cost == cost


@pytest.mark.requirement("E3")
def test_the_asynchronous_client_gets_a_stream(emulator: Emulator) -> None:
    async def read() -> str:
        async with openai.AsyncOpenAI(
            api_key=emulator.issue_key(), base_url=f"{emulator.url}/api/v1", max_retries=0
        ) as client:
            stream = await client.chat.completions.create(
                model=MODEL, messages=QUESTION, stream=True, reasoning_effort="low"
            )
            return "".join([c.choices[0].delta.content or "" async for c in stream])

    assert "“What is the weather in Paris?”" in asyncio.run(read())


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


def test_openrouter_reads_an_error_in_the_middle_of_a_stream(emulator: Emulator, sdk: Any) -> None:
    with (
        emulator.faults(status=502, mid_stream=True),
        sdk.chat.send(model=MODEL, messages=QUESTION, stream=True) as stream,
    ):
        *_, last = list(stream)
    assert last.error.code == 502
    assert last.choices[0].finish_reason == "error"


@pytest.mark.requirement("E9")
def test_the_example_of_openrouters_documentation_creates_a_code(
    emulator: Emulator, sdk: Any
) -> None:
    created = sdk.o_auth.create_auth_code(callback_url="https://myapp.com/auth/callback", limit=100)
    with emulator.configured(openrouter_user_id=None):
        issued = sdk.o_auth.exchange_auth_code_for_api_key(code=created.data.id)
    assert issued.key.startswith("sk-or-v1-")


def test_the_balance_may_be_forbidden(emulator: Emulator, sdk: Any) -> None:
    assert sdk.credits.get_credits().data.total_usage == 0
    with (
        emulator.configured(credits_style="documented"),
        pytest.raises(openrouter.errors.ForbiddenResponseError),
    ):
        sdk.credits.get_credits()
