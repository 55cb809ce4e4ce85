"""``langchain-openrouter``: ChatOpenRouter."""

from __future__ import annotations

from emulated import API, KEY, MODEL, QUESTION, QUOTED, WEATHER, documented, refusal_of, run
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openrouter import ChatOpenRouter
from openrouter.errors import UnauthorizedResponseError
from pydantic import BaseModel

chosen = ChatOpenRouter(model=MODEL, api_key=KEY, base_url=API, max_retries=0)


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
    assert message.response_metadata["cost"] > 0
    assert QUOTED in documented("ask_langchain")(KEY, QUESTION)


def stream() -> None:
    assert QUOTED in "".join(chunk.content for chunk in chosen.stream(QUESTION))


def tools() -> None:
    model = chosen.bind_tools([get_weather])
    first = model.invoke(WEATHER)
    (call,) = first.tool_calls
    result = get_weather.invoke(call)
    assert "18 °C in Paris" in model.invoke([HumanMessage(WEATHER), first, result]).content


def structured_output() -> None:
    for method in ("json_schema", "function_calling"):
        answer = chosen.with_structured_output(Soup, method=method).invoke("A soup, please")
        assert isinstance(answer, Soup), method


def reasoning() -> None:
    thinking = ChatOpenRouter(model=MODEL, api_key=KEY, base_url=API, reasoning={"effort": "low"})
    message = thinking.invoke(QUESTION)
    assert message.additional_kwargs["reasoning_content"]


def errors() -> None:
    stranger = ChatOpenRouter(model=MODEL, api_key="sk-or-v1-unknown", base_url=API, max_retries=0)
    assert isinstance(refusal_of(lambda: stranger.invoke(QUESTION)), UnauthorizedResponseError)


if __name__ == "__main__":
    run(chat, stream, tools, structured_output, reasoning, errors)
