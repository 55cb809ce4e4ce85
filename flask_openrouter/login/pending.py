"""Logins under way: started in one browser, and ended by its callback.

They are in the visitor's own cookies, so each is bound to the browser, and an anonymous login
leaves nothing on the server (RFC 9700 §2.1 and §4.7.1).
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from ..client.credentials import Unpicklable, create_code_verifier
from ..errors import StateMismatchError
from .cookies import Login, LoginCookies, digest, part_of, part_of_digest
from .owner import Owners

#: A state as we make them: base64url of 16 bytes, which cannot be guessed (RFC 6749 §10.10).
_STATE: Final = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True, slots=True)
class AuthorizationRequest(Unpicklable):
    """What a login sends to OpenRouter, and keeps for its callback (RFC 6749 §4.1.1, RFC 7636)."""

    state: str = field(repr=False)
    code_verifier: str = field(repr=False)


class PendingLogins:
    """The logins that browsers have under way. One per app; their state is in the cookies.

    ``clock``: returns Unix time in seconds.
    """

    def __init__(
        self, owners: Owners, cookies: LoginCookies, *, clock: Callable[[], float]
    ) -> None:
        self._owners = owners
        self._cookies = cookies
        self._clock = clock

    def start(
        self, *, next_url: str | None, is_cross_site: bool, is_popup: bool = False
    ) -> AuthorizationRequest:
        """Give this browser a new login.

        Raises :class:`KeyStorageError` for an app user whose id cannot own a key.
        """
        # Before there is a state: the traceback of an exception in the app's owner_loader must not
        # show one.
        user_id = self._owners.app_user()
        asked = AuthorizationRequest(secrets.token_urlsafe(16), create_code_verifier())
        state_digest = digest(asked.state)
        login = Login(
            part=part_of_digest(state_digest),
            binding=_binding_of(state_digest, user_id),
            code_verifier=asked.code_verifier,
            issued_at=int(self._clock()),
            next_url=next_url,
            is_cross_site=is_cross_site,
            is_popup=is_popup,
            is_of_user=user_id is not None,
        )
        self._cookies.delete_stale()
        self._cookies.write(login)
        return asked

    def find(self, state: str) -> Login:
        """Return the login of this browser with this state: open, over, or too old.

        Raises :class:`StateMismatchError` if there is none.
        """
        login = self._cookies.read(part_of(state)) if _STATE.fullmatch(state) else None
        # An error report must not show it in this frame.
        del state
        if login is None:
            raise StateMismatchError("No login of this browser waits for this.", reason="unknown")
        return login

    def check_age(self, login: Login) -> None:
        """Check that the login did not take too long, which raises :class:`StateMismatchError`."""
        if not self._cookies.is_fresh(login):
            raise StateMismatchError("This login took too long.", reason="expired")

    def lacks_session(self, login: Login) -> bool:
        """Whether the user who started this login may be signed in all the same.

        A session that is SameSite=Strict does not come with a visitor whom another site sent back
        (RFC 6265bis §5.2). It does when they repeat the visit from a page of this site.
        """
        return login.is_of_user and not login.is_repeated and self._owners.app_user() is None

    def repeat(self, login: Login) -> None:
        """Note that the visitor repeats the callback of this login from a page of this site."""
        self._cookies.write(replace(login, is_repeated=True))

    def check_user(self, login: Login, state: str) -> None:
        """Check that the user of this request started the login.

        Raises :class:`StateMismatchError` if it was another one, or if they are signed out.
        """
        state_digest = digest(state)
        # The traceback of an exception in the app's owner_loader must not show it.
        del state
        user_id = self._owners.app_user()
        if hmac.compare_digest(login.binding, _binding_of(state_digest, user_id)):
            return
        if login.is_of_user and user_id is None:
            raise StateMismatchError("Its user is signed out.", reason="signed_out")
        raise StateMismatchError("Somebody else started this login.", reason="foreign")

    def finish(self, login: Login) -> None:
        """Note in this browser that the login ended with a key."""
        self._end(login, None)

    def fail(self, login: Login, problem: str) -> None:
        """Note in this browser that the login ended with this problem."""
        self._end(login, problem)

    def _end(self, login: Login, problem: str | None) -> None:
        now = int(self._clock())
        self._cookies.write(replace(login, code_verifier=None, issued_at=now, problem=problem))

    def take_popup(self, next_url: str | None) -> bool:
        """Whether this browser has just finished a login in a popup that leads to ``next_url``.

        True once for each login.
        """
        for login in self._cookies.all():
            if login.is_finished and login.is_popup and login.next_url == next_url:
                self._cookies.write(replace(login, is_popup=False))
                return True
        return False

    def finish_saved(self) -> None:
        """Note in this browser that the key of its last login is saved after all."""
        unsaved = [login for login in self._cookies.all() if login.problem == "not_saved"]
        if unsaved:
            self.finish(max(unsaved, key=lambda login: login.issued_at))


def _binding_of(state_digest: str, user_id: str | None) -> str:
    user = "nobody" if user_id is None else f"user {user_id}"
    return digest(f"{state_digest} {user}")
