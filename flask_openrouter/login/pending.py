"""Logins under way: started in one browser, and ended by its callback.

They are in the visitor's own cookies, so each is bound to the browser, and an anonymous login
leaves nothing on the server (RFC 9700 §2.1 and §4.7.1).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from ..client.credentials import Unpicklable, create_code_verifier
from ..errors import StateMismatchError

if TYPE_CHECKING:
    from .callback import Callback
    from .cookies import LoginCookies
    from .owner import Owners

#: A state as we make them: base64url of 16 bytes, which cannot be guessed (RFC 6749 §10.10).
_STATE: Final = re.compile(r"[A-Za-z0-9_-]{22}")
#: The text in a cookie, where bytes count: binding, code_verifier while the login is open, a letter
#: for each property that is true, and the problem with which it ended or the address to go to.
_TEXT: Final = re.compile(
    r"([A-Za-z0-9_-]{16})([A-Za-z0-9_-]{43})?(x?)(p?)(u?)(r?)(?:!([a-z_]+))?(/.*)?", re.S
)


@dataclass(frozen=True, slots=True)
class Login(Unpicklable):
    """One login of this browser: its authorization request (RFC 6749 §4.1.1) and where it leads."""

    #: The end of the name of its cookie, made of the state.
    part: str
    #: Ties the login to its state, and to the app's user at its start.
    binding: str = field(repr=False)
    #: None when the login is over, so that its code can never be sent again.
    code_verifier: str | None = field(repr=False)
    #: Unix time in seconds.
    issued_at: int
    #: The address to go to afterwards, or None.
    next_url: str | None
    #: Whether another site sent the visitor here. Such logins are dropped first.
    is_cross_site: bool = False
    #: Whether the login runs in a window of its own, which closes at the end.
    is_popup: bool = False
    #: Whether a user of the app was signed in when it started.
    is_of_user: bool = False
    #: Whether its callback is repeated from a page of this site, with SameSite=Strict cookies.
    is_repeated: bool = False
    #: The code of the problem with which it ended, or None.
    problem: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether its code has not been used yet."""
        return self.code_verifier is not None

    @property
    def is_finished(self) -> bool:
        """Whether it ended with a key."""
        return self.code_verifier is None and self.problem is None

    def to_text(self) -> str:
        """Return what is written into the cookie, besides the time."""
        return "".join(
            (
                self.binding,
                self.code_verifier or "",
                "x" if self.is_cross_site else "",
                "p" if self.is_popup else "",
                "u" if self.is_of_user else "",
                "r" if self.is_repeated else "",
                f"!{self.problem}" if self.problem else "",
                self.next_url or "",
            )
        )

    @classmethod
    def from_text(cls, part: str, text: object, issued_at: int) -> Login | None:
        """Read what :meth:`to_text` wrote; None for anything that this version did not write."""
        fields = _TEXT.fullmatch(text) if isinstance(text, str) else None
        if fields is None:
            return None
        binding, code_verifier, cross_site, popup, user, repeated, problem, next_url = (
            fields.groups()
        )
        return cls(
            part=part,
            binding=binding,
            code_verifier=code_verifier,
            issued_at=issued_at,
            next_url=next_url,
            is_cross_site=bool(cross_site),
            is_popup=bool(popup),
            is_of_user=bool(user),
            is_repeated=bool(repeated),
            problem=problem,
        )


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

    def find(self, callback: Callback) -> Login:
        """Return the login of this browser that a callback belongs to: open, over, or too old.

        Raises :class:`StateMismatchError` if there is none.
        """
        is_well_formed = _STATE.fullmatch(callback.state) is not None
        part = part_of_digest(callback.state_digest)
        login = self._cookies.read(part) if is_well_formed else None
        if login is None:
            raise StateMismatchError("No login of this browser waits for this.", reason="unknown")
        return login

    def check_age(self, login: Login) -> None:
        """Check that the login did not take too long, which raises :class:`StateMismatchError`."""
        if not self._cookies.is_fresh(login):
            raise StateMismatchError("This login took too long.", reason="expired")

    def lacks_session(self, login: Login, user_id: str | None) -> bool:
        """Whether the user who started this login may be signed in all the same.

        ``user_id``: the user who is signed in, according to this request, or None. A session that
        is SameSite=Strict does not come with a visitor whom another site sent back (RFC 6265bis
        §5.2). It does when they repeat the visit from a page of this site.
        """
        return login.is_of_user and not login.is_repeated and user_id is None

    def repeat(self, login: Login) -> None:
        """Note that the visitor repeats the callback of this login from a page of this site."""
        self._cookies.write(replace(login, is_repeated=True))

    def check_user(self, login: Login, callback: Callback, user_id: str | None) -> None:
        """Check that the user of this request, or None, started the login.

        Raises :class:`StateMismatchError` if it was another one, or if they are signed out.
        """
        if hmac.compare_digest(login.binding, _binding_of(callback.state_digest, user_id)):
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


def part_of(state: str) -> str:
    """Return the end of the name of the cookie for the login with this state."""
    return part_of_digest(digest(state))


def part_of_digest(state_digest: str) -> str:
    """Return the same as :func:`part_of`, for a state whose digest is known."""
    return f".{state_digest[:8]}"


def digest(text: str) -> str:
    """Return 96 bits that stand for this text, in 16 characters: cookies are small."""
    sha256 = hashlib.sha256(text.encode(errors="replace")).digest()
    return base64.urlsafe_b64encode(sha256[:12]).decode()
