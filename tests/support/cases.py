"""Many cases of one check in one test: a failure names its case."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = 20


@contextmanager
def case(*values: object) -> Iterator[None]:
    """Add these values to the message of a check that fails in this block."""
    try:
        yield
    except (Exception, pytest.fail.Exception) as error:
        shown = ", ".join(map(_SHORT.repr, values))
        raise AssertionError(f"in the case of {shown}: {error}") from error
