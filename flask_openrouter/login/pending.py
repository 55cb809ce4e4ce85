"""Logins under way: stored in this browser's signed session, and taken out once.

The session is the visitor's own cookie, so its content is bound to the browser, and an anonymous
login leaves nothing on the server (RFC 9700 §2.1 and §4.7.1).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from flask import session
from flask.sessions import SecureCookieSessionInterface

from ..client.credentials import Unpicklable
from ..client.pkce import create_code_verifier
from ..errors import StateMismatchError
from ..web import this_app
from .owner import Owners
from .spent import SpentStates

logger: Final = logging.getLogger("flask_openrouter")

SESSION_KEY: Final = "_openrouter"
#: Logins that one browser may have open at once, in as many tabs.
MAX_PENDING: Final = 8
#: Seconds by which the clocks of several machines may differ.
MAX_CLOCK_SKEW: Final = 60
#: Browsers drop a cookie whose name and value are longer, in bytes (RFC 6265 §6.1).
MAX_COOKIE: Final = 4093
#: A session of this size fits whatever the name, domain and path of its cookie are.
_FITS_ANYWHERE: Final = 2048
#: A state as we make them: base64url of 16 bytes, which cannot be guessed (RFC 6749 §10.10).
_STATE: Final = re.compile(r"[A-Za-z0-9_-]{22}")
#: A login in the session, where bytes count: state, code_verifier, issued_at, binding, one mark for
#: each property that is true, and the address to go to afterwards.
_ENTRY: Final = re.compile(
    r"([A-Za-z0-9_-]{22})([A-Za-z0-9_-]{43})([0-9a-f]{8})([A-Za-z0-9_-]{8})(x?)(p?)(/.*)?", re.S
)
_BINDING_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class PendingLogin(Unpicklable):
    """One login under way: its authorization request (RFC 6749 §4.1.1) and where it leads."""

    state: str = field(repr=False)
    code_verifier: str = field(repr=False)
    #: Unix time in seconds.
    issued_at: int
    #: Ties the login to the app's user and the base URL at its start.
    binding: str
    #: The address to go to afterwards, or None.
    next_url: str | None
    #: Whether another site sent the visitor here. Such logins are dropped first.
    is_cross_site: bool
    #: Whether the login runs in a window of its own, which closes at the end.
    is_popup: bool

    @classmethod
    def from_session(cls, value: object) -> PendingLogin | None:
        """Read one entry of the session; None for anything that this version did not write."""
        entry = _ENTRY.fullmatch(value) if isinstance(value, str) else None
        if entry is None:
            return None
        state, code_verifier, issued_at, binding, is_cross_site, is_popup, next_url = entry.groups()
        return cls(
            state=state,
            code_verifier=code_verifier,
            issued_at=int(issued_at, 16),
            binding=binding,
            next_url=next_url,
            is_cross_site=bool(is_cross_site),
            is_popup=bool(is_popup),
        )

    def to_session(self) -> str:
        """Return the entry of the session for this login."""
        marks = ("x" if self.is_cross_site else "") + ("p" if self.is_popup else "")
        return (
            f"{self.state}{self.code_verifier}{self.issued_at:08x}{self.binding}{marks}"
            f"{self.next_url or ''}"
        )


class PendingLogins:
    """The logins that browsers have under way. One per app; their state is in the sessions.

    ``max_age``: seconds that a login may take. ``clock``: returns Unix time in seconds.
    """

    def __init__(
        self, owners: Owners, spent: SpentStates, *, max_age: int, clock: Callable[[], float]
    ) -> None:
        self._owners = owners
        self._spent = spent
        self._max_age = max_age
        self._clock = clock

    def start(
        self, *, next_url: str | None, is_cross_site: bool, is_popup: bool = False
    ) -> PendingLogin:
        """Put a new login into this browser's session and return it.

        Raises :class:`KeyStorageError` for an app user whose id cannot own a key.
        """
        # Before there is a state: an exception of the app's owner_loader must not show one in its
        # traceback.
        visitor = self._owners.visitor()
        state = secrets.token_urlsafe(16)
        login = PendingLogin(
            state=state,
            code_verifier=create_code_verifier(),
            issued_at=int(self._clock()),
            binding=binding_of(digest(state), visitor),
            next_url=next_url,
            is_cross_site=is_cross_site,
            is_popup=is_popup,
        )
        pending = [entry for entry in _read_session() if self._is_fresh(entry)]
        pending.append(login)
        while len(pending) > MAX_PENDING:
            pending.remove(_least_wanted(pending))
        _write_session(pending)
        while _session_is_too_big():
            unwanted = _least_wanted(pending)
            if unwanted is pending[-1] and unwanted.next_url is not None:
                pending[-1] = replace(unwanted, next_url=None)
            elif len(pending) > 1:
                pending.remove(unwanted)
            else:
                logger.warning(
                    "The session cookie is too big for browsers even without this login: they will"
                    " drop it, and the login cannot be finished. Keep less in flask.session."
                )
                break
            _write_session(pending)
        return login

    def find(self, state: str) -> PendingLogin:
        """Return the login of this browser with this state, without taking it out.

        Raises :class:`StateMismatchError` if there is none, it is too old, or it was started by
        another user of the app or against another base URL.
        """
        found = None
        if _STATE.fullmatch(state):
            for entry in _read_session():
                if hmac.compare_digest(entry.state, state):
                    found = entry
        # An exception of the app's owner_loader must not show the state in its traceback.
        del state
        if found is None:
            raise StateMismatchError("No login of this browser waits for this.", reason="unknown")
        if not self._is_fresh(found):
            raise StateMismatchError("This login took too long.", reason="expired")
        binding = binding_of(digest(found.state), self._owners.visitor())
        if not hmac.compare_digest(found.binding, binding):
            raise StateMismatchError("Somebody else started this login.", reason="foreign")
        return found

    def take(self, login: PendingLogin) -> None:
        """Take the login out of the session, before its code is used.

        Raises :class:`StateMismatchError` when another request has taken it already.
        """
        _write_session([entry for entry in _read_session() if entry.state != login.state])
        if not self._spent.claim(digest(login.state), self._clock()):
            raise StateMismatchError("This login has been finished already.", reason="unknown")

    def _is_fresh(self, login: PendingLogin) -> bool:
        return -MAX_CLOCK_SKEW <= self._clock() - login.issued_at <= self._max_age


def _read_session() -> list[PendingLogin]:
    values = session.get(SESSION_KEY)
    if not isinstance(values, list):
        return []
    return [entry for value in values if (entry := PendingLogin.from_session(value))]


def _write_session(pending: list[PendingLogin]) -> None:
    if pending:
        session[SESSION_KEY] = [entry.to_session() for entry in pending]
    else:
        session.pop(SESSION_KEY, None)


def _least_wanted(pending: list[PendingLogin]) -> PendingLogin:
    # The oldest one that another site may have forced on the visitor, so that such logins never
    # push out one that the visitor wanted; else the oldest.
    return next((entry for entry in pending if entry.is_cross_site), pending[0])


def _session_is_too_big() -> bool:
    app = this_app()
    interface = app.session_interface
    if not isinstance(interface, SecureCookieSessionInterface):
        return False
    content = dict(session)
    # Never too low, and cheaper than to sign the session twice for every login: base64 makes four
    # characters of three bytes; time-stamp and signature need less than 100.
    most = len(ascii(content)) * 4 // 3 + 100
    if most < _FITS_ANYWHERE:
        return False
    attributes = (interface.get_cookie_domain(app), interface.get_cookie_path(app))
    name = interface.get_cookie_name(app)
    # The attributes that every session cookie has need less than 160.
    limit = MAX_COOKIE - len(name) - sum(len(text or "") for text in attributes) - 160
    if most < limit:
        return False
    serializer = interface.get_signing_serializer(app)
    return serializer is not None and len(serializer.dumps(content)) > limit


def binding_of(state_digest: str, visitor: str) -> str:
    """Return what ties a login to a visitor.

    ``state_digest``: the digest of the login's state. It keeps an attacker from searching in
    advance for a user name that has the same binding as another.
    """
    return digest(f"{state_digest} {visitor}")[:_BINDING_LENGTH]


def digest(text: str) -> str:
    """Return 96 bits that stand for this text, in 16 characters: cookies are small."""
    sha256 = hashlib.sha256(text.encode(errors="replace")).digest()
    return base64.urlsafe_b64encode(sha256[:12]).decode()
