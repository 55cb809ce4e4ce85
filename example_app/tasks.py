"""Task lists as on GitHub: ``- [ ] to do`` gets a box."""

from __future__ import annotations

from typing import Final

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore

_BOXES: Final = {"[ ] ": "☐ ", "[x] ": "☑ ", "[X] ": "☑ "}


def tasks(markdown: MarkdownIt) -> None:
    """Add task lists to a parser: ``MarkdownIt().use(tasks)``."""
    markdown.core.ruler.after("inline", "tasks", _draw_boxes)


def _draw_boxes(state: StateCore) -> None:
    for item, _, inline in zip(state.tokens, state.tokens[1:], state.tokens[2:], strict=False):
        first = inline.children[0] if inline.children else None
        box = _BOXES.get(first.content[:4]) if first else None
        if item.type == "list_item_open" and first and box:
            item.attrSet("class", "task")
            first.content = box + first.content[4:]
