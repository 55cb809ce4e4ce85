"""The login that this browser finished last, for a visitor who reloads the callback.

They land where the login led, and their code is not sent again. It is remembered in a small cookie
of its own: Flask would read a session with every request.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

from ..web import ExtensionCookie
from .owner import Owners
from .pending import PendingLogin, binding_of, digest

#: The longest address that is remembered, in characters.
MAX_REMEMBERED_LENGTH: Final = 200
_PROOF_LENGTH: Final = 16


@dataclass(frozen=True)
class FinishedLogin:
    """The address that a finished login led to, or None."""

    next_url: str | None


class FinishedLogins:
    """The login that each browser finished last. One per app; the state is in the cookies."""

    def __init__(self, owners: Owners, cookie: ExtensionCookie) -> None:
        self._owners = owners
        self._cookie = cookie

    def remember(self, login: PendingLogin) -> None:
        """Let this browser prove that it has finished this login."""
        # Handling a reload is a convenience, so the cookie stays small.
        is_short = len(login.next_url or "") <= MAX_REMEMBERED_LENGTH
        proof = digest(f"{digest(login.state)} {login.binding}")
        self._cookie.write(f"{proof}{(login.next_url if is_short else None) or ''}")

    def find(self, state: str) -> FinishedLogin | None:
        """Return the login with this state if this browser finished it last, as this user.

        Only the browser vouches for the address: check it.
        """
        remembered = self._cookie.read()
        if remembered is None:
            return None
        state_digest = digest(state)
        # An exception of the app's owner_loader must not show the state in its traceback.
        del state
        proof = digest(f"{state_digest} {binding_of(state_digest, self._owners.visitor())}")
        shown = remembered[:_PROOF_LENGTH].encode(errors="replace")
        if not hmac.compare_digest(proof.encode(), shown):
            return None
        return FinishedLogin(remembered[_PROOF_LENGTH:] or None)
