"""``POST /api/v1/embeddings``: vectors."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest
import requests
from cases import case
from inference import post
from protocol_steps import error_of

from flask_openrouter.emulator import Emulator

PATH = "/embeddings"
MODEL = "openai/text-embedding-3-small"


def vectors(http: requests.Session, emulator: Emulator, given: Any, **body: Any) -> list[Any]:
    body = {"model": MODEL, "input": given, **body}
    response = post(http, emulator, PATH, emulator.issue_key(), **body)
    assert response.status_code == 200, response.text
    data = response.json()["data"]
    assert [item["index"] for item in data] == list(range(len(data)))
    return [item["embedding"] for item in data]


def likeness(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.requirement("E2")
def test_texts_with_common_words_have_similar_vectors(
    emulator: Emulator, http: requests.Session
) -> None:
    soup, broth, snow = vectors(
        http, emulator, ["the soup is hot", "the soup is cold", "winter brings snow"]
    )
    assert len(soup) == 1536
    assert likeness(soup, soup) == pytest.approx(1, abs=1e-4)
    assert likeness(soup, broth) > 0.5 > likeness(soup, snow)
    assert vectors(http, emulator, "the soup is hot") == [soup]


@pytest.mark.requirement("E2")
def test_every_kind_of_input_is_taken(emulator: Emulator, http: requests.Session) -> None:
    for given, count in [
        ("text", 1),
        ("…", 1),
        (["one", "two"], 2),
        ([1, 2, 3.0], 1),
        ([[1, 2], [3]], 2),
        ([{"content": [{"type": "text", "text": "one"}]}], 1),
    ]:
        with case(given):
            assert len(vectors(http, emulator, given, dimensions=16)) == count


@pytest.mark.requirement("E2")
def test_length_and_encoding_can_be_chosen(emulator: Emulator, http: requests.Session) -> None:
    (plain,) = vectors(http, emulator, "soup", dimensions=8, encoding_format="float")
    (packed,) = vectors(http, emulator, "soup", dimensions=8.0, encoding_format="base64")
    assert list(struct.unpack("<8f", base64.b64decode(packed))) == pytest.approx(plain)
    (large,) = vectors(http, emulator, "soup", model="openai/text-embedding-3-large")
    assert len(large) == 3072


@pytest.mark.requirement("E1", "E2")
def test_a_model_of_the_settings_may_be_for_embeddings(
    emulator: Emulator, http: requests.Session
) -> None:
    with emulator.configured(models=["acme/vectors"]):
        (vector,) = vectors(http, emulator, "soup", model="acme/vectors")
        assert len(vector) == 1536
    with emulator.configured(any_model=True, usage_cost=False):
        body = {"model": "acme/other", "input": "soup"}
        response = post(http, emulator, PATH, emulator.issue_key(), **body)
        assert "cost" not in response.json()["usage"]


@pytest.mark.requirement("E2")
def test_bad_requests_are_refused(emulator: Emulator, http: requests.Session) -> None:
    for body, status in [
        ({"model": ...}, 400),
        ({"model": "no/such"}, 400),
        ({"model": "openai/gpt-4o"}, 404),
        ({"input": ...}, 400),
        ({"input": ""}, 400),
        ({"input": []}, 400),
        ({"input": [[]]}, 400),
        ({"input": [1.5]}, 400),
        ({"input": [{"content": "text"}]}, 400),
        ({"input": ["x"] * 2049}, 400),
        ({"dimensions": 0}, 400),
        ({"dimensions": 1537}, 400),
        ({"dimensions": "8"}, 400),
        ({"encoding_format": "hex"}, 400),
    ]:
        with case(body):
            asked = {"model": MODEL, "input": "soup", **body}
            response = post(http, emulator, PATH, emulator.issue_key(), **asked)
            assert error_of(response)[0] == status
    with emulator.faults(reset=True, mid_stream=True):
        response = post(http, emulator, PATH, emulator.issue_key(), model=MODEL, input="soup")
    assert error_of(response)[0] == 502
