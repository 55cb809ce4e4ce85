"""The extension's own cookie, and the default back end that keeps the ciphertext in it.

Not Flask's session: a slow request that saves the session late would erase a key that was stored
meanwhile, or bring back one that was deleted. This cookie is written on connect and disconnect
only.
"""

from __future__ import annotations

import hashlib
from typing import Final

from flask import Response
from werkzeug.http import dump_cookie

from ..answer import finish_with, is_open
from ..caching import vary_by_cookie
from ..current import kept_with_request, this_app, this_request

#: Prefix of the owner ids of visitors whom the app does not know: ``"browser:"`` and a random id.
BROWSER: Final = "browser:"


class ExtensionCookie:
    """One small cookie: HttpOnly, SameSite=Lax, host-only, and ``__Host-`` with Secure on https.

    ``max_age`` in seconds; ``suffix`` tells one cookie of the extension from another;
    ``is_secure``: whether visitors use https, whatever the requests say.
    """

    def __init__(self, max_age: int, *, suffix: str = "", is_secure: bool = False) -> None:
        self._max_age = max_age
        self._is_always_secure = is_secure
        self._name = f"openrouter{suffix}"
        self._value_key = f"_openrouter_cookie{suffix}"

    @property
    def name(self) -> str:
        """The name on https or on http (RFC 6265bis §4.1.3.2 for the prefix)."""
        return f"__Host-{self._name}" if self._is_secure() else self._name

    def read(self) -> str | None:
        """Return the value, as this request has set it or else as the browser sent it."""
        try:
            kept = kept_with_request()
        except RuntimeError:
            return None
        value: str | None = kept.get(self._value_key)
        if value is None:
            value = kept[self._value_key] = this_request().cookies.get(self.name, "")
        return value or None

    def write(self, value: str) -> None:
        """Send this value with the response; ``""`` deletes the cookie."""
        kept_with_request()[self._value_key] = value
        finish_with(self._send)

    def _send(self, response: Response) -> None:
        name, value = self.name, kept_with_request()[self._value_key]
        cookie = dump_cookie(
            name,
            value,
            max_age=self._max_age if value else 0,
            # Every browser of today obeys Max-Age, and bytes count: no Expires besides.
            sync_expires=False,
            max_size=response.max_cookie_size,
            secure=self._is_secure(),
            httponly=True,
            samesite="Lax",
        )
        # It is sent twice, before and after the app's hooks, which may have changed the value.
        cookies = response.headers.getlist("Set-Cookie")
        others = [line for line in cookies if not line.startswith(f"{name}=")]
        response.headers.setlist("Set-Cookie", [*others, cookie])
        vary_by_cookie(response)

    def _is_secure(self) -> bool:
        # Behind a proxy that speaks https for the app, the app may know it from its settings only.
        return (
            self._is_always_secure
            or this_request().is_secure
            or bool(this_app().config["SESSION_COOKIE_SECURE"])
        )


class CookieStorage:
    """Keeps the ciphertext in the visitor's browser. The default: nothing to set up.

    Works inside a request only, for the visitor of that request: nobody else's key is there.
    """

    #: Bound into the ciphertext: a row of a stolen database must not open as somebody's cookie.
    purpose: Final = "api_key in cookie"

    def __init__(self, cookie: ExtensionCookie) -> None:
        self._cookie = cookie

    def get(self, owner_id: str) -> str | None:
        """Return the ciphertext if this browser holds one for this owner."""
        tag, _, ciphertext = (self._cookie.read() or "").partition(".")
        return ciphertext if tag == _tag(owner_id) else None

    def set(self, owner_id: str, ciphertext: str) -> None:
        """Put the ciphertext into the cookie. Raises RuntimeError when none can be sent."""
        _require_answer()
        self._cookie.write(f"{_tag(owner_id)}.{ciphertext}")

    def delete(self, owner_id: str) -> None:
        """Delete the cookie if it is this owner's. Raises RuntimeError when none can be sent."""
        _require_answer()
        if self.get(owner_id) is not None:
            self._cookie.write("")

    def browser_id(self) -> str | None:
        """Return the id of an unknown visitor's browser. Only what opens with it proves it."""
        tag = (self._cookie.read() or "").partition(".")[0]
        return tag if len(tag) > 1 and not tag.startswith("~") else None


def _require_answer() -> None:
    if not is_open():
        raise RuntimeError(
            "A key in the visitor's cookie is stored and deleted with the answer to a request: do"
            " it in the view, before the answer begins."
        )


def _tag(owner_id: str) -> str:
    # Tells whose the cookie is without telling the name: users of the app share browsers.
    if owner_id.startswith(BROWSER):
        return owner_id[len(BROWSER) :]
    return "~" + hashlib.sha256(owner_id.encode(errors="replace")).hexdigest()[:12]
