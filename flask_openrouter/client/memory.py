"""Bounded memory: what is known of the latest keys, by the hash of the key."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def remember(memory: dict[str, T], key: str, value: T, most: int) -> None:
    """Put an entry behind all others. Let go of the oldest one if there are ``most``."""
    memory.pop(key, None)
    if len(memory) >= most:
        del memory[next(iter(memory))]
    memory[key] = value
