"""``pydantic-ai``: agents on OpenRouter, with tools and every way to a structured output."""

from __future__ import annotations

import asyncio

from emulated import API, KEY, MODEL, QUESTION, QUOTED, WEATHER, documented, refusal_of, run
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openrouter import OpenRouterModel, OpenRouterModelSettings
from pydantic_ai.providers.openrouter import OpenRouterProvider


class Soup(BaseModel):
    """A soup."""

    name: str
    hours: int
    tags: list[str]


def model(api_key: str = KEY) -> OpenRouterModel:
    client = AsyncOpenAI(api_key=api_key, base_url=API, max_retries=0)
    return OpenRouterModel(MODEL, provider=OpenRouterProvider(openai_client=client))


def chat() -> None:
    result = Agent(model()).run_sync(QUESTION)
    assert QUOTED in result.output
    assert result.usage.output_tokens > 0
    assert QUOTED in documented("ask_pydantic_ai")(KEY, QUESTION)


def stream() -> None:
    async def read() -> str:
        async with Agent(model()).run_stream(QUESTION) as result:
            return "".join([text async for text in result.stream_text(delta=True)])

    assert QUOTED in asyncio.run(read())


def tools() -> None:
    asked: list[str] = []

    def get_weather(city: str) -> str:
        """Return the weather of a city."""
        asked.append(city)
        return f"18 °C in {city}"

    result = Agent(model(), tools=[get_weather]).run_sync(WEATHER)
    assert asked == ["Paris"]
    assert "18 °C in Paris" in result.output


def structured_output() -> None:
    for kind in (Soup, ToolOutput(Soup), NativeOutput(Soup), PromptedOutput(Soup)):
        result = Agent(model(), output_type=kind).run_sync("A soup, please")
        assert isinstance(result.output, Soup), kind


def streamed_structured_output() -> None:
    async def read() -> Soup:
        async with Agent(model(), output_type=Soup).run_stream("A soup, please") as result:
            return await result.get_output()

    assert isinstance(asyncio.run(read()), Soup)


def reasoning() -> None:
    settings = OpenRouterModelSettings(openrouter_reasoning={"effort": "low"})
    result = Agent(model(), model_settings=settings).run_sync(QUESTION)
    (response,) = [message for message in result.all_messages() if message.kind == "response"]
    assert response.parts[0].part_kind == "thinking"


def errors() -> None:
    error = refusal_of(lambda: Agent(model("sk-or-v1-unknown")).run_sync(QUESTION))
    assert isinstance(error, ModelHTTPError)
    assert error.status_code == 401


if __name__ == "__main__":
    run(chat, stream, tools, structured_output, streamed_structured_output, reasoning, errors)
