"""Logins that are under way: kept in this browser's signed session, taken out once.

The session is the visitor's own cookie, so what it holds is bound to the browser, and an anonymous
login leaves nothing on the server (RFC 9700 §2.1 and §4.7.1).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import re
import secrets
from dataclasses import dataclass, field, replace
from typing import Any, Final

from flask import session
from flask.sessions import SecureCookieSessionInterface

from .callbacks import call
from .client.credentials import Unpicklable
from .client.pkce import create_code_verifier
from .current import this_app
from .errors import StateMismatchError
from .services import Services

logger: Final = logging.getLogger("flask_openrouter")

SESSION_KEY: Final = "_openrouter"
#: Logins that one browser may have open at once, in as many tabs.
MAX_PENDING: Final = 8
#: How far the clocks of several machines may disagree, in seconds.
MAX_CLOCK_SKEW: Final = 60
#: Browsers drop a cookie whose name and value are longer, in bytes (RFC 6265 §6.1).
_MAX_COOKIE: Final = 4093
#: What fits whatever the name, domain and path of the session cookie are.
_FITS_ANYWHERE: Final = 2048
#: A state as we make them: base64url of 16 bytes, more than anybody can guess (RFC 6749 §10.10).
_STATE: Final = re.compile(r"[A-Za-z0-9_-]{22}")
#: A login as the session holds it, where bytes count: state, code_verifier, issued_at, binding;
#: then a mark for each thing that is so, and where to go afterwards.
_ENTRY: Final = re.compile(
    r"([A-Za-z0-9_-]{22})([A-Za-z0-9_-]{43})([0-9a-f]{8})([A-Za-z0-9_-]{8})(x?)(p?)(/.*)?", re.S
)
_BINDING_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class AuthorizationRequest(Unpicklable):
    """One login under way (RFC 6749 §4.1.1)."""

    state: str = field(repr=False)
    code_verifier: str = field(repr=False)
    #: Unix time in seconds.
    issued_at: int
    #: Ties the login to the app's user and the base URL at its start.
    binding: str
    #: Where to go afterwards, or None.
    next_url: str | None
    #: Whether another site sent the visitor here. Such logins make room for the others.
    is_cross_site: bool
    #: Whether the login runs in a window of its own, which closes at the end.
    is_popup: bool

    @classmethod
    def from_session(cls, value: object) -> AuthorizationRequest | None:
        """Read one entry of the session; None for what this version did not write."""
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


def start_authorization(
    services: Services, *, next_url: str | None, is_cross_site: bool, is_popup: bool = False
) -> AuthorizationRequest:
    """Put a new login into this browser's session and return it."""
    # First: what the app raises when it is asked for its user shows no state in its traceback.
    visitor = visitor_of(services)
    state = secrets.token_urlsafe(16)
    request = AuthorizationRequest(
        state=state,
        code_verifier=create_code_verifier(),
        issued_at=int(services.clock()),
        binding=binding_of(digest(state), visitor),
        next_url=next_url,
        is_cross_site=is_cross_site,
        is_popup=is_popup,
    )
    pending = [entry for entry in _pending() if _is_fresh(services, entry)]
    pending.append(request)
    while len(pending) > MAX_PENDING:
        pending.remove(_least_wanted(pending))
    _store(pending)
    while _session_is_too_big():
        unwanted = _least_wanted(pending)
        if unwanted is pending[-1] and unwanted.next_url is not None:
            pending[-1] = replace(unwanted, next_url=None)
        elif len(pending) > 1:
            pending.remove(unwanted)
        else:
            logger.warning(
                "The session cookie is too big for browsers even without this login: they will drop"
                " it, and the login cannot be finished. Keep less in flask.session."
            )
            break
        _store(pending)
    return request


