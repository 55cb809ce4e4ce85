"""The lists: models, their number, endpoints, providers."""

from __future__ import annotations

import pytest
import requests
from cases import case
from inference import get
from openrouter_schemas import assert_documented
from protocol_steps import error_of

from flask_openrouter.emulator import Emulator


@pytest.mark.requirement("E1")
def test_the_list_has_the_shapes_of_the_real_one(
    emulator: Emulator, http: requests.Session
) -> None:
    body = get(http, emulator, "/models").json()
    assert_documented(body, "/models", "get", 200)
    found = {model["id"]: model for model in body["data"]}
    assert body["total_count"] == len(found)
    assert found["openai/gpt-4o-mini"]["pricing"]["prompt"] == "0.00000015"
    assert found["openrouter/auto"]["pricing"]["prompt"] == "-1"
    assert found["openrouter/auto"]["pricing"]["completion"] == "-1"
    assert found["openrouter/free"]["pricing"]["prompt"] == "0"
    assert found["deepseek/deepseek-r1"]["reasoning"]["mandatory"] is True
    assert found["anthropic/claude-sonnet-4.5"]["reasoning"]["mandatory"] is False
    assert "reasoning" in found["anthropic/claude-sonnet-4.5"]["supported_parameters"]
    assert "reasoning" not in found["openai/gpt-4o-mini"]
    assert "reasoning" not in found["openai/gpt-4o-mini"]["supported_parameters"]
    assert found["mistralai/mistral-nemo"]["expiration_date"] == "2027-06-30"
    alias = found["~anthropic/claude-sonnet-latest"]
    assert alias["alias_target"]["slug"] == "anthropic/claude-sonnet-4.5"
    assert "alias_target" not in found["openrouter/auto"]
    assert "image" in found["google/gemini-2.5-flash-image"]["architecture"]["output_modalities"]


@pytest.mark.requirement("E1", "O16")
def test_the_list_comes_in_pages(emulator: Emulator, http: requests.Session) -> None:
    whole = [model["id"] for model in get(http, emulator, "/models").json()["data"]]
    paged, following = [], "/api/v1/models?limit=4"
    while following:
        page = http.get(f"{emulator.url}{following}").json()
        assert len(page["data"]) <= 4
        paged += [model["id"] for model in page["data"]]
        following = page["links"]["next"]
    assert paged == whole
    for query in ["limit=0", "limit=x", "offset=-1", f"offset={'9' * 500}"]:
        with case(query):
            assert error_of(get(http, emulator, f"/models?{query}"))[0] == 400


def test_the_list_can_be_narrowed(emulator: Emulator, http: requests.Session) -> None:
    def listed(query: str) -> set[str]:
        found = {model["id"] for model in get(http, emulator, f"/models?{query}").json()["data"]}
        count = get(http, emulator, f"/models/count?{query}").json()
        assert count == {"data": {"count": len(found)}}
        return found

    every, text = listed("output_modalities=all"), listed("")
    assert text < every
    assert listed("output_modalities=image") == {"google/gemini-2.5-flash-image"}
    assert listed("output_modalities=embeddings,image") == every - text | {
        "google/gemini-2.5-flash-image"
    }
    thinking = listed("supported_parameters=reasoning,tools")
    assert "deepseek/deepseek-r1" in thinking
    assert "openai/gpt-4o" not in thinking
    embeddings = get(http, emulator, "/embeddings/models").json()["data"]
    assert {model["id"] for model in embeddings} == every - text


@pytest.mark.requirement("E2")
def test_one_model_and_its_endpoints_are_shown(emulator: Emulator, http: requests.Session) -> None:
    for model_id, endpoints in [
        ("openai/gpt-4o", 1),
        ("meta-llama/llama-3.3-70b-instruct:free", 1),
        ("openai/gpt-4o:free", 1),
        ("openai/text-embedding-3-small", 1),
        # OpenRouter lists no endpoints under an alias or a router.
        ("~anthropic/claude-sonnet-latest", 0),
        ("openrouter/auto", 0),
    ]:
        with case(model_id):
            model = get(http, emulator, f"/model/{model_id}").json()["data"]
            assert model["id"] == model_id
            found = get(http, emulator, model["links"]["details"].removeprefix("/api/v1")).json()
            assert found["data"]["id"] == model_id
            assert len(found["data"]["endpoints"]) == endpoints
            for endpoint in found["data"]["endpoints"]:
                assert endpoint["pricing"]["prompt"] == model["pricing"]["prompt"]
    for path in ["/model/no/such", "/models/no/such/endpoints"]:
        assert error_of(get(http, emulator, path))[0] == 404


@pytest.mark.requirement("E2")
def test_the_lists_need_no_key(emulator: Emulator, http: requests.Session) -> None:
    for path in ["/models", "/models/count", "/providers", "/embeddings/models"]:
        with case(path):
            assert get(http, emulator, path).status_code == 200
    assert error_of(get(http, emulator, "/models/user"))[0] == 401
    (provider,) = get(http, emulator, "/providers").json()["data"]
    assert provider["slug"] == "emulator"
