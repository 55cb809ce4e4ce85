"""The texts of the answers: the ideas of the example app get good Markdown."""

from __future__ import annotations

import html
import re

import pytest
import requests
from cases import case
from inference import ask
from markdown_it import MarkdownIt
from project_files import ROOT

from flask_openrouter.emulator import Emulator


def kinds(text: str) -> set[str]:
    """Return the kinds of blocks in a text."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    return {token.type.removesuffix("_open") for token in tokens}


@pytest.mark.requirement("E6")
def test_the_ideas_of_the_example_get_markdown(emulator: Emulator, http: requests.Session) -> None:
    page = (ROOT / "example_app" / "templates" / "chat.html").read_text(encoding="utf-8")
    ideas = [
        html.unescape(re.sub(r"<[^>]+>", "", idea))
        for idea in re.findall(r'<button class="idea\b[^>]*>(.+?)</button>', page)
    ]
    assert len(ideas) == 3
    seen = set()
    for idea in ideas:
        with case(idea):
            text = ask(http, emulator, idea)["choices"][0]["message"]["content"]
            assert "You wrote" not in text
            assert "This is an emulated answer" in text
            assert len(text) > 500
            seen |= kinds(text)
    assert {"table", "ordered_list", "bullet_list", "fence", "blockquote"} <= seen


@pytest.mark.requirement("E6")
def test_the_result_of_a_tool_is_shown_as_code(emulator: Emulator, http: requests.Session) -> None:
    for result in ["18 °C", "```\ncode\n```", "# no heading", "`x`"]:
        with case(result):
            messages = [{"role": "user", "content": "?"}, {"role": "tool", "content": result}]
            text = ask(http, emulator, messages=messages)["choices"][0]["message"]["content"]
            (fence,) = (t for t in MarkdownIt().parse(text) if t.type == "fence")
            assert fence.content.strip() == result
