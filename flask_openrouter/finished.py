"""The login that this browser finished last, for visitors who reload the callback or go back to it.

They land where the login led, as if nothing had happened: their code is not sent again. Kept in a
small cookie of its own: a session that holds nothing else would be read with every request.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

from .authorization import AuthorizationRequest, binding_of, digest, visitor_of
from .services import Services

#: How long an address it remembers, in characters.
MAX_NEXT_LENGTH: Final = 200
_MARK_LENGTH: Final = 16


@dataclass(frozen=True)
class FinishedLogin:
    """Where a finished login led, or None."""

    next_url: str | None


def remember_finished(services: Services, request: AuthorizationRequest) -> None:
    """Let this browser know that it has finished this login."""
    # A comfort, not worth many bytes: a long address is not remembered.
    next_url = request.next_url if len(request.next_url or "") <= MAX_NEXT_LENGTH else None
    mark = digest(f"{digest(request.state)} {request.binding}")
    services.finished_cookie.write(f"{mark}{next_url or ''}")


def find_finished(services: Services, state: str) -> FinishedLogin | None:
    """Return the login with this state if this browser finished it last, as this user, or None.

    Where it led is the browser's word: check it.
    """
    remembered = services.finished_cookie.read()
    if remembered is None:
        return None
    mark = digest(state)
    # What the app raises when it is asked for its user shows no state in its traceback.
    del state
    mark = digest(f"{mark} {binding_of(mark, visitor_of(services))}")
    if not hmac.compare_digest(mark.encode(), remembered[:_MARK_LENGTH].encode(errors="replace")):
        return None
    return FinishedLogin(remembered[_MARK_LENGTH:] or None)