def authorization_url(
    services: Services, request: AuthorizationRequest, callback_url: str | None
) -> str:
    """Return the address at OpenRouter for this login; without callback URL it is headless.

    Raises ValueError when the app's ``key_options`` are wrong.
    """
    settings = services.settings
    options: dict[str, Any] = {"limit": settings.key_limit, "key_label": settings.key_label}
    if services.callbacks.key_options is not None:
        options |= call(services.callbacks.key_options) or {}
    if len(options) > 2:
        raise ValueError("key_options returns limit and key_label, nothing else.")
    return services.client.authorization_url(
        callback_url,
        services.client.create_code_challenge(request.code_verifier),
        "S256",
        state=None if callback_url is None else request.state,
        **options,
    )


def find_authorization(services: Services, state: str) -> AuthorizationRequest:
    """Return the login of this browser with this state, without taking it out.

    Raises :class:`StateMismatchError` if there is none, it is too old, or it was started by another
    user of the app or against another base URL.
    """
    found = None
    if _STATE.fullmatch(state):
        for entry in _pending():
            if hmac.compare_digest(entry.state, state):
                found = entry
    # What the app raises when it is asked for its user shows no state in its traceback.
    del state
    if found is None:
        raise StateMismatchError("No login of this browser waits for this.", reason="unknown")
    if not _is_fresh(services, found):
        raise StateMismatchError("This login took too long.", reason="expired")
    binding = binding_of(digest(found.state), visitor_of(services))
    if not hmac.compare_digest(found.binding, binding):
        raise StateMismatchError("Somebody else started this login.", reason="foreign")
    return found


def take_authorization(services: Services, request: AuthorizationRequest) -> None:
    """Take the login out of the session, before its code is used.

    Raises :class:`StateMismatchError` when another request took it already.
    """
    _store([entry for entry in _pending() if entry.state != request.state])
    if not services.spent_states.claim(digest(request.state), services.clock()):
        raise StateMismatchError("This login has been finished already.", reason="unknown")


def _pending() -> list[AuthorizationRequest]:
    values = session.get(SESSION_KEY)
    if not isinstance(values, list):
        return []
    return [entry for value in values if (entry := AuthorizationRequest.from_session(value))]


def _store(pending: list[AuthorizationRequest]) -> None:
    if pending:
        session[SESSION_KEY] = [entry.to_session() for entry in pending]
    else:
        session.pop(SESSION_KEY, None)


def _least_wanted(pending: list[AuthorizationRequest]) -> AuthorizationRequest:
    # The oldest; but first those that another site may have forced on the visitor, so that these
    # never push out one that the visitor wanted.
    return next((entry for entry in pending if entry.is_cross_site), pending[0])


def _is_fresh(services: Services, request: AuthorizationRequest) -> bool:
    age = services.clock() - request.issued_at
    return -MAX_CLOCK_SKEW <= age <= services.settings.login_max_age


def visitor_of(services: Services) -> str:
    """Return what a login is bound to: the app's user of this request, and the base URL."""
    user_id = services.owners.app_user()
    owner = "nobody" if user_id is None else f"user {user_id}"
    return f"{services.settings.base_url} {owner}"


def binding_of(mark: str, visitor: str) -> str:
    """Return what ties a login to a visitor.

    ``mark``: the digest of its state. With it, nobody can look in advance for a user name that has
    the same binding as another.
    """
    return digest(f"{mark} {visitor}")[:_BINDING_LENGTH]


def digest(text: str) -> str:
    """Return 96 bits that stand for this text, in 16 characters: cookies are small."""
    sha256 = hashlib.sha256(text.encode(errors="replace")).digest()
    return base64.urlsafe_b64encode(sha256[:12]).decode()


def _session_is_too_big() -> bool:
    app = this_app()
    interface = app.session_interface
    if not isinstance(interface, SecureCookieSessionInterface):
        return False
    content = dict(session)
    # Cheap and never too low: signing the session twice for every login would cost more.
    most = len(ascii(content)) * 4 // 3 + 100
    if most < _FITS_ANYWHERE:
        return False
    attributes = (interface.get_cookie_domain(app), interface.get_cookie_path(app))
    name = interface.get_cookie_name(app)
    room = _MAX_COOKIE - len(name) - sum(len(text or "") for text in attributes) - 160
    if most < room:
        return False
    serializer = interface.get_signing_serializer(app)
    return serializer is not None and len(serializer.dumps(content)) > room
