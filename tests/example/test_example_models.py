"""The model picker: prices, free models, and the remembered choice."""

from __future__ import annotations

from typing import Any

import pytest
from chat_visitor import ORIGIN, OUR_SCRIPT, ChatVisitor
from werkzeug.test import TestResponse

from example_app import models
from example_app.models import read_model
from flask_openrouter.emulator import Emulator


def entry(**changes: Any) -> dict[str, Any]:
    pricing = {"prompt": "0.00000015", "completion": "0.0000006"}
    return {"id": "a/b", "name": "A: B", "context_length": 128_000, "pricing": pricing, **changes}


def choose(visitor: ChatVisitor, model: object) -> TestResponse:
    return visitor.client.post(
        "/models/chosen", base_url=ORIGIN, headers=OUR_SCRIPT, json={"model": model}
    )


def test_models_are_listed_by_name_with_price_and_context(connected: ChatVisitor) -> None:
    response = connected.fetch("/models").get_json()
    found = {model["id"]: model for model in response["models"]}
    names = [model["name"] for model in response["models"]]
    assert names == sorted(names, key=str.casefold)
    assert found["openai/gpt-4o-mini"] == {
        "id": "openai/gpt-4o-mini",
        "name": "OpenAI: GPT-4o-mini",
        "context": "128K",
        "price": "$0.15 in, $0.60 out",
    }
    free = found["meta-llama/llama-3.3-70b-instruct:free"]
    assert free["free"] is True
    assert "(free)" not in free["name"]
    assert response["first"] == "openai/gpt-4o-mini"


def test_prices_are_per_million_tokens() -> None:
    cases: tuple[tuple[dict[str, Any], str | None, str | None], ...] = (
        ({"pricing": {"prompt": "-1", "completion": "-1"}}, "Price varies", "128K"),
        ({"pricing": {"prompt": "0", "completion": "0"}, "id": "a/b:free"}, None, "128K"),
        (
            {"pricing": {"prompt": "0.000000001", "completion": "0.00002"}},
            "$0.001 in, $20.00 out",
            "128K",
        ),
        ({"context_length": 1_048_576}, "$0.15 in, $0.60 out", "1M"),
        ({"context_length": None}, "$0.15 in, $0.60 out", None),
    )
    for changes, price, context in cases:
        shown = read_model(entry(**changes))
        assert shown is not None
        assert (shown.get("price"), shown.get("context")) == (price, context), changes


def test_image_models_are_left_out_and_the_router_comes_first(
    connected: ChatVisitor,
) -> None:
    painter = entry(id="a/painter", architecture={"output_modalities": ["image"]})
    body = {"data": [entry(), painter, entry(id="openrouter/auto", name="Auto Router")]}
    with connected.emulator.faults(status=200, body=body, path="/api/v1/models"):
        response = connected.fetch("/models").get_json()
    assert [model["id"] for model in response["models"]] == ["a/b", "openrouter/auto"]
    assert response["first"] == "openrouter/auto"


def test_the_list_is_fetched_once_and_shared(
    connected: ChatVisitor, other: ChatVisitor, openrouter_emulator: Emulator
) -> None:
    connected.fetch("/models")
    other.fetch("/models")
    # Another worker shares the file and nothing else.
    connected.app.extensions["catalogue"] = models.Catalogue()
    connected.fetch("/models")
    assert openrouter_emulator.count("GET", "/api/v1/models") == 1


def test_an_old_list_is_fetched_again(
    connected: ChatVisitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected.fetch("/models")
    monkeypatch.setattr(models, "FRESH", 0.0)
    connected.fetch("/models")
    assert connected.emulator.count("GET", "/api/v1/models") == 2


def test_the_choice_is_remembered(connected: ChatVisitor, other: ChatVisitor) -> None:
    connected.fetch("/models")
    assert choose(connected, "openai/gpt-4o").status_code == 204
    assert 'data-id="openai/gpt-4o"' in connected.get("/").text
    assert 'data-id="openai/gpt-4o"' not in other.get("/").text
    connected.ask(model="mistralai/mistral-nemo")
    assert ">Mistral Nemo</span>" in connected.get("/").text


def test_only_a_model_of_the_list_can_be_chosen(connected: ChatVisitor) -> None:
    connected.fetch("/models")
    invalid: tuple[object, ...] = ("no/such", "", None, 7, ["x"])
    for model in invalid:
        assert choose(connected, model).status_code == 400, model
