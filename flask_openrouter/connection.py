"""``current_openrouter``: a visitor's connection to OpenRouter."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from flask import Flask, has_request_context
from werkzeug.local import LocalProxy

# Not from functools: before Python 3.12 its lock makes all threads read keys one at a time.
from werkzeug.utils import cached_property

from .client.attribution import attribution_headers
from .client.base_url import key_url, logs_url
from .client.credentials import hash_of_key
from .errors import KeyRejectedError, KeyStorageError, NotConnectedError
from .login.owner import adopt
from .login.rejected import CONFIRM_TIMEOUT, unconfirmed
from .signals import key_connected, key_disconnected
from .storage.cookie import BROWSER, CookieStorage
from .storage.record import KeyRecord
from .web import EXTENSION_KEY, can_change_response, request_state, send_signal, this_app

if TYPE_CHECKING:
    from openai import OpenAI
    from openrouter import OpenRouter

    from .client.models import KeyInfo
    from .client.session import APISession, OnUnauthorized
    from .errors import OpenRouterError
    from .services import Services

logger: Final = logging.getLogger("flask_openrouter")


class Connection:
    """One owner's connection. True when a key is stored. The key is read once, on first use.

    Attributes that need a key raise :class:`NotConnectedError` without one. All attributes raise
    :class:`KeyStorageError` when the storage fails.
    """

    def __init__(self, app: Flask, owner_id: str | None) -> None:
        self._app = app
        self._services: Services = app.extensions[EXTENSION_KEY]
        #: With the cookie storage it may be what the browser claims: see ``owner_id``.
        self._owner_id = owner_id
        self._set_aside_record: KeyRecord | None = None
        self._rejected_hash: str | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._owner_id!r}>"

    def __bool__(self) -> bool:
        return self._record is not None

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A connection holds a key and is not pickled or copied. Pass its owner_id instead."
        )

    @cached_property
    def _record(self) -> KeyRecord | None:
        """The record of a key that may be used. A key that was set aside may not."""
        if self._owner_id is None:
            return None
        vault, record = self._services.vault, self._services.vault.load(self._owner_id)
        if record is None and has_request_context():
            former_id = self._services.owners.former_id(self._owner_id)
            record = None if former_id is None else adopt(vault, former_id, self._owner_id)
        if record is not None and record.rejected_at is None:
            rejected_keys = self._services.rejected_keys
            if not rejected_keys.has_postponed:
                return record
            if not rejected_keys.is_postponed(hash_of_key(record.api_key)):
                return record
            if can_change_response():
                record = vault.set_aside(self._owner_id, record)
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

    def _require_record(self) -> KeyRecord:
        if self._record is None:
            raise NotConnectedError("No OpenRouter key is stored for this visitor.")
        return self._record

    @property
    def api_key(self) -> str:
        """The visitor's OpenRouter key. It spends their money: never show, log or send it."""
        return self._require_record().api_key

    @property
    def openrouter_user_id(self) -> str | None:
        """The OpenRouter account, or None when OpenRouter did not name it."""
        return self._require_record().openrouter_user_id

    @property
    def connected_at(self) -> datetime:
        """The time at which the key was connected, in UTC."""
        return datetime.fromtimestamp(self._require_record().connected_at, timezone.utc)

    @property
    def masked_key(self) -> str:
        """The key for display: ``sk-or-v1-…`` and its last four characters."""
        api_key = self._require_record().api_key
        start = "sk-or-v1-" if api_key.startswith("sk-or-v1-") else ""
        return f"{start}…{api_key[-4:]}" if len(api_key) >= len(start) + 16 else f"{start}…"

    @property
    def settings_url(self) -> str:
        """The page on which the key's owner can limit or delete it (OpenRouter, "OAuth PKCE")."""
        return key_url(self._services.settings.base_url, self.key_hash)

    @property
    def logs_url(self) -> str:
        """The page on which the key's owner can see what was spent with it."""
        return logs_url(self._services.settings.base_url, self.key_hash)

    @property
    def key_hash(self) -> str:
        """The SHA-256 of the key in hexadecimal, which identifies it on OpenRouter's pages."""
        return hash_of_key(self.api_key)

    @cached_property
    def session(self) -> APISession:
        """A ``requests.Session`` rooted at OpenRouter's API that sends this visitor's key.

        ``session.post("chat/completions", json=…)``. It keeps no cookies, follows no redirects and
        has time-outs. A rejected key raises :class:`KeyRejectedError` and is set aside; 402 and a
        spent key limit raise :class:`OutOfCreditError`. Any other response is returned, and its
        ``raise_for_status()`` raises the error that it stands for.
        """
        return self._services.client.api_session(self.api_key, on_unauthorized=self._judge)

    def openai(self, **options: Any) -> OpenAI:
        """Return the ``openai`` package's client for this key; ``options`` go to its constructor.

        The errors are those of :attr:`session`, and also subclasses of the package's own. Raises
        :class:`ConfigurationError` when the package is not installed.
        """
        from .client.sdks import openai_client

        return openai_client(*self._for_sdk(), options)

    def sdk(self, **options: Any) -> OpenRouter:
        """Return OpenRouter's own client (``openrouter`` package); ``options`` go to its
        constructor.

        The errors are those of :attr:`session`. Raises :class:`ConfigurationError` when the package
        is not installed.
        """
        from .client.sdks import openrouter_client

        return openrouter_client(*self._for_sdk(), options)

    def _for_sdk(self) -> tuple[str, str, dict[str, str], OnUnauthorized]:
        settings = self._services.settings
        headers = attribution_headers(settings.app_url, settings.app_title, settings.app_categories)
        return settings.base_url, self.api_key, headers, self._judge

    def detach(self) -> Connection:
        """Return a copy for use after the request, in a thread or a streamed response.

        The copy keeps its key.
        """
        connection = Connection(self._app, self._owner_id)
        vars(connection)["_record"] = self._record
        return connection

    def key_info(self, *, timeout: float | None = None) -> KeyInfo:
        """Ask OpenRouter for the key's limit and usage in USD (``GET /api/v1/key``).

        Raises the errors of :meth:`OpenRouterClient.get_key_info`. A key that raises
        :class:`KeyRejectedError` is set aside. ``timeout``: seconds for the whole call.
        """
        try:
            return self._services.client.get_key_info(self.api_key, timeout=timeout)
        except KeyRejectedError as error:
            rejected = error
        raise self._judge(rejected, 0)

    def _judge(self, error: KeyRejectedError, seconds: float) -> OpenRouterError:
        """Return the error to raise for a 401, which alone is no proof that the key is dead.

        ``error`` itself if OpenRouter rejects the key once more within ``seconds``, to
        ``GET /key``; then the key is set aside. Otherwise the key stays, and the error is an
        :class:`APIError` that is retryable.
        """
        if self._record is None:
            return error  # It is set aside already.
        if error.key_hash not in (None, self.key_hash):
            return unconfirmed(error)  # It was replaced meanwhile.
        rejected_keys = self._services.rejected_keys
        try:
            if error.is_confirmed:
                rejected_keys.note(self.key_hash, is_rejected=True)
            elif not rejected_keys.confirm(self.api_key, self.key_hash, seconds):
                return unconfirmed(error)
            self._set_aside()
        except KeyStorageError as failure:
            return failure
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

    def _set_aside(self) -> None:
        """Stop using the key because OpenRouter rejects it, unless it was replaced meanwhile."""
        record = set_aside = self._record
        if self._owner_id is None or record is None:
            return
        vault, key_hash = self._services.vault, self.key_hash
        if isinstance(vault.storage, CookieStorage) and not can_change_response():
            self._services.rejected_keys.postpone(key_hash)  # Until the next request.
        else:
            set_aside = vault.set_aside(self._owner_id, record)
        self._drop(key_hash, set_aside)
        if set_aside is not None:
            self._report_loss("rejected")
        else:
            vars(self).pop("_record")  # It was replaced meanwhile.

    def restore(self) -> bool:
        """Use a key that was set aside again if OpenRouter accepts it now.

        Return whether there is a key to use. Asks OpenRouter for two seconds at most.
        """
        is_set_aside, record, services = self.is_set_aside, self._set_aside_record, self._services
        if not is_set_aside or record is None or self._owner_id is None:
            return bool(self)
        if not services.rejected_keys.is_accepted(record.api_key, hash_of_key(record.api_key)):
            return False
        # None if another request has restored, replaced or deleted it meanwhile.
        restored = services.vault.give_back(self._owner_id, record)
        self._set_aside_record = None
        del vars(self)["_record"]
        if restored is not None:
            logger.info("A key is used again: OpenRouter accepts it.")
            send_signal(
                key_connected,
                self._app,
                owner_id=self._owner_id,
                openrouter_user_id=record.openrouter_user_id,
                previous_openrouter_user_id=record.openrouter_user_id,
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
        return error.key_hash in (None, self._rejected_hash, self.key_hash if self else None)

    def disconnect(self) -> None:
        """Forget the key, one that was set aside, and one that waits to be saved.

        The key remains valid at OpenRouter until its owner deletes it there.
        """
        services = self._services
        key_hash = self.key_hash if self else None
        is_current = has_request_context() and (
            self._owner_id == services.owners.current(request_state())
        )
        if self._owner_id is not None:
            services.vault.forget(self._owner_id)
        self._drop(key_hash, None)
        if is_current:
            services.parked_keys.clear(self._owner_id)
            services.owners.remember(None)
        if key_hash is not None:
            self._report_loss("visitor")

    def _drop(self, key_hash: str | None, set_aside: KeyRecord | None) -> None:
        self._clear(key_hash, set_aside)
        # Another object than this one, if this came from for_owner() or detach().
        current = get_connection() if has_request_context() else self
        if current._owner_id == self._owner_id:
            current._clear(key_hash, set_aside)

    def _clear(self, key_hash: str | None, set_aside: KeyRecord | None) -> None:
        # The cached session goes too: it holds the key.
        vars(self).pop("session", None)
        vars(self)["_record"] = None
        self._set_aside_record = set_aside
        self._rejected_hash = key_hash or self._rejected_hash

    def _report_loss(self, reason: str) -> None:
        logger.info("A key was forgotten (%s).", reason)
        send_signal(key_disconnected, self._app, owner_id=self._owner_id, reason=reason)


def get_connection(*, no_store: bool = False) -> Connection:
    """Return the connection of this request's visitor, and mark the response as private.

    ``no_store``: no cache may store the response, unless the view sets its own lifetime. Raises
    RuntimeError outside of a request.
    """
    if not has_request_context():
        raise RuntimeError(
            "current_openrouter needs a request. Elsewhere, such as in a task queue, use"
            " auth.for_owner(owner_id)."
        )
    state = request_state()
    if state.hides_connection:
        return Connection(this_app(), None)
    if state.connection is None or no_store:
        # Vary is not enough, because the app may identify visitors without a cookie.
        state.forbid_sharing(no_store=no_store)
    owner_id = state.services.owners.current(state)
    if state.connection is None or state.connection._owner_id != owner_id:
        state.connection = Connection(this_app(), owner_id)
    return state.connection


class _ConnectionProxy(LocalProxy[Connection]):
    """A proxy whose truth test raises what goes wrong, such as an error of the app's owner_loader.

    Werkzeug's proxies are false after any RuntimeError. This one is false outside of a request.
    """

    __slots__ = ()

    def __bool__(self) -> bool:
        return has_request_context() and bool(self._get_current_object())


#: The connection of this request's visitor; false when they have not connected.
current_openrouter: Connection = cast(Connection, _ConnectionProxy(get_connection))
