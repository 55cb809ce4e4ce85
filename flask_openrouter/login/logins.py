"""Logins: those that a browser has under way, and those that this process finishes.

The first are in the visitor's own cookies, so each is bound to the browser, and an anonymous login
leaves nothing on the server (RFC 9700 §2.1 and §4.7.1). The second make sure that each code is sent
once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ..client.credentials import Unpicklable, create_code_verifier, hash_of_key
from ..errors import StateMismatchError

if TYPE_CHECKING:
    from .callback import Callback
    from .cookies import LoginCookies
    from .owner import Owners

#: A state as we make them: base64url of 16 bytes, which cannot be guessed (RFC 6749 §10.10).
_STATE: Final = re.compile(r"[A-Za-z0-9_-]{22}")
#: Callbacks of one login that may wait for its end, each in a thread of the server.
MAX_WAITING: Final = 2


# Not frozen, which takes several times as long to make. Nothing changes it.
@dataclass(slots=True)
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
    is_cross_site: bool
    #: Whether the login runs in a window of its own, which closes at the end.
    is_popup: bool
    #: Whether a user of the app was signed in when it started.
    is_of_user: bool
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


#: Shared, because many endings are remembered.
_NO_COOKIES: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of one login."""

    #: The code of the problem that the visitor saw, or None if the key was stored.
    problem: str | None
    #: The owner of the key, if it was stored.
    owner_id: str = ""
    #: What stands for the key, if this process has stored it.
    key_mark: str | None = None
    #: The ``Set-Cookie`` lines of the response, by name. Empty for those who did not wait.
    cookies: Mapping[str, str] = field(default_factory=lambda: _NO_COOKIES, repr=False)


class Exchange:
    """One login that this process finishes. The callback that begins it calls :meth:`end`.

    ``changed``: for the logins of one app; its waiters are woken when one of these ends.
    """

    __slots__ = ("_changed", "_ending", "_waiting", "code_digest", "expires_at")

    def __init__(self, code_digest: str, expires_at: float, changed: threading.Condition) -> None:
        self.code_digest: str = code_digest
        #: Unix time in seconds.
        self.expires_at: float = expires_at
        self._ending: Ending | None = None
        self._waiting = 0
        self._changed = changed

    def end(self, ending: Ending) -> None:
        """Tell the callbacks that wait. The cookies are forgotten with the last of them."""
        with self._changed:
            self._ending = ending if self._waiting else replace(ending, cookies=_NO_COOKIES)
            self._changed.notify_all()

    def wait(self, seconds: float) -> Ending | None:
        """Return the ending; None if it takes longer than that, or enough callbacks wait."""
        with self._changed:
            if self._ending is None and self._waiting < MAX_WAITING:
                self._waiting += 1
                self._changed.wait_for(lambda: self._ending is not None, seconds)
                self._waiting -= 1
                if (ending := self._ending) is not None and not self._waiting:
                    self._ending = replace(ending, cookies=_NO_COOKIES)
                return ending
            return self._ending


class FinishedLogins:
    """The logins that this process finishes, or has finished lately. One per app.

    A callback may come twice: from a service worker, by a double click, or again because its
    response was lost. Other workers do not know of these logins, and a restart forgets them.
    OpenRouter's own check is behind this one: it takes each code once.

    Stores about 500 bytes for each, for ``max_age`` seconds and ``most`` of them. ``clock``:
    returns Unix time in seconds.
    """

    def __init__(self, *, max_age: int, clock: Callable[[], float], most: int = 100_000) -> None:
        self._max_age = max_age
        self._clock = clock
        self._most = most
        self._exchanges: dict[str, Exchange] = {}
        # One for all: each would cost a kilobyte.
        self._changed = threading.Condition()

    def begin(self, state_digest: str, code_digest: str) -> tuple[Exchange, bool]:
        """Return the exchange of this login, and whether this callback is the one that makes it.

        The digests are those of :class:`Callback`. Raises :class:`StateMismatchError` when the
        login was finished with another code.
        """
        now = self._clock()
        with self._changed:
            exchange = self._exchanges.get(state_digest)
            if exchange is not None and exchange.expires_at > now:
                if hmac.compare_digest(exchange.code_digest, code_digest):
                    return exchange, False
                raise StateMismatchError("This login has been finished.", reason="unknown")
            self._exchanges.pop(state_digest, None)
            while self._exchanges:
                oldest = next(iter(self._exchanges))
                is_old = self._exchanges[oldest].expires_at <= now
                if not is_old and len(self._exchanges) < self._most:
                    break
                del self._exchanges[oldest]
            exchange = Exchange(code_digest, now + self._max_age, self._changed)
            self._exchanges[state_digest] = exchange
            return exchange, True


def mark_of_key(owner_id: str, api_key: str) -> str:
    """Return what stands for the key of this owner, in 16 characters."""
    return digest(f"{owner_id} {hash_of_key(api_key)}")


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
