"""Many cases in one test: a failure names its case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def case(*name: object) -> Iterator[None]:
    """Name this case in any failure inside the block."""
    try:
        yield
    except Exception as error:
        shown = ", ".join(ascii(part)[:120] for part in name)
        raise AssertionError(f"in the case {shown}: {error!r}") from error
