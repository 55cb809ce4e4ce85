"""How to extend Markdown: links, formulas as they are written, task lists, and ``<br>`` in tables.

Each rule looks at a character once or at a bounded number of characters, so that no answer takes
quadratic time. The plugins of markdown-it-py do not promise that.
"""

import re
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

_BOXES: Final = {"[ ] ": "☐ ", "[x] ": "☑ ", "[X] ": "☑ "}
_BREAK: Final = re.compile("<br ?/?>")
#: Longest address that becomes a link, and longest formula within a line, in characters.
MAX_LINK: Final = 2_000
MAX_FORMULA: Final = 2_000
#: The rest of an address, after the "://". Chinese punctuation ends it.
_ADDRESS: Final = re.compile(rf"[^\s<>\"`|\u3000-\u303f\uff00-\uffef]{{1,{MAX_LINK}}}")
_AFTER_ADDRESS: Final = tuple(".,:;!?'*_~")
#: The ends of formulas, by their starts.
_ENDS: Final = {"\\(": "\\)", "\\[": "\\]", "$$": "$$"}
#: ``$x$``, unless the signs look like those of two amounts.
_DOLLARS: Final = re.compile(r"\$(?![\s$])(?:[^$\\`]|\\[^`]){1,500}(?<!\s)\$(?![\d$])")
# The page uses h1, and the speaker's name h2.
_HEADINGS: Final = {"h1": "h3", "h2": "h3", "h3": "h4", "h4": "h5", "h5": "h6"}


def additions(markdown: MarkdownIt) -> None:
    """Add all of these to a parser: ``MarkdownIt().use(additions)``."""
    markdown.block.ruler.before(
        "fence", "formula", _formula_block, {"alt": ["paragraph", "reference", "blockquote"]}
    )
    markdown.inline.ruler.before("escape", "formula", _formula)
    markdown.inline.ruler.before("escape", "address", _address)
    markdown.core.ruler.after("inline", "page", _fit_into_page)


def _address(state: StateInline, silent: bool) -> bool:
    """Make a link of ``https://…``. The scheme is in the text before."""
    if not state.src.startswith("://", state.pos) or state.linkLevel > 0:
        return False
    scheme = re.search(r"(?<![a-z0-9])https?\Z", state.pending[-6:], re.IGNORECASE)
    found = _ADDRESS.match(state.src, state.pos + 3, state.posMax)
    rest = found[0] if found else ""
    while rest.endswith(_AFTER_ADDRESS) or rest.count(")") > rest.count("("):
        rest = rest[:-1]
    if scheme is None or not 0 < len(rest) < MAX_LINK - 3:
        return False
    if not silent:
        address = f"{scheme[0]}://{rest}"
        state.pending = state.pending[: -len(scheme[0])]
        state.push("link_open", "a", 1).attrs = {"href": state.md.normalizeLink(address)}
        state.push("text", "", 0).content = address
        state.push("link_close", "a", -1)
    state.pos += 3 + len(rest)
    return True


def _formula(state: StateInline, silent: bool) -> bool:
    r"""Keep ``\(…\)``, ``\[…\]``, ``$$…$$`` and ``$…$`` as they are written."""
    start = state.src[state.pos : state.pos + 2]
    end = -1
    if start in _ENDS:
        limit = min(state.pos + MAX_FORMULA, state.posMax)
        end = state.src.find(_ENDS[start], state.pos + 2, limit) + 2
    elif found := _DOLLARS.match(state.src, state.pos, state.posMax):
        end = found.end()
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
    state.push("paragraph_open", "p", 1).map = [start, line]
    state.push("text", "", 0).content = state.getLines(start, line, state.blkIndent, False)
    state.push("paragraph_close", "p", -1)
    state.line = line
    return True


def _fit_into_page(state: StateCore) -> None:
    """Adapt headings, cells of tables, and the boxes of tasks (``- [ ] to do``)."""
    item = before = Token("", "", 0)
    for token in state.tokens:
        texts = [child for child in token.children or () if child.type == "text"]
        if token.tag in _HEADINGS:
            token.tag = _HEADINGS[token.tag]
        elif token.type in ("th_open", "td_open"):
            # Aligned by a class, because the policy forbids inline styles.
            side = str(token.attrs.pop("style", "")).rpartition(":")[2]
            token.attrs.update({"class": side} if side else {})
        elif before.type in ("th_open", "td_open"):
            for text in texts:
                text.content = _BREAK.sub("\n", text.content)
        elif item.type == "list_item_open" and texts and texts[0].content[:4] in _BOXES:
            item.attrSet("class", "task")
            texts[0].content = _BOXES[texts[0].content[:4]] + texts[0].content[4:]
        item, before = before, token
