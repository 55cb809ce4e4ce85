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
    assert response["first"] == "openrouter/auto"


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
        ({"context_length": 104_857_600}, "$0.15 in, $0.60 out", "104.9M"),
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
    for body in ("nonsense", "[" * 100_000, "[" * 100_000 + "]" * 100_000):
        response = connected.client.post(
            "/models/chosen",
            base_url=ORIGIN,
            headers=OUR_SCRIPT,
            data=body,
            content_type="application/json",
        )
        assert response.status_code == 400, body[:20]


ODD: tuple[dict[str, Any], ...] = (
    {"architecture": None},
    {"architecture": {"output_modalities": None}},
    {"architecture": {"output_modalities": "text"}},
    {"pricing": None},
    {"pricing": {}},
    {"pricing": {"prompt": "0.1"}},
    {"pricing": {"prompt": "", "completion": ""}},
    {"pricing": {"prompt": "NaN", "completion": "0.1"}},
    {"pricing": {"prompt": "0.1", "completion": "1e999"}},
    {"pricing": {"prompt": None, "completion": ["x"]}},
    {"pricing": {"prompt": "0.1", "completion": "0.1", "request": "NaN"}},
    {"pricing": {"prompt": "0.1", "completion": "0.1", "request": ["x"]}},
    {"pricing": {"prompt": "1e300", "completion": "0.1"}},
    {"name": None},
    {"name": 7},
    {"context_length": "many"},
    {"context_length": -1},
    {"context_length": True},
    {"context_length": 10**400},
    {"context_length": 10**12},
)


@pytest.mark.requirement("O16")
def test_an_odd_entry_is_shown_without_its_price_or_left_out(connected: ChatVisitor) -> None:
    odd = [entry(id=f"odd/{i}", **changes) for i, changes in enumerate(ODD)]
    useless: list[object] = [None, 7, "x", [], {}, entry(id=None), entry(id=""), entry(id=7)]
    body = {"data": [*useless, *odd, entry()]}
    with connected.emulator.faults(status=200, body=body, path="/api/v1/models"):
        response = connected.fetch("/models")
    assert response.status_code == 200
    models_by_id = {model["id"]: model for model in response.get_json()["models"]}
    assert set(models_by_id) == {"a/b", *(model["id"] for model in odd)}
    assert "nan" not in response.text.lower()
    for model, changes in zip(odd, ODD, strict=True):
        assert ("price" in models_by_id[model["id"]]) is ("pricing" not in changes), changes
        context = None if "context_length" in changes else "128K"
        assert models_by_id[model["id"]].get("context") == context, changes


@pytest.mark.requirement("O16")
@pytest.mark.parametrize(
    "following",
    [
        "{root}/models?offset=2&limit=2",
        "/api/v1/models?offset=2&limit=2",
        "?offset=2&limit=2",
        "https://evil.example/api/v1/models?offset=2&limit=2",
    ],
)
def test_the_next_page_of_the_list_is_read(connected: ChatVisitor, following: str) -> None:
    link = following.format(root=f"{connected.emulator.url}/api/v1")
    first = {"data": [entry(id="first/page")], "links": {"next": link}}
    second = {"data": [entry(id="second/page")], "links": {"next": None}}
    for body in (first, second):
        connected.emulator.add_fault(status=200, body=body, path="/api/v1/models")
    response = connected.fetch("/models").get_json()
    assert [model["id"] for model in response["models"]] == ["first/page", "second/page"]
    asked = [r for r in connected.emulator.requests if r.path == "/api/v1/models"]
    assert len(asked) == 2


@pytest.mark.requirement("O16")
def test_a_list_without_an_end_is_not_read_for_ever(connected: ChatVisitor) -> None:
    for number in range(models.MAX_PAGES + 1):
        body = {"data": [entry()], "links": {"next": f"/api/v1/models?offset={number}"}}
        connected.emulator.add_fault(status=200, body=body, path="/api/v1/models")
    assert len(connected.fetch("/models").get_json()["models"]) == 1
    assert connected.emulator.count("GET", "/api/v1/models") == models.MAX_PAGES


@pytest.mark.requirement("O16")
def test_a_page_that_was_read_is_not_read_again(connected: ChatVisitor) -> None:
    for number in (1, 2, 1, 2):
        body = {"data": [entry(id=f"a/{number}")], "links": {"next": f"?page={number}"}}
        connected.emulator.add_fault(status=200, body=body, path="/api/v1/models")
    assert len(connected.fetch("/models").get_json()["models"]) == 2
    assert connected.emulator.count("GET", "/api/v1/models") == 3


@pytest.mark.requirement("O16")
@pytest.mark.parametrize("fault", [{"status": 429}, {"status": 200, "body": "{"}, {"reset": True}])
def test_a_page_that_fails_leaves_the_others(
    connected: ChatVisitor, fault: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def offered(*answers: dict[str, Any]) -> list[str]:
        for answer in answers:
            connected.emulator.add_fault(**answer, path="/api/v1/models")
        return [model["id"] for model in connected.fetch("/models").get_json()["models"]]

    first, second = (
        {
            "status": 200,
            "body": {"data": [entry(id=f"a/{page}", name=f"{page}")], "links": {"next": link}},
        }
        for page, link in ((1, "?page=2"), (2, None))
    )
    assert offered(first, fault) == ["a/1"]
    assert offered(first, second) == ["a/1", "a/2"], "an incomplete list is not fresh"
    assert offered() == ["a/1", "a/2"]
    monkeypatch.setattr(models, "FRESH", 0.0)
    assert offered(first, fault) == ["a/1", "a/2"]
    assert offered({"status": 200, "body": {"data": [entry(id="a/3")]}}) == ["a/3"]


@pytest.mark.requirement("O26")
def test_only_what_is_called_free_is_free() -> None:
    zero = {"prompt": "0", "completion": "0"}
    for model_id, is_free in (
        ("a/b:free", True),
        ("openrouter/free", True),
        ("a/b", False),
        ("a/free", False),
        ("a/b:free:online", False),
    ):
        shown = read_model(entry(id=model_id, pricing=zero))
        assert shown is not None
        assert shown.get("free", False) is is_free, model_id
        assert "price" not in shown
    shown = read_model(entry(id="a/b", pricing={"prompt": "-1", "completion": "0"}))
    assert shown is not None
    assert shown["price"] == "Price varies"


@pytest.mark.requirement("O26")
def test_a_price_for_each_request_is_shown() -> None:
    for request, tokens, price in (
        ("0.018", "0.000001", "$1.00 in, $1.00 out, $0.02 a question"),
        ("0.005", "0", "$0 in, $0 out, $0.005 a question"),
        (0.04, "0", "$0 in, $0 out, $0.04 a question"),
        ("-1", "0.000001", "Price varies"),
        ("0", "0.000001", "$1.00 in, $1.00 out"),
        (None, "0.000001", "$1.00 in, $1.00 out"),
    ):
        pricing = {"prompt": tokens, "completion": tokens, "request": request}
        shown = read_model(entry(pricing=pricing))
        assert shown is not None
        assert shown["price"] == price
