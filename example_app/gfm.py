"""What models write beyond CommonMark, as people know it from GitHub: bare addresses and tasks."""

from __future__ import annotations

import re
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline

_SCHEME: Final = re.compile(r"(?<![\w.+-])https?$")
_ADDRESS: Final = re.compile(r"://[\w\-.~:/?#\[\]@!$&'()*+,;=%]+")
_BOXES: Final = {"[ ] ": "☐ ", "[x] ": "☑ ", "[X] ": "☑ "}


def gfm(markdown: MarkdownIt) -> None:
    """Add both to a parser: ``MarkdownIt().use(gfm)``."""
    markdown.inline.ruler.before("linkify", "bare_address", _bare_address)
    markdown.core.ruler.after("inline", "tasks", _tasks)


def _bare_address(state: StateInline, silent: bool) -> bool:
    """At the colon of ``https://a.example``: what stands before it is already taken as text."""
    scheme = _SCHEME.search(state.pending)
    found = _ADDRESS.match(state.src, state.pos, state.posMax)
    if scheme is None or found is None or state.linkLevel > 0:
        return False
    rest = _without_end_of_sentence(found[0])
    url = state.md.normalizeLink(scheme[0] + rest)
    if len(rest) <= len("://") or not state.md.validateLink(url):
        return False
    if not silent:
        state.pending = state.pending[: scheme.start()]
        state.push("link_open", "a", 1).attrs = {"href": url}
        state.push("text", "", 0).content = scheme[0] + rest
        state.push("link_close", "a", -1)
    state.pos += len(rest)
    return True


def _without_end_of_sentence(address: str) -> str:
    while True:
        kept = address.rstrip(".,:;!?'*_")
        # (see https://a.example/x), but https://a.example/x_(y)
        for opening, closing in ("()", "[]"):
            if kept.endswith(closing) and kept.count(closing) > kept.count(opening):
                kept = kept[:-1]
        if kept == address:
            return kept
        address = kept


def _tasks(state: StateCore) -> None:
    for item, _, inline in zip(state.tokens, state.tokens[1:], state.tokens[2:], strict=False):
        first = inline.children[0] if inline.children else None
        box = _BOXES.get(first.content[:4]) if first else None
        if item.type == "list_item_open" and first and box:
            item.attrSet("class", "task")
            first.content = box + first.content[4:]
