"""Markdown of a model, which is foreign text, as HTML that may stand in our page.

Three layers: markdown-it escapes every HTML tag of the model, nh3 lets through nothing but the
elements below, and the page's Content-Security-Policy neither runs nor loads what is not ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup, escape

from .highlight import CLASSES, highlight_code
from .tasks import tasks

# fmt: off
_TAGS: Final = {
    "a", "blockquote", "br", "code", "div", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p",
    "pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}
# fmt: on
_CLEANER: Final = nh3.Cleaner(
    tags=_TAGS,
    attributes={
        "a": {"href", "title"},
        "ol": {"start"},
        "pre": {"tabindex"},
        "div": {"tabindex"},
    },
    allowed_classes={
        "div": {"code", "wide"},
        "li": {"task"},
        "p": {"code-head"},
        "span": set(CLASSES),
        "td": {"left", "center", "right"},
        "th": {"left", "center", "right"},
    },
    url_schemes={"http", "https", "mailto"},
    link_rel="noopener noreferrer nofollow",
    set_tag_attribute_values={"a": {"target": "_blank"}},
)


class _Renderer(RendererHTML):
    """What differs from plain CommonMark. ``env["live"]``: the text still grows."""

    def image(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        # An image would tell its host who reads the answer, and when: a link waits for a click.
        token = tokens[index]
        words = self.renderInlineAsText(token.children, options, env) or "without description"
        return f'<a href="{escape(token.attrGet("src") or "")}">Image: {escape(words)}</a>'

    def fence(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        language = tokens[index].info.strip().partition(" ")[0]
        code = tokens[index].content
        coloured = escape(code) if env.get("live") else highlight_code(code, language)
        # tabindex: what scrolls must be reachable by keyboard.
        return (
            f'<div class="code"><p class="code-head">{escape(language or "text")}</p>'
            f'<pre tabindex="0"><code>{coloured}</code></pre></div>\n'
        )

    def code_block(
        self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any
    ) -> str:
        return self.fence(tokens, index, options, env)

    def heading_open(
        self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any
    ) -> str:
        return f"<{_heading(tokens[index].tag)}>"

    def heading_close(
        self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any
    ) -> str:
        return f"</{_heading(tokens[index].tag)}>\n"

    def table_open(
        self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any
    ) -> str:
        return '<div class="wide" tabindex="0"><table>\n'

    def table_close(
        self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any
    ) -> str:
        return "</table></div>\n"

    def th_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        # Aligned by a class: an inline style is what the policy forbids.
        side = str(tokens[index].attrGet("style") or "").rpartition(":")[2]
        name = f' class="{side}"' if side else ""
        return f"<{tokens[index].tag}{name}>"

    td_open = th_open


# No reference definitions: one at the end of an answer would change what is finished above it.
_MARKDOWN: Final = (
    MarkdownIt("commonmark", {"html": False, "linkify": True}, renderer_cls=_Renderer)
    .enable(["table", "strikethrough", "linkify"])
    .disable(["reference", "html_block", "html_inline"])
    .use(tasks)
)
# Addresses that say https are links; what only looks like one, such as script.py, is not.
assert _MARKDOWN.linkify is not None  # noqa: S101 - markdown-it-py[linkify] is installed
_MARKDOWN.linkify.set({"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
for _scheme in ("ftp:", "mailto:", "//"):
    _MARKDOWN.linkify.add(_scheme, None)


def _heading(tag: str) -> str:
    # h1 is the page's and h2 the speaker's.
    return {"h1": "h3", "h2": "h3", "h3": "h4", "h4": "h5"}.get(tag, "h6")


def _safe(tokens: Sequence[Token], *, live: bool = False) -> str:
    html = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {"live": live})
    return _CLEANER.clean(html)


@lru_cache(maxsize=256)
def to_html(markdown: str) -> Markup:
    """Return a whole answer as HTML."""
    return Markup(_safe(_MARKDOWN.parse(markdown, {})))  # noqa: S704 - cleaned


class LiveMarkdown:
    """A text that grows. Only its last block can still change, so only that is rendered anew."""

    def __init__(self) -> None:
        #: Everything that was added.
        self.text = ""
        self._finished = 0
        self._has_new_line = False

    def add(self, text: str) -> None:
        """Append a piece."""
        self.text += text.replace("\r", "")
        self._has_new_line = self._has_new_line or "\n" in text

    def render(self) -> tuple[str, str]:
        """Return the HTML of the blocks that became final since the last call, and of the tail."""
        final = self._take_final() if self._has_new_line else []
        growing = _MARKDOWN.parse(self.text[self._finished :], {})
        return _safe(final), _safe(growing, live=True)

    def _take_final(self) -> list[Token]:
        # Only whole lines tell where a block ends: "#" may go on as a heading or as "#1".
        self._has_new_line = False
        lines = self.text[self._finished :].split("\n")
        tokens = _MARKDOWN.parse("\n".join([*lines[:-1], ""]), {})
        last = max((i for i, t in enumerate(tokens) if t.level == 0 and t.nesting >= 0), default=0)
        final, tail = tokens[:last], tokens[last:]
        if final and tail[0].map:
            self._finished += sum(len(line) + 1 for line in lines[: tail[0].map[0]])
        return final

    def end(self) -> str:
        """Return the HTML of the rest."""
        growing, self._finished = self.text[self._finished :], len(self.text)
        return _safe(_MARKDOWN.parse(growing, {}))
