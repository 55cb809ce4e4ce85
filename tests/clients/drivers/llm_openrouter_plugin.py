"""``llm`` with ``llm-openrouter``.

The plugin writes OpenRouter's address into each model, so ``api_base`` of the model is set here.
It reads the list of models from its cache file, which is filled from the emulator.
"""

from __future__ import annotations

import json
import os

import llm
from click.testing import CliRunner
from emulated import API, KEY, MODEL, QUESTION, QUOTED, WEATHER, get_json, refusal_of, run
from llm.cli import cli
from pydantic import BaseModel

# Without a key, the plugin registers no model.
os.environ["OPENROUTER_KEY"] = KEY
_cache = llm.user_dir() / "openrouter_models.json"
_cache.write_text(json.dumps(get_json(f"{API}/models")), encoding="utf-8")


class Soup(BaseModel):
    """A soup."""

    name: str
    hours: int


def chosen(api_key: str = KEY) -> llm.Model:
    model = llm.get_model(f"openrouter/{MODEL}")
    model.api_base, model.key = API, api_key
    return model


def models() -> None:
    listed = CliRunner().invoke(cli, ["openrouter", "models", "--json"])
    assert listed.exit_code == 0, listed.output
    assert MODEL in [model["id"] for model in json.loads(listed.output)]


def chat() -> None:
    response = chosen().prompt(QUESTION, stream=False)
    assert QUOTED in response.text()
    assert response.usage().output > 0


def stream() -> None:
    parts = list(chosen().prompt(QUESTION))
    assert len(parts) > 1
    assert QUOTED in "".join(parts)


def tools() -> None:
    asked: list[str] = []

    def get_weather(city: str) -> str:
        """Return the weather of a city."""
        asked.append(city)
        return f"18 °C in {city}"

    text = chosen().chain(WEATHER, tools=[get_weather]).text()
    assert asked == ["Paris"]
    assert "18 °C in Paris" in text


def structured_output() -> None:
    Soup.model_validate_json(chosen().prompt("A soup, please", schema=Soup).text())


def errors() -> None:
    error = refusal_of(lambda: chosen("sk-or-v1-unknown").prompt(QUESTION).text())
    assert "401" in str(error) or "User not found" in str(error), error


if __name__ == "__main__":
    run(models, chat, stream, tools, structured_output, errors)
