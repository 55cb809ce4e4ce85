"""The texts of a page that a visitor sees or hears."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Final

_VOID: Final = frozenset({"meta", "link", "input", "path", "circle"})


class VisibleText(HTMLParser):
    """The pieces of text of a page, each with the language and direction that it is marked with."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.pieces: list[tuple[tuple[str | None, str | None], str]] = []
        self._marks: list[tuple[str | None, str | None]] = [(None, None)]
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        language, direction = self._marks[-1]
        marks = attributes.get("lang", language), attributes.get("dir", direction)
        for name in ("title", "aria-label", "placeholder", "alt"):
            self._add(attributes.get(name), marks)
        if tag not in _VOID:
            self._marks.append(marks)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            self._marks.pop()

    def handle_data(self, data: str) -> None:
        self._add(data, self._marks[-1])

    def _add(self, text: str | None, marks: tuple[str | None, str | None]) -> None:
        if text and text.strip():
            self.pieces.append((marks, text.strip()))
