"""The default storage: the ciphertext is in the visitor's own browser, in our own cookie.

The cookie is written when a key is connected, disconnected or rejected, and at no other time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from ..web import ExtensionCookie, RequestState, can_change_response, request_state
from . import BROWSER as BROWSER

#: The name of the second cookie, after that of the first: what replaces the first one's value.
_REPLACEMENT: Final = "~replaced"


class CookieStorage:
    """Keeps the ciphertext in the visitor's browser. The default: nothing to set up.

    Works inside a request only, and only for the visitor of that request.

    :meth:`add`, :meth:`replace` and :meth:`delete_if` write a second cookie, which counts only
    beside the value that it replaces. So a slow request that sets the old key aside, hands it over
    or deletes it neither touches the one that another request has connected meanwhile, nor brings
    back one that it has disconnected, though the browser keeps what arrives last.

    ``make_space`` is called after each write: all our cookies together have a limit.
    """

    #: Bound into the ciphertext: a row of a stolen database must not open as a cookie.
    purpose: Final = "api_key in cookie"

    def __init__(
        self, cookie: ExtensionCookie, make_space: Callable[[], object] = lambda: None
    ) -> None:
        self._cookie = cookie
        self._make_space = make_space

    def get(self, owner_id: str) -> str | None:
        """Return the ciphertext if this browser holds one for this owner."""
        start = f"{_tag(owner_id)}."
        value = self._value()
        return value[len(start) :] if value.startswith(start) else None

    def set(self, owner_id: str, ciphertext: str) -> None:
        """Put the ciphertext into the cookie. Raises RuntimeError when none can be sent."""
        self._write(f"{_tag(owner_id)}.{ciphertext}")

    def add(self, owner_id: str, ciphertext: str) -> bool:
        """Put the ciphertext in the place of what another owner has, unless this one has any.

        Return whether it did. Raises RuntimeError when no cookie can be sent.
        """
        if self.get(owner_id) is not None:
            return False
        value = f"{_tag(owner_id)}.{ciphertext}"
        if self._value():
            self._supersede(value)
        else:
            self._write(value)
        return True

    def replace(self, owner_id: str, ciphertext: str, new_ciphertext: str) -> bool:
        """Put ``new_ciphertext`` in the place of ``ciphertext`` if this request holds that.

        Return whether it did. Raises RuntimeError when no cookie can be sent.
        """
        is_stored = self.get(owner_id) == ciphertext
        if is_stored:
            self._supersede(f"{_tag(owner_id)}.{new_ciphertext}")
        return is_stored

    def delete(self, owner_id: str) -> None:
        """Delete the cookie if it is this owner's. Raises RuntimeError when none can be sent."""
        _require_open_response()
        # Or the entry was deleted by delete_if, which leaves the cookie.
        is_left = (self._cookie.read() or "").startswith(f"{_tag(owner_id)}.")
        if is_left or self.get(owner_id) is not None:
            self._write("")

    def delete_if(self, owner_id: str, ciphertext: str) -> bool:
        """Delete the entry if this request holds ``ciphertext``; return whether it did.

        The cookie stays, but counts no more. Raises RuntimeError when no cookie can be sent.
        """
        is_stored = self.get(owner_id) == ciphertext
        if is_stored:
            self._supersede("")
        return is_stored

    def browser_id(self) -> str | None:
        """Return the id that this browser claims. Only a ciphertext that opens proves it."""
        tag = self._value().partition(".")[0]
        return tag if len(tag) > 1 and not tag.startswith("~") else None

    def _value(self) -> str:
        try:
            state = request_state()
        except RuntimeError:
            return ""
        if state.stored is None:
            state.stored = self._read(state)
        return state.stored

    def _read(self, state: RequestState) -> str:
        value = self._cookie.read(state=state) or ""
        replacement = value and self._cookie.read(_REPLACEMENT, state)
        if not replacement:
            return value
        mark, _, newer = replacement.partition(".")
        return newer if mark == _mark(value) else value

    def _supersede(self, newer: str) -> None:
        _require_open_response()
        self._cookie.write(f"{_mark(self._cookie.read() or '')}.{newer}", _REPLACEMENT)
        self._make_space()

    def _write(self, value: str) -> None:
        _require_open_response()
        self._cookie.write(value)
        if self._cookie.read(_REPLACEMENT) is not None:
            self._cookie.write("", _REPLACEMENT)
        self._make_space()


def _mark(value: str) -> str:
    """Return what tells one value of the cookie from another."""
    return hashlib.sha256(value.encode(errors="replace")).hexdigest()[:16]


def _require_open_response() -> None:
    if not can_change_response():
        raise RuntimeError(
            "A key in the visitor's cookie is stored and deleted with the answer to a request: do"
            " it in the view, before the answer begins."
        )


def _tag(owner_id: str) -> str:
    # Identifies the owner without a name: users of the app share browsers.
    if owner_id.startswith(BROWSER):
        return owner_id[len(BROWSER) :]
    return "~" + hashlib.sha256(owner_id.encode(errors="replace")).hexdigest()[:12]
