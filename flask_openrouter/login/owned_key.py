"""The key of one owner: read once, set aside when OpenRouter rejects it, restored, forgotten."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NoReturn

from flask import Flask, has_request_context

from ..client.credentials import hash_of_key
from ..errors import KeyRejectedError, KeyStorageError
from ..log import log_note, report_connected
from ..problems import PROBLEMS, Problem
from ..signals import key_disconnected
from ..storage.cookie import BROWSER, CookieStorage
from ..storage.record import KeyRecord
from ..web import EXTENSION_KEY, can_change_response, request_state, send_signal
from .fallback import ask_for_fallback
from .owner import adopt
from .rejected import CONFIRM_TIMEOUT, unconfirmed

if TYPE_CHECKING:
    from ..errors import OpenRouterError, OutOfCreditError
    from ..services import Services

logger: Final = logging.getLogger("flask_openrouter")


class OwnedKey:
    """The key of one owner, or none. True when there is a key that may be used.

    All methods raise :class:`KeyStorageError` when the storage fails.
    """

    def __init__(self, app: Flask, owner_id: str | None) -> None:
        self._app = app
        self._services: Services = app.extensions[EXTENSION_KEY]
        #: With the cookie storage it may be what the browser claims: see ``owner_id``.
        self._owner_id = owner_id
        #: Whether the storage was asked, and what it gave: see ``_record``.
        self._is_read = False
        self._usable: KeyRecord | None = None
        self._set_aside_record: KeyRecord | None = None
        self._rejected_hash: str | None = None

    #: The app's own key, if this request may use it: see ``_use_fallback``.
    _fallback: KeyRecord | None = None
    #: What the app's function gave, once it was asked.
    _given: KeyRecord | Problem | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._owner_id!r}>"

    def __bool__(self) -> bool:
        return self._record is not None

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A connection holds a key and is not pickled or copied. Pass its owner_id instead."
        )

    @property
    def _record(self) -> KeyRecord | None:
        """The record of a key that may be used. A key that was set aside may not."""
        if not self._is_read:
            self._usable = None if self._owner_id is None else self._read(self._owner_id)
            self._is_read = True
        return self._usable

    def _read(self, owner_id: str) -> KeyRecord | None:
        vault, record = self._services.vault, self._services.vault.load(owner_id)
        if record is None and has_request_context():
            former_id = self._services.owners.former_id(owner_id)
            record = None if former_id is None else adopt(vault, former_id, owner_id)
        if record is not None and record.rejected_at is None:
            rejected_keys = self._services.rejected_keys
            if not rejected_keys.is_postponed(record.api_key):
                return record
            if can_change_response():
                rejected_keys.settle(record.api_key)
                record = vault.set_aside(owner_id, record)
        self._set_aside_record = record
        return None

    @property
    def owner_id(self) -> str | None:
        """The owner of the connection, or None for a browser that has no key here.

        It is always proven: by the app for its users, by our cookie for browsers.
        """
        if isinstance(self._services.vault.storage, CookieStorage):
            # A browser can claim any id. Only a ciphertext that opens for it proves it.
            is_claim = self._owner_id is not None and self._owner_id.startswith(BROWSER)
            if is_claim and self._record is None and self._set_aside_record is None:
                return None
        return self._owner_id

    @property
    def _key_hash(self) -> str | None:
        return None if self._record is None else hash_of_key(self._record.api_key)

    def _judge(self, error: KeyRejectedError, seconds: float) -> OpenRouterError:
        """Return the error to raise for a 401, which alone is no proof that the key is dead.

        ``error`` itself if OpenRouter rejects the key once more within ``seconds``, to
        ``GET /key``; then the key is set aside. Otherwise the key stays, and the error is an
        :class:`APIError` that is retryable.
        """
        owner_id, record = self._owner_id, self._record
        if owner_id is None or record is None:
            return error  # It is set aside already.
        if error.key_hash not in (None, hash_of_key(record.api_key)):
            return unconfirmed(error)  # It was replaced meanwhile.
        try:
            if not self._is_confirmed(record, error, seconds):
                return unconfirmed(error)
            self._set_aside(owner_id, record)
        except KeyStorageError as failure:
            return failure
        return error

    def _is_confirmed(self, record: KeyRecord, error: KeyRejectedError, seconds: float) -> bool:
        """Whether OpenRouter rejects the key to ``GET /key`` as well."""
        rejected_keys = self._services.rejected_keys
        if not error.is_confirmed:
            return rejected_keys.confirm(record.api_key, seconds)
        rejected_keys.note(record.api_key, is_rejected=True)
        return True

    def _use_fallback(self) -> Problem | None:
        """Let this request use the app's own key; return the problem if it may not.

        Only for a visitor who has no key, not even one that is rejected or does not open. The app's
        function is called once per request and user. Raises :class:`ConfigurationError` if there is
        none.
        """
        services, owner_id = self._services, self._owner_id
        if self.is_set_aside or services.owners.has_broken_cookie(owner_id):
            return PROBLEMS["key_required"]
        former_id = None if owner_id is None else services.owners.former_id(owner_id)
        for id_ in filter(None, (owner_id, former_id)):
            if services.vault.is_unreadable(id_):
                return PROBLEMS["key_required"]
        if self._given is None:
            self._given = ask_for_fallback(services.app_functions)
        if isinstance(self._given, Problem):
            return self._given
        self._fallback = self._given
        return None

    @property
    def is_fallback(self) -> bool:
        """Whether calls use the app's own key, which ``@auth.fallback_key`` returned."""
        return self._fallback is not None and not self

    def _is_of_fallback(self, error: KeyRejectedError | OutOfCreditError) -> bool:
        """Whether an error is about the app's own key. One that names no key is, if it is used."""
        if self._fallback is None or self:
            return False
        return error.key_hash in (None, hash_of_key(self._fallback.api_key))

    def _judge_fallback(self, error: KeyRejectedError, seconds: float) -> OpenRouterError:
        """Return the error to raise for a 401 to the app's own key, which is never set aside."""
        if self._fallback is None or not self._is_confirmed(self._fallback, error, seconds):
            return unconfirmed(error)
        logger.error("OpenRouter rejects the key of @auth.fallback_key. Return another one.")
        return error

    def report_rejection(self, error: KeyRejectedError | None = None) -> bool:
        """Do what happens at a 401. For another library that got one with this key.

        Return whether OpenRouter confirms that it rejects the key, which is then set aside. Raises
        :class:`KeyStorageError`.
        """
        judged = self._judge(error or KeyRejectedError(), CONFIRM_TIMEOUT)
        if isinstance(judged, KeyStorageError):
            raise judged
        return isinstance(judged, KeyRejectedError)

    def _set_aside(self, owner_id: str, record: KeyRecord) -> None:
        """Stop using the key because OpenRouter rejects it, unless it was replaced meanwhile."""
        vault = self._services.vault
        set_aside: KeyRecord | None = record
        if isinstance(vault.storage, CookieStorage) and not can_change_response():
            self._services.rejected_keys.postpone(record.api_key)  # Until the next request.
        else:
            set_aside = vault.set_aside(owner_id, record)
        self._drop(hash_of_key(record.api_key), set_aside)
        if set_aside is not None:
            self._report_loss("rejected")
        else:
            self._is_read = False  # It was replaced meanwhile.

    def restore(self) -> bool:
        """Use a key that was set aside again if OpenRouter accepts it now.

        Return whether there is a key to use. Asks OpenRouter for two seconds at most.
        """
        is_set_aside, record, services = self.is_set_aside, self._set_aside_record, self._services
        if not is_set_aside or record is None or self._owner_id is None:
            return bool(self)
        if not services.rejected_keys.is_accepted(record.api_key):
            return False
        # None if another request has restored, replaced or deleted it meanwhile.
        restored = services.vault.give_back(self._owner_id, record)
        self._set_aside_record = None
        self._is_read = False
        if restored is not None:
            report_connected(
                "A key is used again: OpenRouter accepts it.",
                self._app,
                self._owner_id,
                record.openrouter_user_id,
                record.openrouter_user_id,
            )
        return bool(self)

    @property
    def is_set_aside(self) -> bool:
        """Whether there is a key that OpenRouter rejected, and that is not used for now."""
        return not self and self._set_aside_record is not None

    @property
    def is_set_aside_again(self) -> bool:
        """Whether the rejected key has just replaced another rejected one: no login would help."""
        record = self._set_aside_record if self.is_set_aside else None
        return record is not None and self._services.rejected_keys.is_replacement(record)

    def is_meant_by(self, error: KeyRejectedError) -> bool:
        """Whether the rejected key is this connection's, or was until it was set aside.

        An error that names no key, such as one that a view raises, means this connection's.
        """
        known = (None, self._rejected_hash, self._key_hash)
        return error.key_hash in known and not self.is_fallback

    def disconnect(self) -> None:
        """Forget the key, one that was set aside, and one that waits to be saved.

        The key remains valid at OpenRouter until its owner deletes it there.
        """
        services = self._services
        key_hash = self._key_hash
        is_current = has_request_context() and (
            self._owner_id == services.owners.current(request_state())
        )
        if self._owner_id is not None:
            former_id = services.owners.former_id(self._owner_id) if is_current else None
            if former_id is not None:
                # First: a request that is moving the key from there then finds that it is gone.
                services.vault.forget(former_id)
            services.vault.forget(self._owner_id)
        if is_current and (parked := services.parked_keys.waiting(self._owner_id)) is not None:
            # A storage that failed may have stored it all the same.
            services.vault.forget(parked.owner_id)
        self._drop(key_hash, None)
        if is_current:
            services.parked_keys.clear(self._owner_id)
            services.owners.remember(None)
        if key_hash is not None:
            self._report_loss("visitor")

    def _drop(self, key_hash: str | None, set_aside: KeyRecord | None) -> None:
        # Another object than this one, if this came from for_owner() or detach().
        current = request_state().connection if has_request_context() else None
        for key in (self, current):
            if key is not None and key._owner_id == self._owner_id:
                key._clear(key_hash, set_aside)

    def _clear(self, key_hash: str | None, set_aside: KeyRecord | None) -> None:
        # The cached session goes too: it holds the key.
        vars(self).pop("session", None)
        self._is_read, self._usable = True, None
        self._set_aside_record = set_aside
        self._rejected_hash = key_hash or self._rejected_hash

    def _report_loss(self, reason: str) -> None:
        logger.info("A key was forgotten (%s).%s", reason, log_note(self._owner_id))
        send_signal(key_disconnected, self._app, owner_id=self._owner_id, reason=reason)
