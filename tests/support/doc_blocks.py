"""The code blocks of the documentation, ready to be run.

A comment on the line before a block says what is special about it::

    <!-- not run: it needs a real account -->
    <!-- continues -->                            (it goes on where the block before ended)
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]+?) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """One fenced block, and where it is."""

    page: Path
    line: int
    language: str
    code: str
    note: str

    @property
    def name(self) -> str:
        """Where to look."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Return every page of documentation."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[Block]:
    """Return the blocks in a language, page by page."""
    return [b for page in pages() for b in _blocks_of(page) if b.language == language]


def runs(language: str) -> list[list[Block]]:
    """Return what is to be run, each a block with those that continue it."""
    found: list[list[Block]] = []
    for block in blocks(language):
        if block.note == "continues":
            found[-1].append(block)
        elif not block.note.startswith("not run"):
            found.append([block])
    return found


def at_emulator(code: str, url: str) -> ast.Module:
    """Return the code with this base URL wherever ``OpenRouterClient`` is to find OpenRouter."""
    tree = ast.parse(code)
    _Redirection(url).visit(tree)
    return ast.fix_missing_locations(tree)


class _Redirection(ast.NodeTransformer):
    def __init__(self, url: str) -> None:
        self._url = url

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "OpenRouterClient" and not node.args:
            node.args.append(ast.Constant(self._url))
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if node.value == "https://openrouter.ai":
            return ast.Constant(self._url)
        return node


def _blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("code"))
        yield Block(page, line, match["language"], match["code"], match["note"] or "")
