"""How to extend Markdown: formulas as they are written, and what fits into the page.

Each rule looks at a bounded number of characters, so that no answer takes quadratic time.
"""

import re
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline

#: Longest formula within a line, in characters.
MAX_FORMULA: Final = 2_000
#: The ends of formulas, by their starts.
_ENDS: Final = {"\\(": "\\)", "\\[": "\\]", "$$": "$$", "\\begin{": "\\end{"}
#: ``$x$``, unless the signs look like those of two amounts.
_DOLLARS: Final = re.compile(r"\$(?![\s$])(?:[^$\\`]|\\[^`]){1,500}(?<!\s)\$(?![\d$])")
_BREAK: Final = re.compile("<br ?/?>")


def additions(markdown: MarkdownIt) -> None:
    """Add all of these to a parser: ``MarkdownIt().use(additions)``."""
    markdown.block.ruler.before(
        "fence", "formula", _formula_block, {"alt": ["paragraph", "reference", "blockquote"]}
    )
    markdown.block.ruler.before("table", "cells", _end_table, {"alt": ["blockquote"]})
    markdown.inline.ruler.before("escape", "formula", _formula)
    markdown.core.ruler.after("inline", "page", _fit_into_page)


def _start_of(text: str, pos: int) -> str | None:
    return next((start for start in _ENDS if text.startswith(start, pos)), None)


def _formula(state: StateInline, silent: bool) -> bool:
    r"""Keep ``\(…\)``, ``\[…\]``, ``$$…$$`` and ``$…$`` as they are written."""
    end = -1
    if start := _start_of(state.src, state.pos):
        limit = min(state.pos + MAX_FORMULA, state.posMax)
        end = state.src.find(_ENDS[start], state.pos + len(start), limit)
        end += len(_ENDS[start]) if end >= 0 else 0
    elif found := _DOLLARS.match(state.src, state.pos, state.posMax):
        end = found.end()
    if end < 0:
        return False
    if not silent:
        state.pending += state.src[state.pos : end]
    state.pos = end
    return True


def _formula_block(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    r"""Keep lines from ``\[`` to ``\]``, ``$$`` to ``$$``, and ``\begin{…}`` to ``\end{…}``.

    An empty line ends them, too.
    """
    pos = state.bMarks[first] + state.tShift[first]
    start = _start_of(state.src, pos)
    if start in (None, "\\(") or state.is_code_block(first):
        return False
    end = _ENDS[start]
    if end in state.src[pos + len(start) : state.eMarks[first]]:
        return False  # It is within the line.
    if silent:
        return True
    line = first + 1
    while line < last and not state.isEmpty(line) and state.sCount[line] >= state.blkIndent:
        line += 1
        if end in state.src[state.bMarks[line - 1] : state.eMarks[line - 1]]:
            break
    state.push("paragraph_open", "p", 1).map = [first, line]
    state.push("text", "", 0).content = state.getLines(first, line, state.blkIndent, False)
    state.push("paragraph_close", "p", -1)
    state.line = line
    return True


def _end_table(state: StateBlock, line: int, _last: int, _silent: bool) -> bool:
    """End a table with more cells, of three tokens, than characters: short rows are filled up."""
    return state.parentType == "table" and len(state.tokens) > 3 * state.bMarks[line]


def _fit_into_page(state: StateCore) -> None:
    """Adapt headings and the cells of tables."""
    cell = False
    for token in state.tokens:
        if token.type.startswith("heading"):
            # The page uses h1, and the speaker's name h2.
            token.tag = f"h{min(int(token.tag[1]) + 2, 6)}"
        elif token.type in ("th_open", "td_open"):
            # Aligned by a class, because the policy forbids inline styles.
            side = str(token.attrs.pop("style", "")).rpartition(":")[2]
            token.attrs.update({"class": side} if side else {})
        elif cell:
            for child in token.children or ():
                if child.type == "text":
                    # The only way to begin a new line within a cell.
                    child.content = _BREAK.sub("\n", child.content)
        cell = token.type in ("th_open", "td_open")
