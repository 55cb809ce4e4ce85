"""Guards that guard nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from flask import Flask

from .case import Case
from .finding import Finding, problem

#: Returns the names of what an app has disabled, or will disable, because its guard is misplaced.
FindMisplaced = Callable[[Flask], Sequence[str]]


def check_guards(case: Case, *, find_misplaced: FindMisplaced) -> Iterator[Finding]:
    """Find guards that stand above the decorator that registers the function."""
    if names := find_misplaced(case.app):
        yield problem(
            "guard_misplaced",
            f"Not guarded: {', '.join(names)}. requires_openrouter_key stands above the route or"
            " before_request decorator, so they fail with an error 500 for everyone.",
            "Put it below, next to the function.",
        )
