"""Logins that this browser has finished, for visitors who reload the callback or go back to it.

They land where the login led, as if nothing had happened: their code is not sent again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from flask import session

from .authorization import AuthorizationRequest, binding_of, digest
from .services import Services

SESSION_KEY: Final = "_openrouter_finished"
#: How many logins a browser remembers.
MAX_FINISHED: Final = 2
#: How long an address it remembers, in characters.
MAX_NEXT_LENGTH: Final = 200


@dataclass(frozen=True)
class FinishedLogin:
    """Where a finished login led, or None."""

    next_url: str | None


def remember_finished(request: AuthorizationRequest) -> None:
    """Let this browser know that it has finished this login."""
    # A comfort, not worth much of the session cookie: a long address is not remembered.
    next_url = request.next_url if len(request.next_url or "") <= MAX_NEXT_LENGTH else None
    entries = [[digest(request.state), request.binding, next_url], *_entries()]
    session[SESSION_KEY] = entries[:MAX_FINISHED]


def find_finished(services: Services, state: str) -> FinishedLogin | None:
    """Return the login with this state that this browser finished as this user, or None."""
    mark = digest(state)
    # What the app raises when it is asked for its user shows no state in its traceback.
    del state
    for known, binding, next_url in _entries():
        if known == mark and binding == binding_of(services):
            return FinishedLogin(next_url)
    return None


def _entries() -> list[list[Any]]:
    values = session.get(SESSION_KEY)
    if not isinstance(values, list):
        return []
    return [value for value in values if _is_entry(value)]


def _is_entry(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and isinstance(value[0], str)
        and isinstance(value[1], str)
        and isinstance(value[2], str | None)
    )
