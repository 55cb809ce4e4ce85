"""What became of one record, in the words of the commands."""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    """The outcome of one record in a rotation."""

    ROTATED = "rotated"
    CURRENT = "already current"
    UNREADABLE = "unreadable"
    GONE = "gone meanwhile"


class Age(Enum):
    """What pruning found about one record."""

    PAST = "past their age"
    CURRENT = "kept"
    UNREADABLE = "unreadable"
    GONE = "gone meanwhile"
