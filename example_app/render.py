"""How to show untrusted Markdown: as HTML that is safe in the page, also while it still grows.

There are three layers. markdown-it escapes every HTML tag of the model. nh3 allows only the
elements below. The page's Content-Security-Policy runs and loads only the app's own files.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import nh3
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup

from .highlight import CLASSES, Highlighter
from .syntax import additions

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
    """Differences from CommonMark. ``env["highlighter"]``: None while the text still grows."""

    def text(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        # Line breaks are in formulas and cells only (see syntax.py).
        return escapeHtml(tokens[index].content).replace("\n", "<br>")

    def image(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        # An image would tell its host who reads the answer and when. A link needs a click.
        token = tokens[index]
        words = self.renderInlineAsText(token.children, options, env) or "without description"
        href = escapeHtml(str(token.attrGet("src") or ""))
        return f'<a href="{href}">Image: {escapeHtml(words)}</a>'

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        language = tokens[idx].info.strip().partition(" ")[0]
        code = tokens[idx].content
        highlighter: Highlighter | None = env["highlighter"]
        coloured = highlighter.to_html(code, language) if highlighter else escapeHtml(code)
        # tabindex: the keyboard must reach elements that scroll.
        return (
            f'<div class="code"><p class="code-head">{escapeHtml(language or "text")}</p>'
            f'<pre tabindex="0"><code>{coloured}</code></pre></div>\n'
        )

    code_block = fence

    def table_open(self, *_: Any) -> str:
        return '<div class="wide" tabindex="0"><table>\n'

    def table_close(self, *_: Any) -> str:
        return "</table></div>\n"


# No reference definitions, because one at the end of an answer would change finished blocks.
_MARKDOWN: Final = (
    MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer)
    .enable(["table", "strikethrough"])
    .disable(["reference", "html_block", "html_inline"])
    .use(additions)
)


def _safe(tokens: Sequence[Token], highlighter: Highlighter | None) -> str:
    html = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {"highlighter": highlighter})
    return _CLEANER.clean(html)


@lru_cache(maxsize=256)
def to_html(markdown: str) -> Markup:
    """Return a complete answer as HTML."""
    return Markup(_safe(_MARKDOWN.parse(markdown, {}), Highlighter()))  # noqa: S704 - cleaned


class LiveMarkdown:
    """A growing text. Only its last block can still change, so only that is rendered again."""

    def __init__(self) -> None:
        #: The text so far.
        self.text = ""
        self._finished = 0
        self._has_new_line = False
        self._highlighter = Highlighter()

    def add(self, text: str) -> None:
        """Append a piece."""
        self.text += text.replace("\r", "")
        self._has_new_line = self._has_new_line or "\n" in text

    def render(self) -> tuple[str, str]:
        """Return the HTML of newly final blocks and of the unfinished last block."""
        final = self._take_final() if self._has_new_line else []
        growing = _MARKDOWN.parse(self.text[self._finished :], {})
        return _safe(final, self._highlighter), _safe(growing, None)

    def _take_final(self) -> list[Token]:
        # Only complete lines show where a block ends: "#" may become a heading or "#1".
        self._has_new_line = False
        lines = self.text[self._finished :].split("\n")
        tokens = _MARKDOWN.parse("\n".join([*lines[:-1], ""]), {})
        last = max((i for i, t in enumerate(tokens) if t.level == 0 and t.nesting >= 0), default=0)
        final, tail = tokens[:last], tokens[last:]
        if final and tail[0].map:
            self._finished += sum(len(line) + 1 for line in lines[: tail[0].map[0]])
        return final

    def end(self) -> str:
        """Return the HTML of the remaining text."""
        growing, self._finished = self.text[self._finished :], len(self.text)
        return _safe(_MARKDOWN.parse(growing, {}), self._highlighter)
