"""``langchain-openai``: ChatOpenAI and OpenAIEmbeddings with OpenRouter as the base URL."""

from __future__ import annotations

from emulated import API, KEY, MODEL, QUESTION, QUOTED, WEATHER, refusal_of, run
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from openai import AuthenticationError
from pydantic import BaseModel

chosen = ChatOpenAI(model=MODEL, api_key=KEY, base_url=API, max_retries=0)


class Soup(BaseModel):
    """A soup."""

    name: str
    hours: int


@tool
def get_weather(city: str) -> str:
    """Return the weather of a city."""
    return f"18 °C in {city}"


def chat() -> None:
    message = chosen.invoke(QUESTION)
    assert QUOTED in message.content
    assert message.usage_metadata["total_tokens"] > 0


def stream() -> None:
    assert QUOTED in "".join(chunk.content for chunk in chosen.stream(QUESTION))


def tools() -> None:
    model = chosen.bind_tools([get_weather])
    first = model.invoke(WEATHER)
    (call,) = first.tool_calls
    result = get_weather.invoke(call)
    assert isinstance(result, ToolMessage)
    assert "18 °C in Paris" in model.invoke([HumanMessage(WEATHER), first, result]).content


def structured_output() -> None:
    for method in ("json_schema", "function_calling", "json_mode"):
        model = chosen.with_structured_output(Soup, method=method, include_raw=True)
        answer = model.invoke("A soup as JSON, please")
        # In the JSON mode, the schema is not sent.
        assert isinstance(answer["parsed"], Soup) or method == "json_mode", answer


def embeddings() -> None:
    embedder = OpenAIEmbeddings(
        model="openai/text-embedding-3-small",
        api_key=KEY,
        base_url=API,
        check_embedding_ctx_length=False,
    )
    assert len(embedder.embed_query("soup")) == 1536


def errors() -> None:
    stranger = ChatOpenAI(model=MODEL, api_key="sk-or-v1-unknown", base_url=API, max_retries=0)
    assert isinstance(refusal_of(lambda: stranger.invoke(QUESTION)), AuthenticationError)


if __name__ == "__main__":
    run(chat, stream, tools, structured_output, embeddings, errors)
