"""The owner of a key: the app's own user, or else this browser.

======================  ======================  ================================================
owner                   owner id                proof, with each request
======================  ======================  ================================================
user of the app         the user's primary key  the app says so (``owner_loader``, Flask-Login)
browser, key in cookie  ``browser:`` + random   the ciphertext in the cookie opens for it
browser, key in store   ``browser:`` + random   the id in the cookie, signed
======================  ======================  ================================================
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from ..errors import KeyStorageError
from ..log import log_note
from ..storage import check_owner_id
from ..storage.cookie import BROWSER, CookieStorage
from ..storage.namespace import NAMESPACE
from ..web import ExtensionCookie, RequestState, call_app_function, this_app
from .account import Account, account_of, is_id, is_same_kind
from .cookies import CookieSigner

if TYPE_CHECKING:
    from ..services import AppFunctions
    from ..storage.record import KeyRecord
    from ..storage.vault import KeyVault

logger: Final = logging.getLogger("flask_openrouter")

_SALT: Final = b"flask_openrouter browser id v1"
_LOGIN_SALT: Final = b"flask_openrouter browser id of a login v1"
#: Characters of base64, so 132 bits.
_ID_LENGTH: Final = 22


class Owners:
    """Finds the owner whose key a request may use. One per app."""

    def __init__(
        self,
        cookie: ExtensionCookie,
        secret_keys: tuple[bytes, ...],
        app_functions: AppFunctions,
        cookie_storage: CookieStorage | None,
    ) -> None:
        self._cookie = cookie
        self._signer = CookieSigner(secret_keys, _SALT)
        self._login_signer = CookieSigner(secret_keys, _LOGIN_SALT)
        self._app_functions = app_functions
        self._cookie_storage = cookie_storage
        self._has_warned = False
        #: The kinds of users that were seen: by whether their primary keys are numbers, and whether
        #: these are their session ids.
        self._kinds: dict[tuple[bool, bool], WeakSet[type]] = defaultdict(WeakSet)
        self._lock = threading.Lock()

    def current(self, request_state: RequestState) -> str | None:
        """Return the owner id of this request, or None for a browser that never connected."""
        # Asked each time: the app may sign somebody in or out during the request.
        user_id = self.app_user()
        return self.browser(request_state) if user_id is None else user_id

    def browser(self, request_state: RequestState) -> str | None:
        """Return the owner id of this browser, whoever is signed in, or None without one."""
        if request_state.browser_id == "":
            request_state.browser_id = self._read_browser_id()
        browser_id = request_state.browser_id
        return None if browser_id is None else BROWSER + browser_id

    def _read_browser_id(self) -> str | None:
        if self._cookie_storage is not None:
            return self._cookie_storage.browser_id()
        return self._signer.read(self._cookie.read()) or None

    def has_broken_cookie(self, owner_id: str | None) -> bool:
        """Return whether the browser of this owner sent a cookie that proves nothing.

        It may have been signed with a SECRET_KEY that the app has no more.
        """
        if self._cookie.read() is None:
            return False
        if self._cookie_storage is None:
            return owner_id is None
        is_browser = owner_id is not None and owner_id.startswith(BROWSER)
        return is_browser and self._cookie_storage.get(str(owner_id)) is None

    def app_user(self) -> str | None:
        """Return the id of the app's signed-in user, or None.

        Asks ``@auth.owner_loader`` or, without one, Flask-Login. Raises :class:`KeyStorageError`
        for an id that no storage can tell from all others.
        """
        if self._app_functions.owner_loader is not None:
            user_id = call_app_function(self._app_functions.owner_loader)
        elif (account := _account()) is not None:
            user_id = self._id_of(account)
        else:
            return None
        return None if user_id is None else check_app_user(user_id)

    def former_id(self, owner_id: str) -> str | None:
        """Return the id under which an earlier release stored the key of this request's user.

        None if there is no other id, or if ``owner_id`` is not this user.
        """
        if self._app_functions.owner_loader is not None:
            return None
        account = _account()
        if account is None or account.primary_key != owner_id:
            return None
        return account.former_id

    def _id_of(self, account: Account) -> object:
        if account.may_change and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "Keys of signed-in users belong to current_user.get_id(), because %s has no primary"
                " key that is known to be unique among all users. If get_id() changes, such as with"
                " the password, the key is lost. Return an id that stays the same from"
                " @auth.owner_loader.",
                account.kind.__name__,
            )
        if account.primary_key is None:
            return account.session_id
        self._check_kind(account.kind, account.primary_key, account.session_id)
        return account.primary_key

    def _check_kind(self, kind: type, primary_key: str, session_id: object) -> None:
        """Check that no user of another kind may have the same primary key."""
        is_number, is_session_id = primary_key.isdigit(), primary_key == str(session_id)
        if kind in self._kinds[is_number, is_session_id]:
            return
        with self._lock:
            others = [*self._kinds[is_number, False]]
            if not is_session_id:
                # Two users whose session ids are their primary keys never have the same one.
                others += self._kinds[is_number, True]
            for other in others:
                if not is_same_kind(kind, other):
                    raise KeyStorageError(
                        f"Users are of the classes {other.__name__} and {kind.__name__}, and two of"
                        " them may have the same primary key. Return an id that is unique among all"
                        " users from @auth.owner_loader."
                    )
            self._kinds[is_number, is_session_id].add(kind)

    def renew(self, login_digest: str, user_id: str | None) -> str:
        """Return the owner id for a key that this login connects.

        A browser gets another id with each login, so an older one that somebody planted or copied
        is worthless. It is the same for each callback of one login, whichever worker has it.
        ``login_digest``: stands for the login with its code. ``user_id``: the app's signed-in user.
        """
        if user_id is not None:
            return user_id
        return BROWSER + self._login_signer.get_signature(login_digest)[:_ID_LENGTH]

    def remember(self, owner_id: str | None) -> None:
        """Let this browser prove in later requests that it is ``owner_id``; None takes it back.

        The app's users prove themselves to the app, and the cookie of the default storage is its
        own proof. While a user of the app is signed in, the browser's own proof stays.
        """
        if self._cookie_storage is not None:
            return
        if owner_id is not None and owner_id.startswith(BROWSER):
            self._cookie.write(self._signer.sign(owner_id[len(BROWSER) :]))
        elif owner_id is None and self.app_user() is None:
            self.forget_browser()

    def forget_browser(self) -> None:
        """Take back the browser's own proof: its id does not own a key any more."""
        if self._cookie_storage is None and self._cookie.read() is not None:
            self._cookie.write("")


