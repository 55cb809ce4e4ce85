"""The owner of a key: the app's own user, or else this browser.

=====================  =======================  ========================================
owner                  owner id                 proof, with each request
=====================  =======================  ========================================
user of the app        the app's id             the app says so (``owner_loader``, Flask-Login)
browser, key in cookie ``browser:`` + random    the ciphertext in the cookie opens for it
browser, key in store  ``browser:`` + random    the id in the cookie, signed
=====================  =======================  ========================================
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from itsdangerous import BadSignature, Signer

from ..errors import KeyStorageError
from ..storage import check_owner_id
from ..storage.cookie import BROWSER, CookieStorage
from ..web import ExtensionCookie, RequestState, call_app_function, this_app

if TYPE_CHECKING:
    from ..services import AppFunctions

_SALT: Final = b"flask_openrouter browser id v1"
_LOGIN_SALT: Final = b"flask_openrouter browser id of a login v1"
#: Characters of base64, so 132 bits.
_ID_LENGTH: Final = 22


class Owners:
    """Finds the owner whose key a request may use. One per app, without state of its own."""

    def __init__(
        self,
        cookie: ExtensionCookie,
        secret_keys: tuple[bytes, ...],
        app_functions: AppFunctions,
        cookie_storage: CookieStorage | None,
    ) -> None:
        self._cookie = cookie
        self._signer = _signer(secret_keys, _SALT)
        self._login_signer = _signer(secret_keys, _LOGIN_SALT)
        self._app_functions = app_functions
        self._cookie_storage = cookie_storage

    def current(self, request_state: RequestState) -> str | None:
        """Return the owner id of this request, or None for a browser that never connected."""
        # Asked each time: the app may sign somebody in or out during the request.
        user_id = self.app_user()
        if user_id is not None:
            return user_id
        if request_state.browser_id == "":
            request_state.browser_id = self._read_browser_id()
        browser_id = request_state.browser_id
        return None if browser_id is None else BROWSER + browser_id

    def _read_browser_id(self) -> str | None:
        if self._cookie_storage is not None:
            return self._cookie_storage.browser_id()
        try:
            return self._signer.unsign(self._cookie.read() or "").decode() or None
        except BadSignature:
            return None

    def app_user(self) -> str | None:
        """Return the id of the app's signed-in user, or None.

        Asks ``@auth.owner_loader`` or, without one, Flask-Login. Raises :class:`KeyStorageError`
        for an id that no storage can tell from all others.
        """
        if self._app_functions.owner_loader is not None:
            user_id = call_app_function(self._app_functions.owner_loader)
        elif hasattr(this_app(), "login_manager"):
            from flask_login import current_user

            user_id = current_user.get_id() if current_user.is_authenticated else None
        else:
            return None
        return None if user_id is None else check_app_user(user_id)

    def renew(self, login_digest: str) -> str:
        """Return the owner id for a key that this login connects.

        A browser gets another id with each login, so an older one that somebody planted or copied
        is worthless. It is the same for each callback of one login, whichever worker has it.
        ``login_digest``: stands for the login with its code.
        """
        user_id = self.app_user()
        if user_id is not None:
            return user_id
        return BROWSER + self._login_signer.get_signature(login_digest)[:_ID_LENGTH].decode()

    def remember(self, owner_id: str | None) -> None:
        """Let this browser prove in later requests that it is ``owner_id``; None takes it back.

        The app's users prove themselves to the app, and the cookie of the default storage is its
        own proof. While a user of the app is signed in, the browser's own proof stays.
        """
        if self._cookie_storage is not None:
            return
        if owner_id is not None and owner_id.startswith(BROWSER):
            browser_id = owner_id[len(BROWSER) :].encode()
            self._cookie.write(self._signer.sign(browser_id).decode())
        elif owner_id is None and self.app_user() is None and self._cookie.read() is not None:
            self._cookie.write("")


def _signer(secret_keys: tuple[bytes, ...], salt: bytes) -> Signer:
    # itsdangerous signs with the last key; our settings have the newest first.
    keys = [*reversed(secret_keys)]
    return Signer(keys, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)


def check_app_user(user_id: object) -> str:
    """Return an id of the app's user as the text that owns keys.

    Raises :class:`KeyStorageError` unless it is an int or a text of 1 to 255 characters without
    NUL. Texts that begin with ``browser:`` are refused: they name visitors whom the app does not
    know.
    """
    try:
        if isinstance(user_id, int) and not isinstance(user_id, bool):
            user_id = str(user_id)
        owner_id = check_owner_id(user_id)
    except ValueError:
        owner_id = BROWSER
    if owner_id.startswith(BROWSER):
        raise KeyStorageError(
            "The id of the app's user must be a number or a text of 1 to 255 characters that does"
            f" not begin with {BROWSER!r}. Return such an id from owner_loader, or None when nobody"
            " is signed in."
        )
    return owner_id
