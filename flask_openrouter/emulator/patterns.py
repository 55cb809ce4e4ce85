"""Patterns: strings that a regular expression of a JSON Schema matches (ECMA-262)."""

from __future__ import annotations

import re
from typing import Final

_CLASSES: Final = {"d": "1234567890", "w": "abcdefghijklmnopqrstuvwxyzABC0123456789_", "s": " "}
_PRINTABLE: Final = "".join(map(chr, range(32, 127)))
_COUNT = re.compile(r"\{(\d+)(,?)(\d*)\}")
#: Longest text that is written, in characters.
_MOST = 10_000


def sample_of_pattern(pattern: str, least: int = 0) -> str | None:
    """Return a string of at least ``least`` characters that the pattern matches.

    :return: ``None`` if the pattern has syntax that is not known here, such as a look-ahead.
    """
    for extra in (0, least):
        try:
            sample = _Reader(pattern, extra).alternatives()
            if len(sample) >= least and re.search(pattern, sample):
                return sample
        except (ValueError, IndexError, OverflowError, RecursionError, re.error):
            return None
    return None


class _Reader:
    """Reads a pattern from left to right, and writes what it matches."""

    def __init__(self, pattern: str, extra: int) -> None:
        self._pattern = pattern
        self._at = 0
        #: How often an unbounded part is repeated beyond its minimum.
        self._extra = extra

    def alternatives(self) -> str:
        """Read up to the end of the group. Return what its first alternative matches."""
        first = self._sequence()
        while self._next() == "|":
            self._at += 1
            self._sequence()
        return first

    def _next(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _take(self) -> str:
        character = self._pattern[self._at]
        self._at += 1
        return character

    def _sequence(self) -> str:
        written = []
        while (character := self._next()) and character not in "|)":
            if character in "^$":
                self._at += 1
            else:
                written.append(self._repeated(self._atom()))
        return "".join(written)

    def _atom(self) -> str:
        character = self._take()
        if character == "(":
            return self._group()
        if character == "[":
            return self._set()[0]
        if character == "\\":
            return self._escaped()[0]
        return "a" if character == "." else character

    def _group(self) -> str:
        if self._next() == "?":
            if self._pattern[self._at + 1] != ":":
                raise ValueError("a group of an unknown kind")
            self._at += 2
        inner = self.alternatives()
        self._take()  # The end of the group.
        return inner

    def _set(self) -> str:
        """Read a set such as ``[a-z_]``. Return its characters."""
        is_negated = self._next() == "^"
        self._at += is_negated
        members = ""
        while (character := self._take()) != "]":
            found = self._escaped() if character == "\\" else character
            if self._next() == "-" and self._pattern[self._at + 1] != "]" and len(found) == 1:
                self._at += 1
                end = self._escaped()[0] if (last := self._take()) == "\\" else last
                found = "".join(map(chr, range(ord(found), ord(end) + 1)))
            members += found
        if is_negated:
            members = "".join(c for c in reversed(_PRINTABLE) if c not in members)
        return members

    def _escaped(self) -> str:
        """Read what follows a backslash. Return the characters that it stands for."""
        character = self._take()
        if character in _CLASSES:
            return _CLASSES[character]
        if character.lower() in _CLASSES:
            return "".join(c for c in "-a 1" if c not in _CLASSES[character.lower()])
        if character.isalnum():
            raise ValueError("an escape of an unknown kind")
        return character

    def _repeated(self, atom: str) -> str:
        least, is_bounded = 1, True
        if (braces := _COUNT.match(self._pattern, self._at)) is not None:
            self._at = braces.end()
            least = int(braces[1])
            is_bounded = not braces[2] or bool(braces[3])
            least = max(least, min(int(braces[3] or 0), self._extra))
        elif self._next() in ("?", "*", "+"):
            character = self._take()
            least, is_bounded = int(character == "+"), character == "?"
        if self._next() == "?":
            self._at += 1
        count = least if is_bounded else max(least, self._extra)
        if len(atom) * count > _MOST:
            raise ValueError("a text too long for an answer")
        return atom * count