def _account() -> Account | None:
    """Return the user of Flask-Login who is signed in, or None."""
    if not hasattr(this_app(), "login_manager"):
        return None
    from flask_login import current_user

    if not current_user.is_authenticated:
        return None
    # Not the proxy: it has another class.
    return account_of(current_user._get_current_object())  # pyright: ignore[reportPrivateUsage]


def adopt(vault: KeyVault, former_id: str, owner_id: str) -> KeyRecord | None:
    """Move the key of one owner to another id of the same owner; return it, or None without one.

    A key that is connected meanwhile stays, and is returned. A key that cannot be moved now is
    returned all the same. Raises :class:`KeyStorageError` when one cannot be read.
    """
    record = vault.load(former_id)
    if record is None:
        return None
    try:
        if not vault.move(former_id, owner_id, record):
            present = vault.load(owner_id)
            if present is None and vault.is_unreadable(owner_id):
                return record
            if present is not None and present != record:
                vault.forget_if(former_id, record)
            return present
    except KeyStorageError as error:
        logger.warning(
            "A key could not be moved to its owner's primary key. %s%s", error, log_note(owner_id)
        )
        return record
    logger.info("A key was moved to its owner's primary key.%s", log_note(owner_id))
    return record


def check_app_user(user_id: object) -> str:
    """Return an id of the app's user as the text that owns keys.

    Raises :class:`KeyStorageError` unless it is an int, a UUID or similar, or a text, of 1 to 255
    characters without NUL. Texts that begin with ``browser:`` are refused: they name visitors whom
    the app does not know. So are those that begin with ``namespace:``: they name entries of other
    apps. And so is ``"None"``, which every visitor would share.
    """
    # The text of a user, or of a column, may be the same for all users.
    is_other = isinstance(user_id, str | float | bytes | bytearray | tuple) or any(
        hasattr(user_id, name) for name in ("id", "pk", "get_id", "__clause_element__")
    )
    try:
        if is_id(user_id) and (isinstance(user_id, int) or not is_other):
            user_id = str(user_id)
        owner_id = check_owner_id(user_id)
    except ValueError:
        owner_id = BROWSER
    if owner_id.startswith((BROWSER, NAMESPACE)):
        raise KeyStorageError(
            "The id of the app's user must be a number, a UUID or a text of 1 to 255 characters"
            f" that does not begin with {BROWSER!r} or {NAMESPACE!r}. Return such an id from"
            " owner_loader, or None when nobody is signed in."
        )
    if owner_id == "None":
        raise KeyStorageError(
            "The id of the app's user is the text 'None', which all visitors would share. Return"
            " None itself from owner_loader when nobody is signed in, and sign new users in after"
            " they are saved."
        )
    return owner_id
