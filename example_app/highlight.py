# mypy: disable-error-code="import-untyped"
"""How to colour untrusted code: Pygments, with a list of languages and a limit of work."""

import time
from collections.abc import Callable
from typing import Final

from markupsafe import escape
from pygments import format as format_tokens
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

#: Longest code that is coloured, in characters.
MAX_HIGHLIGHTED: Final = 10_000
#: How long the colours of one answer may take, in seconds of this thread on the processor. The
#: patterns of most languages take quadratic time for some texts. In those below, the time between
#: two tokens stays short, so the limit holds.
MAX_TIME: Final = 0.1
# fmt: off
LANGUAGES: Final = {
    "bash", "c", "c#", "c++", "cpp", "cs", "csharp", "css", "diff", "docker", "dockerfile", "go",
    "golang", "html", "java", "javascript", "js", "json", "jsx", "kotlin", "lua", "php",
    "powershell", "py", "py3", "pycon", "python", "python3", "r", "rb", "ruby", "rs", "rust",
    "sh", "shell", "sql", "swift", "toml", "ts", "tsx", "typescript", "xml", "yaml", "yml", "zsh",
}
# fmt: on


class Highlighter:
    """Colours for the code of one answer. ``clock`` returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._left = MAX_TIME

    def to_html(self, code: str, language: str) -> str:
        """Return HTML, without colours if the language is unknown or the limit is reached."""
        language = language.lower()
        if language not in LANGUAGES or len(code) > MAX_HIGHLIGHTED:
            return escape(code)
        # Before the clock starts: the first answer in a language loads and compiles its patterns.
        lexer = get_lexer_by_name(language, stripnl=False)
        tokens, start = [], self._clock()
        for token in lexer.get_tokens(code):
            if self._clock() - start > self._left:
                self._left = 0.0
                return escape(code)
            tokens.append(token)
        self._left -= self._clock() - start
        return str(format_tokens(tokens, HtmlFormatter(nowrap=True)))
