"""The templates in docs/frontend.md."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from doc_blocks import ROOT, Block, blocks
from flask import Flask
from visitor import Visitor

from flask_openrouter.emulator import Emulator

PAGE = ROOT / "docs" / "frontend.md"
TEMPLATES = [block for block in blocks("html") if block.page == PAGE]


def test_the_templates_are_found() -> None:
    assert len(TEMPLATES) >= 2


@pytest.mark.parametrize("block", TEMPLATES, ids=lambda block: block.name)
def test_it_renders_before_and_after_connecting(
    block: Block, show: Callable[..., str], visitor: Visitor, emulator: Emulator
) -> None:
    assert "<" in show(block.code)
    visitor.connect(emulator)
    assert "<button" in show(block.code)


def test_every_name_for_templates_is_explained(app: Flask) -> None:
    text = PAGE.read_text(encoding="utf-8")
    with app.test_request_context():
        names: dict[str, object] = {}
        app.update_template_context(names)
    ours = [name for name in names if "openrouter" in name]
    assert len(ours) == 5
    assert all(f"`{name}" in text for name in ours)
