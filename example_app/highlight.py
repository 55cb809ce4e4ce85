# mypy: disable-error-code="import-untyped"
"""Code in colours, by Pygments: words become ``<span class="k">``, and the style sheet paints."""

from __future__ import annotations

from typing import Final

from markupsafe import escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

#: Code above this length is shown in one colour, in characters.
MAX_HIGHLIGHTED: Final = 20_000
#: Every class that can occur.
CLASSES: Final = frozenset(name for name in STANDARD_TYPES.values() if name)

_FORMATTER: Final = HtmlFormatter(nowrap=True)


def highlight_code(code: str, language: str) -> str:
    """Return HTML; in one colour for a language that nobody knows."""
    if language and len(code) <= MAX_HIGHLIGHTED:
        try:
            lexer = get_lexer_by_name(language, stripnl=False)
            return str(highlight(code, lexer, _FORMATTER))
        except ClassNotFound:
            pass
    return escape(code)
