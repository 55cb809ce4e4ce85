"""``litellm``: its provider ``openrouter/``."""

from __future__ import annotations

import os

# Without it, litellm asks GitHub for a list of prices.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from emulated import API, KEY, MODEL, QUESTION, QUOTED, WEATHER, documented, refusal_of, run
from pydantic import BaseModel

asked = {"model": f"openrouter/{MODEL}", "api_base": API, "api_key": KEY}
messages = [{"role": "user", "content": QUESTION}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


class Soup(BaseModel):
    """A soup."""

    name: str
    hours: int


def chat() -> None:
    completion = litellm.completion(messages=messages, **asked)
    assert QUOTED in completion.choices[0].message.content
    assert completion.usage.total_tokens > 0
    assert QUOTED in documented("ask_litellm")(KEY, QUESTION)


def stream() -> None:
    chunks = list(litellm.completion(messages=messages, stream=True, **asked))
    whole = litellm.stream_chunk_builder(chunks, messages=messages)
    assert QUOTED in whole.choices[0].message.content


def tools() -> None:
    question = [{"role": "user", "content": WEATHER}]
    first = litellm.completion(messages=question, tools=[TOOL], **asked).choices[0].message
    (call,) = first.tool_calls
    assert call.function.name == "get_weather"
    result = {"role": "tool", "tool_call_id": call.id, "content": "18 °C"}
    second = litellm.completion(messages=[*question, first, result], tools=[TOOL], **asked)
    assert "18 °C" in second.choices[0].message.content


def structured_output() -> None:
    completion = litellm.completion(messages=messages, response_format=Soup, **asked)
    Soup.model_validate_json(completion.choices[0].message.content)


def reasoning() -> None:
    completion = litellm.completion(messages=messages, reasoning_effort="low", **asked)
    assert completion.choices[0].message.reasoning_content


def responses() -> None:
    response = litellm.responses(input=QUESTION, **asked)
    assert QUOTED in response.output_text


def embeddings() -> None:
    embedder = {**asked, "model": "openrouter/openai/text-embedding-3-small"}
    found = litellm.embedding(input=["one", "two"], **embedder)
    assert [len(item["embedding"]) for item in found.data] == [1536, 1536]


def errors() -> None:
    unknown = {**asked, "api_key": "sk-or-v1-unknown"}
    error = refusal_of(lambda: litellm.completion(messages=messages, **unknown))
    assert isinstance(error, litellm.AuthenticationError)


if __name__ == "__main__":
    run(chat, stream, tools, structured_output, reasoning, responses, embeddings, errors)
