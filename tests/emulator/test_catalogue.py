"""Which model serves a requested id: variants, aliases, routers, models of the settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import requests
from cases import case
from inference import ask, get, post, user
from protocol_steps import error_of

from flask_openrouter.emulator import Emulator, EmulatorConfig, run_in_thread
from flask_openrouter.emulator.__main__ import emulator_command
from flask_openrouter.emulator.catalogue import find_model

DOCUMENT = Path(__file__).parents[1] / "data" / "openrouter-openapi.json"


@pytest.mark.requirement("E1")
def test_routers_aliases_and_variants_are_served(
    emulator: Emulator, http: requests.Session
) -> None:
    for requested, served in [
        ("openrouter/auto", "openai/gpt-4o-mini"),
        ("openrouter/free", "meta-llama/llama-3.3-70b-instruct:free"),
        ("openai/gpt-4o:nitro", "openai/gpt-4o"),
        ("openai/gpt-4o:floor", "openai/gpt-4o"),
        ("openai/gpt-4o:exacto", "openai/gpt-4o"),
        ("openai/gpt-4o:online", "openai/gpt-4o"),
        ("openai/gpt-4o:free", "openai/gpt-4o:free"),
        ("openai/gpt-4o:free:online", "openai/gpt-4o:free"),
        ("openai/gpt-4o:online:free", "openai/gpt-4o:free"),
        ("openai/gpt-4o:extended", "openai/gpt-4o:extended"),
        ("anthropic/claude-sonnet-4.5:thinking", "anthropic/claude-sonnet-4.5:thinking"),
        ("meta-llama/llama-3.3-70b-instruct:free", "meta-llama/llama-3.3-70b-instruct:free"),
        ("~anthropic/claude-sonnet-latest", "anthropic/claude-sonnet-4.5"),
        ("~google/gemini-pro-latest", "google/gemini-2.5-flash"),
        ("~openai/gpt-latest:online", "openai/gpt-4o-mini"),
    ]:
        with case(requested, served):
            assert ask(http, emulator, model=requested)["model"] == served


@pytest.mark.requirement("E1")
def test_the_models_of_openrouters_examples_are_served(
    emulator: Emulator, http: requests.Session
) -> None:
    for requested, served in [
        ("openai/gpt-4", "openai/gpt-4"),
        ("openai/gpt-5", "openai/gpt-5"),
        ("openai/gpt-5.2", "openai/gpt-5.2"),
        ("openai/gpt-5.2:online", "openai/gpt-5.2"),
        ("openai/gpt-oss-20b:free:online", "openai/gpt-oss-20b:free"),
        ("anthropic/claude-4.5-sonnet", "anthropic/claude-4.5-sonnet"),
        ("anthropic/claude-sonnet-4", "anthropic/claude-sonnet-4"),
        ("deepseek/deepseek-r1-0528:free", "deepseek/deepseek-r1-0528:free"),
        ("minimax/minimax-m2", "minimax/minimax-m2"),
        ("moonshotai/kimi-k2-0905:exacto", "moonshotai/kimi-k2-0905"),
        ("qwen/qwen3-max", "qwen/qwen3-max"),
        ("~anthropic/claude-opus-latest", "anthropic/claude-sonnet-4.5"),
        ("~moonshotai/kimi-latest", "moonshotai/kimi-k2-0905"),
    ]:
        with case(requested, served):
            assert ask(http, emulator, model=requested)["model"] == served


@pytest.mark.requirement("E1")
def test_the_models_in_openrouters_own_document_are_served(
    emulator: Emulator, http: requests.Session
) -> None:
    authors = "openai|anthropic|google|deepseek|meta-llama"
    text = DOCUMENT.read_text(encoding="utf-8")
    # The image API is not emulated.
    named = set(re.findall(rf'"(~?(?:{authors})/[a-z0-9.-]+)"', text)) - {"openai/gpt-5-image"}
    assert {"openai/gpt-4", "openai/gpt-4o", "anthropic/claude-sonnet-4"} <= named
    refused = {name for name in named if find_model(name, emulator.config) is None}
    assert refused == set()


@pytest.mark.requirement("E1")
def test_unknown_ids_are_refused(emulator: Emulator, http: requests.Session) -> None:
    for requested in [
        "acme/large",
        "openai/gpt-4o:turbo",
        "acme/large:free",
        "~acme/large-latest",
        "~openai/gpt-4o",
        "openai/gpt-4o" + ":free" * 100,
        "gpt-4o",
        ":free",
    ]:
        with case(requested):
            body = {"model": requested, "messages": [user("Hello!")]}
            response = post(http, emulator, "/chat/completions", emulator.issue_key(), **body)
            assert error_of(response) == (400, f"{requested[:200]} is not a valid model ID")
            assert "--any-model" in response.json()["error"]["metadata"]["emulator"]


@pytest.mark.requirement("E1")
def test_any_model_can_be_served(emulator: Emulator, http: requests.Session) -> None:
    with emulator.configured(any_model=True):
        for requested, served in [
            ("acme/large", "acme/large"),
            ("acme/large:nitro", "acme/large"),
            ("acme/large:free", "acme/large:free"),
            ("acme/large:thinking", "acme/large:thinking"),
            ("openai/gpt-4o:nitro", "openai/gpt-4o"),
        ]:
            with case(requested, served):
                assert ask(http, emulator, model=requested)["model"] == served
        assert ask(http, emulator, model="acme/large:free")["usage"]["cost"] == 0
        assert ask(http, emulator, model="acme/large")["usage"]["cost"] > 0
        assert ask(http, emulator, model="acme/large:thinking")["choices"][0]["message"][
            "reasoning"
        ]
        response = post(
            http, emulator, "/chat/completions", emulator.issue_key(), model="large", messages=[]
        )
        assert error_of(response)[0] == 400


@pytest.mark.requirement("E1")
def test_models_can_be_added(http: requests.Session) -> None:
    entry = {
        "id": "acme/huge",
        "name": "Acme: Huge",
        "context_length": 1000,
        "pricing": {"prompt": "0.001", "completion": 0.002},
        "expiration_date": "2027-01-01",
        "architecture": None,
    }
    router = {"id": "acme/router", "pricing": {"prompt": "-1", "completion": "-1"}}
    config = EmulatorConfig(models=["acme/large", entry, router, "acme/tiny:free", "openai/gpt-4o"])
    with run_in_thread(config) as emulator:
        listed = get(http, emulator, "/models").json()["data"]
        found = {model["id"]: model for model in listed}
        assert len(listed) == len(found)
        assert {"acme/large", "acme/huge", "acme/router", "acme/tiny:free"} <= set(found)
        assert found["acme/huge"]["pricing"]["prompt"] == "0.001"
        assert found["acme/huge"]["pricing"]["completion"] == "0.002"
        assert found["acme/huge"]["expiration_date"] == "2027-01-01"
        assert found["acme/router"]["pricing"]["prompt"] == "-1"
        assert found["openai/gpt-4o"]["name"] == "openai/gpt-4o"
        answer = ask(http, emulator, model="acme/huge:online")
        assert answer["model"] == "acme/huge"
        assert answer["usage"]["cost"] > 0.05
        assert ask(http, emulator, model="acme/tiny:free")["usage"]["cost"] == 0
        # By the control API as well.
        changed = http.patch(f"{emulator.url}/_emulator/config", json={"models": ["acme/new"]})
        assert changed.json()["models"] == ["acme/new"]
        assert ask(http, emulator, model="acme/new")["model"] == "acme/new"


def test_models_of_the_settings_are_checked() -> None:
    for models, message in [
        ("acme/large", "a list"),
        ({"id": "acme/large"}, "a list"),
        ([5], "an id, or an object"),
        ([{}], "author/name"),
        (["large"], "author/name"),
        (["acme/large model"], "author/name"),
        ([{"id": "a/b", "name": 5}], "strings"),
        ([{"id": "a/b", "expiration_date": 5}], "strings"),
        ([{"id": "a/b", "context_length": "8k"}], "positive integer"),
        ([{"id": "a/b", "context_length": 0}], "positive integer"),
        ([{"id": "a/b", "pricing": "free"}], "an object"),
        ([{"id": "a/b", "pricing": {"prompt": "free"}}], "a price"),
        ([{"id": "a/b", "pricing": {"prompt": [1]}}], "a price"),
        ([{"id": "a/b", "pricing": {"completion": "NaN"}}], "a price"),
        ([{"id": "a/b", "pricing": {"completion": -2}}], "a price"),
    ]:
        value: Any = models
        with case(models, message), pytest.raises(ValueError, match=f"^models.*{message}"):
            EmulatorConfig(models=value)


@pytest.mark.requirement("E1", "O26")
def test_a_model_without_prices_is_not_free(emulator: Emulator, http: requests.Session) -> None:
    model = "google/lyria-3-clip-preview"
    listed = {m["id"]: m for m in get(http, emulator, "/models").json()["data"]}
    assert (listed[model]["pricing"]["prompt"], listed[model]["pricing"]["completion"]) == (
        "0",
        "0",
    )
    assert ask(http, emulator, model=model)["usage"]["cost"] == 0.08


@pytest.mark.requirement("E1")
def test_the_program_takes_models() -> None:
    arguments = ["--model", "acme/large", "--model", "acme/tiny:free", "--any-model"]
    given = emulator_command.make_context("emulator", arguments).params
    config = EmulatorConfig(models=given["models"], any_model=given["any_model"])
    assert config.models == ("acme/large", "acme/tiny:free")
    assert config.any_model is True
