"""``openai``: everything that an app of OpenAI's package asks for."""

from __future__ import annotations

from emulated import API, KEY, MODEL, QUESTION, QUOTED, WEATHER, refusal_of, run
from openai import AuthenticationError, BadRequestError, OpenAI, pydantic_function_tool
from pydantic import BaseModel

client = OpenAI(api_key=KEY, base_url=API)
messages = [{"role": "user", "content": QUESTION}]


class GetWeather(BaseModel):
    """Get the weather of a city."""

    city: str


class Soup(BaseModel):
    """A soup."""

    name: str
    hours: int


def chat() -> None:
    completion = client.chat.completions.create(model=MODEL, messages=messages)
    assert QUOTED in completion.choices[0].message.content
    assert completion.usage.total_tokens > 0


def stream() -> None:
    chunks = list(client.chat.completions.create(model=MODEL, messages=messages, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert QUOTED in text
    assert chunks[-1].usage.total_tokens > 0


def tools() -> None:
    asked = [{"role": "user", "content": WEATHER}]
    tool = pydantic_function_tool(GetWeather)
    first = client.chat.completions.parse(model=MODEL, messages=asked, tools=[tool])
    message = first.choices[0].message
    (call,) = message.tool_calls
    assert isinstance(call.function.parsed_arguments, GetWeather)
    result = {"role": "tool", "tool_call_id": call.id, "content": "18 °C"}
    second = client.chat.completions.parse(
        model=MODEL, messages=[*asked, message, result], tools=[tool]
    )
    assert "18 °C" in second.choices[0].message.content


def structured_output() -> None:
    completion = client.chat.completions.parse(model=MODEL, messages=messages, response_format=Soup)
    assert isinstance(completion.choices[0].message.parsed, Soup)


def responses() -> None:
    response = client.responses.create(model=MODEL, input=QUESTION)
    assert QUOTED in response.output_text
    with client.responses.stream(model=MODEL, input=QUESTION) as events:
        assert events.get_final_response().output_text == response.output_text
    parsed = client.responses.parse(model=MODEL, input=QUESTION, text_format=Soup)
    assert isinstance(parsed.output_parsed, Soup)


def embeddings() -> None:
    found = client.embeddings.create(model="openai/text-embedding-3-small", input=["one", "two"])
    assert [len(item.embedding) for item in found.data] == [1536, 1536]


def models() -> None:
    assert MODEL in [model.id for model in client.models.list()]


def errors() -> None:
    stranger = client.with_options(api_key="sk-or-v1-unknown", max_retries=0)
    create = stranger.chat.completions.create
    error = refusal_of(lambda: create(model=MODEL, messages=messages))
    assert isinstance(error, AuthenticationError)
    error = refusal_of(lambda: client.chat.completions.create(model="acme/none", messages=messages))
    assert isinstance(error, BadRequestError)


if __name__ == "__main__":
    run(chat, stream, tools, structured_output, responses, embeddings, models, errors)
