"""Storages with a thousand to a million rows: time, statements, bytes, processes, rotation."""

from __future__ import annotations

import sys
from typing import Final

from . import crossings, lookups, parallel, rotating
from .report import Row
from .stores import filled_stores

NAME: Final = "storage"
SIZES: Final = (1_000, 100_000, 1_000_000)


def run(rounds: int, quick: bool) -> list[Row]:
    """Measure everything on the same stores. ``quick``: without the million."""
    sizes = SIZES[:2] if quick else SIZES
    with filled_stores(sizes, _say, partitioned=not quick) as stores:
        _say("single calls")
        rows = lookups.measure(stores, rounds)
        rows += crossings.measure(stores)
        _say("worker processes")
        rows += parallel.measure(stores, *((2, 0.2) if quick else (5, 1.0)))
        _say("re-encryption")
        return rows + rotating.measure(stores, 2 if quick else 8)


def _say(step: str) -> None:
    print(f"  {NAME}: {step}", file=sys.stderr, flush=True)
