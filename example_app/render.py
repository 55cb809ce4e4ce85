"""How to show untrusted Markdown: as HTML that is safe in the page, also while it still grows.

There are three layers. markdown-it escapes every HTML tag of the model. nh3 allows only the
elements below. The page's Content-Security-Policy runs and loads only the app's own files.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any, Final

import nh3
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from .highlight import Highlighter
from .syntax import additions

#: Most addresses of a text that become links. Finding them takes quadratic time.
MAX_LINKS: Final = 200
#: Most brackets of a text in which links and images are looked for, which takes long, too.
MAX_BRACKETS: Final = 1_000
#: Most characters of answers that a process keeps rendered.
MAX_KEPT: Final = 8_000_000
# fmt: off
_CLEANER: Final = nh3.Cleaner(
    tags={
        "a", "blockquote", "br", "code", "div", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol",
        "p", "pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
    },
    attributes={"*": {"class", "tabindex"}, "a": {"href", "title"}, "ol": {"start"}},
    url_schemes={"http", "https", "mailto"},
    link_rel="noopener noreferrer nofollow",
    set_tag_attribute_values={"a": {"target": "_blank"}},
)
# fmt: on


class _Renderer(RendererHTML):
    """Differences from CommonMark. ``env["highlighter"]``: None while the text still grows."""

    def text(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        # Line breaks are in formulas and cells only (see syntax.py).
        return escapeHtml(tokens[idx].content).replace("\n", "<br>")

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        # An image would tell its host who reads the answer and when. A link needs a click.
        alt = self.renderInlineAsText(tokens[idx].children, options, env) or "without description"
        address = escapeHtml(str(tokens[idx].attrGet("src") or ""))
        return f'<a href="{address}">Image: {escapeHtml(alt)}</a>'

    def fence(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        code, language = tokens[idx].content, tokens[idx].info.strip().partition(" ")[0]
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


def _parser(linkify: bool, brackets: bool) -> MarkdownIt:
    options = {"html": False, "linkify": linkify}
    parser = MarkdownIt("commonmark", options, renderer_cls=_Renderer).use(additions)
    if parser.linkify:
        # Only what has a scheme.
        parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False}).add("//", None)
    if not brackets:
        parser.disable(["link", "image"])
    # No reference definitions, because one at the end of an answer would change finished blocks.
    parser.disable(["reference", "html_block", "html_inline"])
    return parser.enable(["table", "strikethrough", "linkify"])


_PARSERS: Final = {few: _parser(*few) for few in product((True, False), repeat=2)}


def _parse(text: str) -> list[Token]:
    few = (text.count("://") <= MAX_LINKS, text.count("[") <= MAX_BRACKETS)
    return _PARSERS[few].parse(text, {})


def _safe(tokens: Sequence[Token], highlighter: Highlighter | None) -> str:
    parser, env = _PARSERS[True, True], {"highlighter": highlighter}
    return _CLEANER.clean(parser.renderer.render(tokens, parser.options, env))


class _Rendered(dict[str, Markup]):
    """Complete answers as HTML. When they are too many, it begins again."""

    size = 0

    def __missing__(self, markdown: str) -> Markup:
        html = Markup(_safe(_parse(markdown), Highlighter()))  # noqa: S704 - cleaned
        self.size += len(markdown) + len(html)
        if self.size > MAX_KEPT:
            self.clear()
            self.size = 0
        self[markdown] = html
        return html


#: Returns a complete answer as HTML.
to_html: Final = _Rendered().__getitem__


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
        growing = _parse(self.text[self._finished :])
        return _safe(final, self._highlighter), _safe(growing, None)

    def _take_final(self) -> list[Token]:
        # Only complete lines show where a block ends: "#" may become a heading or "#1".
        self._has_new_line = False
        lines = self.text[self._finished :].split("\n")
        tokens = _parse("\n".join([*lines[:-1], ""]))
        last = max((i for i, t in enumerate(tokens) if t.level == 0 and t.nesting >= 0), default=0)
        final, tail = tokens[:last], tokens[last:]
        if final and tail[0].map:
            self._finished += sum(len(line) + 1 for line in lines[: tail[0].map[0]])
        return final

    def end(self) -> str:
        """Return the HTML of the remaining text."""
        growing, self._finished = self.text[self._finished :], len(self.text)
        return _safe(_parse(growing), self._highlighter)
