"""``instructor``: structured answers by tools, by a JSON Schema, and by a schema in the prompt."""

from __future__ import annotations

import instructor
from emulated import API, KEY, MODEL, refusal_of, run
from openai import OpenAI
from pydantic import BaseModel

MESSAGES = [{"role": "user", "content": "A soup, please"}]


class Soup(BaseModel):
    """A soup."""

    name: str
    hours: int
    tags: list[str]


def soup(mode: instructor.Mode, **options: object) -> Soup:
    client = instructor.from_openai(OpenAI(api_key=KEY, base_url=API, max_retries=0), mode=mode)
    return client.chat.completions.create(
        model=MODEL, messages=MESSAGES, response_model=Soup, max_retries=0, **options
    )


def tools() -> None:
    assert isinstance(soup(instructor.Mode.TOOLS), Soup)


def json_schema() -> None:
    assert isinstance(soup(instructor.Mode.JSON_SCHEMA), Soup)


def json_object() -> None:
    assert isinstance(soup(instructor.Mode.JSON), Soup)


def errors() -> None:
    client = instructor.from_openai(OpenAI(api_key="sk-or-v1-unknown", base_url=API))
    create = client.chat.completions.create
    error = refusal_of(lambda: create(model=MODEL, messages=MESSAGES, response_model=Soup))
    assert "401" in str(error), error


if __name__ == "__main__":
    run(tools, json_schema, json_object, errors)
