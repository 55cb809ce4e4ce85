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
from .errors import KeyRejectedError, NotConnectedError, OpenRouterError
from .signals import key_disconnected
from .storage.cookie import CookieStorage
from .storage.record import KeyRecord
from .web import EXTENSION_KEY, can_change_response, request_state, send_signal, this_app

if TYPE_CHECKING:
    from openai import OpenAI
    from openrouter import OpenRouter

    from .client.models import KeyInfo
    from .client.session import APISession, OnUnauthorized
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
        #: The owner of the connection, or None for a browser that never connected.
        self.owner_id = owner_id
        self._forgotten_hash: str | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.owner_id!r}>"

    def __bool__(self) -> bool:
        return self._record is not None

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A connection holds a key and is not pickled or copied. Pass its owner_id instead."
        )

    @cached_property
    def _record(self) -> KeyRecord | None:
        return None if self.owner_id is None else self._services.vault.load(self.owner_id)

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
        has time-outs. 401 forgets the key and raises :class:`KeyRejectedError`; 402 and a spent key
        limit raise :class:`OutOfCreditError`; any other response is returned unchanged, and so is a
        401 or 402 that OpenRouter relays from a model's provider.
        """
        return self._services.client.api_session(self.api_key, on_unauthorized=self._unauthorized)

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
        return settings.base_url, self.api_key, headers, self._unauthorized

    def _unauthorized(self, error: KeyRejectedError, seconds: float) -> OpenRouterError:
        """Forget the key, and return the error to raise."""
        self.forget_rejected()
        return error

    def detach(self) -> Connection:
        """Return a copy for use after the request, in a thread or a streamed response.

        The copy keeps its key. Without a request it cannot forget a key in the visitor's cookie.
        """
        connection = Connection(self._app, self.owner_id)
        vars(connection)["_record"] = self._record
        return connection

    def key_info(self) -> KeyInfo:
        """Ask OpenRouter for the key's limit and usage in USD (``GET /api/v1/key``).

        Raises the errors of :meth:`OpenRouterClient.get_key_info`. A key that raises
        :class:`KeyRejectedError` is forgotten.
        """
        try:
            return self._services.client.get_key_info(self.api_key)
        except KeyRejectedError:
            self.forget_rejected()
            raise

    def disconnect(self) -> None:
        """Forget the key. It remains valid at OpenRouter until its owner deletes it there."""
        self._forget("visitor")

    def is_meant_by(self, error: KeyRejectedError) -> bool:
        """Whether the rejected key is this connection's, or was until it was forgotten.

        An error that names no key, such as one that a view raises, means this connection's.
        """
        return error.key_hash in (None, self._forgotten_hash, self.key_hash if self else None)

    def forget_rejected(self) -> None:
        """Forget the key because OpenRouter rejected it, unless it was replaced meanwhile.

        While a response is streamed, a key in the visitor's cookie stays. It is rejected again,
        and forgotten, at the next request that uses it.
        """
        vault, record = self._services.vault, self._record
        if isinstance(vault.storage, CookieStorage) and not can_change_response():
            return
        if self.owner_id is not None and record is not None and vault.load(self.owner_id) == record:
            self._forget("rejected")

    def _forget(self, reason: str) -> None:
        if self.owner_id is None:
            return
        owners = self._services.owners
        key_hash = self.key_hash if self else None
        is_current = has_request_context() and self.owner_id == owners.current(request_state())
        self._services.vault.forget(self.owner_id)
        self._clear(key_hash)
        if is_current:
            owners.remember(None)
            # Another object than this one, if this came from for_owner() or detach().
            get_connection()._clear(key_hash)
        if key_hash is not None:
            logger.info("A key was forgotten (%s).", reason)
            send_signal(key_disconnected, self._app, owner_id=self.owner_id, reason=reason)

    def _clear(self, key_hash: str | None) -> None:
        # The cached session goes too: it holds the key.
        vars(self).pop("session", None)
        vars(self)["_record"] = None
        self._forgotten_hash = key_hash or self._forgotten_hash


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
    if state.connection is None or state.connection.owner_id != owner_id:
        state.connection = Connection(this_app(), owner_id)
    return state.connection


#: The connection of this request's visitor; false when they have not connected.
current_openrouter: Connection = cast(Connection, LocalProxy(get_connection))
