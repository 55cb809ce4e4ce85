"""How to extend Markdown: links, formulas as they are written, task lists, and ``<br>`` in tables.

Each rule looks at a character once or at a bounded number of characters, so that no answer takes
quadratic time.
"""

from __future__ import annotations

import re
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline

_BOXES: Final = {"[ ] ": "☐ ", "[x] ": "☑ ", "[X] ": "☑ "}
#: Longest address that becomes a link, and longest formula within a line, in characters.
MAX_LINK: Final = 2_000
MAX_FORMULA: Final = 2_000
#: The rest of an address, after the "://". Chinese punctuation ends it.
_ADDRESS: Final = re.compile(rf"[^\s<>\"`|\u3000-\u303f\uff00-\uffef]{{1,{MAX_LINK}}}")
_AFTER_ADDRESS: Final = ".,:;!?'*_~"
#: The ends of formulas, by their starts.
_ENDS: Final = {"\\(": "\\)", "\\[": "\\]", "$$": "$$"}
#: ``$x$``, unless the signs look like those of two amounts.
_DOLLARS: Final = re.compile(r"\$(?![\s$])(?:[^$\\`]|\\[^`]){1,500}(?<!\s)\$(?![\d$])")


def additions(markdown: MarkdownIt) -> None:
    """Add all of these to a parser: ``MarkdownIt().use(additions)``."""
    markdown.block.ruler.before(
        "fence", "formula", _formula_block, {"alt": ["paragraph", "reference", "blockquote"]}
    )
    markdown.inline.ruler.before("escape", "formula", _formula)
    markdown.inline.ruler.before("escape", "address", _address)
    markdown.core.ruler.after("inline", "tasks", _draw_boxes)


def _address(state: StateInline, silent: bool) -> bool:
    """Make a link of ``https://…``. The scheme is in the text before."""
    if not state.src.startswith("://", state.pos) or state.linkLevel > 0:
        return False
    scheme = re.search(r"(?<![a-z0-9])https?\Z", state.pending[-6:], re.IGNORECASE)
    rest = _ADDRESS.match(state.src, state.pos + 3, state.posMax)
    if scheme is None or rest is None or rest.end() - state.pos >= MAX_LINK:
        return False
    words = rest[0]
    unopened = words.count(")") - words.count("(")
    end = len(words)
    while end and (words[end - 1] in _AFTER_ADDRESS or (words[end - 1] == ")" and unopened > 0)):
        end -= 1
        unopened -= words[end] == ")"
    address = f"{scheme[0]}://{words[:end]}"
    if not end or not state.md.validateLink(state.md.normalizeLink(address)):
        return False
    if not silent:
        state.pending = state.pending[: -len(scheme[0])]
        state.push("link_open", "a", 1).attrs = {"href": state.md.normalizeLink(address)}
        state.push("text", "", 0).content = address
        state.push("link_close", "a", -1)
    state.pos += 3 + end
    return True


def _formula(state: StateInline, silent: bool) -> bool:
    r"""Keep ``\(…\)``, ``\[…\]``, ``$$…$$`` and ``$…$`` as they are written."""
    start = state.src[state.pos : state.pos + 2]
    if start in _ENDS:
        limit = min(state.pos + MAX_FORMULA, state.posMax)
        end = state.src.find(_ENDS[start], state.pos + 2, limit) + 2
    elif start[:1] == "$" and (found := _DOLLARS.match(state.src, state.pos, state.posMax)):
        end = found.end()
    else:
        return False
    if end <= state.pos + 2:
        return False
    if not silent:
        state.pending += state.src[state.pos : end]
    state.pos = end
    return True


def _formula_block(state: StateBlock, start: int, last: int, silent: bool) -> bool:
    r"""Keep lines from ``\[`` to ``\]``, ``$$`` to ``$$``, and ``\begin{…}`` to ``\end{…}``.

    An empty line ends them, too.
    """
    first = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]].rstrip()
    is_named = first.startswith("\\begin{")
    end = "\\end{" if is_named else _ENDS.get(first[:2])
    if end is None or end == "\\)" or state.is_code_block(start):
        return False
    if not is_named and first.find(end, 2) not in (-1, len(first) - 2):
        return False  # it ends within the line
    if silent:
        return True
    line = start
    while line < last and not state.isEmpty(line) and state.sCount[line] >= state.blkIndent:
        text = state.src[state.bMarks[line] : state.eMarks[line]].rstrip()
        line += 1
        is_end = end in text if is_named else text.endswith(end)
        if is_end and (line > start + 1 or len(first) > 2):
            break
    token = state.push("formula", "p", 0)
    token.content = state.getLines(start, line, state.blkIndent, False)
    token.map = [start, line]
    state.line = line
    return True


def _draw_boxes(state: StateCore) -> None:
    """Draw task lists as on GitHub: ``- [ ] to do`` gets a box."""
    for item, _, inline in zip(state.tokens, state.tokens[1:], state.tokens[2:], strict=False):
        first = inline.children[0] if inline.children else None
        box = _BOXES.get(first.content[:4]) if first else None
        if item.type == "list_item_open" and first and box:
            item.attrSet("class", "task")
            first.content = box + first.content[4:]
