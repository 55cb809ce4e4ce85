"""Sample values fit their JSON Schema; jsonschema and pydantic judge."""

from __future__ import annotations

import datetime
import enum
import json
import uuid
from decimal import Decimal
from typing import Any, Literal

import pytest
from cases import case
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from flask_openrouter.emulator.samples import sample_of


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Node(BaseModel):
    name: str
    children: list[Node] = []
    parent: Node | None = None


class Everything(BaseModel):
    """One member for each kind of schema that pydantic writes."""

    above: int = Field(gt=3, lt=5)
    between: float = Field(ge=0.1, le=0.2)
    inside: float = Field(gt=0, lt=1)
    below: int = Field(lt=0)
    zero: int = Field(ge=0, le=0)
    sevens: int = Field(multiple_of=7, ge=15)
    steps: float = Field(multiple_of=0.5, gt=2)
    plain: float
    flag: bool
    nothing: None
    maybe: str | None
    either: int | str
    chosen: Literal["x", "y"]
    colour: Colour
    colours: set[Colour] = Field(min_length=2)
    numbers: set[int] = Field(min_length=3)
    flags: set[bool] = Field(min_length=2)
    words: set[str] = Field(min_length=2)
    pair: tuple[int, str]
    none_of: list[int] = Field(max_length=0)
    named: dict[str, int] = Field(min_length=2)
    short: str = Field(max_length=3)
    long: str = Field(min_length=50)
    code: str = Field(pattern=r"^[A-Z]{3}-\d{2,4}$")
    day: datetime.date
    moment: datetime.datetime
    identifier: uuid.UUID
    price: Decimal
    node: Node
    anything: Any


@pytest.mark.requirement("E3")
def test_a_sample_fits_the_schema_of_a_model() -> None:
    schema = Everything.model_json_schema()
    for text in ["", "What is the weather in New York?"]:
        with case(text):
            value = sample_of(schema, text)
            Draft202012Validator(schema).validate(value)
            Everything.model_validate(value)
    assert value["short"] == "New"
    assert value["named"] == {"key_1": 1, "key_2": 1}


@pytest.mark.requirement("E3")
def test_a_sample_fits_schemas_written_by_hand() -> None:
    tree = {
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
        "$ref": "#/$defs/node",
    }
    endless = {
        "type": "object",
        "properties": {"self": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        "required": ["self"],
    }
    wide: dict[str, Any] = {
        "type": "object",
        "properties": {f"member_{n}": {"$ref": "#"} for n in range(20)},
    }
    schemas: list[Any] = [
        True,
        {},
        {"const": {"a": [1]}},
        {"enum": ["only"]},
        {"type": ["null", "integer"]},
        {"type": ["null"]},
        {"type": "null"},
        {"minimum": 4},
        {"maximum": -4},
        {"items": {"type": "integer"}, "minItems": 2},
        {"prefixItems": [{"type": "integer"}], "minItems": 2, "items": {"type": "boolean"}},
        {"required": ["a", "b"], "properties": {"a": {"type": "integer"}}},
        {"type": "object", "required": ["a"], "additionalProperties": {"type": "integer"}},
        {"type": "integer", "allOf": [True]},
        {"allOf": [{"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}]},
        {
            "properties": {"a": {"const": 1}},
            "required": ["a"],
            "allOf": [{"properties": {"b": {"const": 2}}, "required": ["b"]}],
        },
        {"oneOf": [{"type": "null"}, {"type": "string", "format": "ipv4"}]},
        {"anyOf": [{"type": "integer", "minimum": 7}], "maximum": 7},
        {"$defs": {"a/b": {"const": 1}}, "$ref": "#/$defs/a~1b"},
        {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2, "uniqueItems": True},
        {"type": "array", "items": {"type": "number"}, "minItems": 3, "uniqueItems": True},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5, "multipleOf": 0.25},
        {"type": "string", "minLength": 30},
        {"type": "string", "format": "duration"},
        tree,
        endless,
        wide,
    ]
    for schema in schemas:
        with case(schema):
            Draft202012Validator(schema).validate(sample_of(schema))


@pytest.mark.requirement("E3")
def test_strings_quote_from_the_question() -> None:
    asked = "Please look up the city of San Marino for me"
    members = ["query", "search_query", "city", "text", "context"]
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in members}}
    assert sample_of(schema, asked) == {
        "query": asked,
        "search_query": asked,
        "city": "San Marino",
        "text": asked,
        "context": "San Marino",
    }
    assert sample_of({"properties": {"home_town": {"type": "string"}}}, "hello")["home_town"] == (
        "emulated home town"
    )
    assert len(sample_of({"type": "string"}, "x" * 1000)) == 280


def test_a_schema_that_nothing_fits_gets_some_value() -> None:
    members = {f"member_{number}": {"$ref": "#"} for number in range(20)}
    endless = {"type": "object", "properties": members, "required": list(members)}
    assert set(sample_of(endless)) == set(members)
    assert isinstance(sample_of({"type": "integer", "minimum": 5, "maximum": 1}), int)
    assert sample_of({"type": "integer", "multipleOf": 1e-300, "minimum": 1e300}) == 1


_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("type", "properties", "required", "items", "enum", "const", "anyOf", "oneOf"),
                    *("allOf", "$ref", "pattern", "minLength", "maxLength", "minItems", "maxItems"),
                    *("prefixItems", "uniqueItems", "minimum", "maximum", "multipleOf", "format"),
                    *("exclusiveMinimum", "exclusiveMaximum", "minProperties", "name"),
                ]
            ),
            inner | st.sampled_from(["object", "array", "string", "integer", "number", "#", 3]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_ANY_JSON, st.text(max_size=20))
@settings(
    max_examples=5 * settings.default.max_examples, deadline=None, derandomize=True, database=None
)
def test_every_schema_has_a_sample(schema: Any, text: str) -> None:
    """A schema without sense gets some value, and never an error."""
    json.dumps(sample_of(schema, text))
