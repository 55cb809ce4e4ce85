# mypy: disable-error-code="import-untyped"
"""Syntax highlighting by Pygments: code gets ``<span class="k">``, coloured by the style sheet."""

from __future__ import annotations

from typing import Final

from markupsafe import escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

#: Longest code that is highlighted, in characters.
MAX_HIGHLIGHTED: Final = 20_000
#: All CSS classes that can occur.
CLASSES: Final = frozenset(name for name in STANDARD_TYPES.values() if name)

_FORMATTER: Final = HtmlFormatter(nowrap=True)


def highlight_code(code: str, language: str) -> str:
    """Return HTML, without colours if the language is unknown."""
    if language and len(code) <= MAX_HIGHLIGHTED:
        try:
            lexer = get_lexer_by_name(language, stripnl=False)
            return str(highlight(code, lexer, _FORMATTER))
        except ClassNotFound:
            pass
    return escape(code)
