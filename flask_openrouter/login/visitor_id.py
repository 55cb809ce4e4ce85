"""Ids by which an app counts what its visitors do: of a user, or else of a browser.

They are not the owners of keys: a browser has another owner with each login. They prove nothing
about a person, because a browser that deletes its cookie gets another one.
"""

from __future__ import annotations

import secrets
from typing import Final

from ..web import ExtensionCookie, can_change_response
from .cookies import CookieSigner, LoginCookies
from .owner import Owners

#: Seconds that a browser keeps its id: 31 days from its first use.
MAX_AGE: Final = 31 * 24 * 3600
#: The end of the name of the cookie. No namespace has a tilde.
COOKIE_SUFFIX: Final = "~visitor"
#: Bytes of an id: 128 bits, which are 22 characters of base64.
_ID_BYTES: Final = 16
_ID_LENGTH: Final = 22


class VisitorIds:
    """Finds the id of this request's visitor. One per app; the state is in the cookies.

    ``secret_keys``: newest first. ``purpose``: separates apps that share a key.
    """

    def __init__(
        self,
        cookie: ExtensionCookie,
        secret_keys: tuple[bytes, ...],
        owners: Owners,
        login_cookies: LoginCookies,
        *,
        purpose: str,
    ) -> None:
        self._cookie = cookie
        self._owners = owners
        self._login_cookies = login_cookies
        self._signer = CookieSigner(secret_keys, f"flask_openrouter visitor v1 {purpose}".encode())
        # The oldest key: all workers have it while a new SECRET_KEY is rolled out.
        self._user_signer = CookieSigner(
            secret_keys[-1:], f"flask_openrouter visitor of user v1 {purpose}".encode()
        )

    def current(self) -> str:
        """Return the id of this visitor. A browser that has none yet gets a cookie.

        Raises RuntimeError if it is too late to send one, and what ``Owners.app_user`` raises.
        """
        user_id = self._owners.app_user()
        if user_id is not None:
            return self._user_signer.get_signature(user_id)[:_ID_LENGTH]
        return self._signer.read(self._cookie.read()) or self._new_id()

    def _new_id(self) -> str:
        if not can_change_response():
            raise RuntimeError(
                "A new visitor_id needs a cookie, and the response has begun already. Read"
                " visitor_id in the view, before it returns."
            )
        visitor_id = secrets.token_urlsafe(_ID_BYTES)
        self._cookie.write(self._signer.sign(visitor_id))
        # All our cookies together have a limit.
        self._login_cookies.trim()
        return visitor_id
