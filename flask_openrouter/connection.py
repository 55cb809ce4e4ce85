"""``current_openrouter``: a visitor's connection to OpenRouter."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from flask import after_this_request, has_request_context
from werkzeug.local import LocalProxy
from werkzeug.utils import cached_property

from .client.attribution import attribution_headers
from .client.base_url import key_url, logs_url
from .client.credentials import hash_of_key
from .client.spending import FRESH_SECONDS, NEWS, PATIENCE_SECONDS
from .errors import KeyRejectedError, NotConnectedError, OpenRouterError
from .login.owned_key import OwnedKey
from .storage.record import KeyRecord
from .web import can_change_response, get_services, request_state, this_app

if TYPE_CHECKING:
    from openai import OpenAI
    from openrouter import OpenRouter

    from .client.models import KeyInfo
    from .client.session import APISession, OnUnauthorized
    from .client.spending import Reading

#: Seconds after which the figures are read again while views spend and the app wants budget_low.
BUDGET_SECONDS: Final = 60.0


class Connection(OwnedKey):
    """One owner's connection. True when a usable key is stored. It is read once, on first use.

    Attributes that need a key raise :class:`NotConnectedError` without one. All attributes raise
    :class:`KeyStorageError` when the storage fails.
    """

    def _require_record(self) -> KeyRecord:
        record = self._record
        if record is None:
            raise NotConnectedError("No OpenRouter key is stored for this visitor.")
        return record

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
        client = self._services.client
        if self._fallback is not None and not self:
            return client.api_session(self._fallback.api_key, on_unauthorized=self._judge_fallback)
        session = client.api_session(self.api_key, on_unauthorized=self._judge)
        self._watch_budget()
        return session

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
        if self._fallback is not None and not self:
            return settings.base_url, self._fallback.api_key, headers, self._judge_fallback
        api_key = self.api_key
        self._watch_budget()
        return settings.base_url, api_key, headers, self._judge

    @property
    def visitor_id(self) -> str:
        """A text of 22 characters for this request's visitor, to count what they do.

        It survives connect and disconnect. For a signed-in user it is made of the user's id, and
        the same in every browser. Any other browser gets a signed cookie for 31 days, and a new
        one if the visitor deletes it. Raises RuntimeError outside of a request, and for a new
        visitor when the response has begun.
        """
        if not has_request_context():
            raise RuntimeError("visitor_id needs a request. Read it in the view, and pass it on.")
        return self._services.visitor_ids.current()

    def detach(self) -> Connection:
        """Return a copy for use after the request, in a thread or a streamed response.

        The copy keeps its key.
        """
        self._watch_budget()
        connection = Connection(self._app, self._owner_id)
        connection._usable, connection._is_read = self._record, True
        connection._fallback = self._fallback
        return connection

    def key_info(self, *, timeout: float | None = None) -> KeyInfo:
        """Ask OpenRouter for the key's limit and usage in USD (``GET /api/v1/key``).

        Raises the errors of :meth:`OpenRouterClient.get_key_info`. A key that raises
        :class:`KeyRejectedError` is set aside. ``timeout``: seconds for the whole call.
        """
        services, record = self._services, self._require_record()
        key_hash = hash_of_key(record.api_key)
        news = NEWS.latest(key_hash)
        try:
            info = services.client.get_key_info(record.api_key, timeout=timeout)
        except KeyRejectedError as error:
            rejected = error
        else:
            services.usage_cache.note(key_hash, news, info)
            login = f"{key_hash} {record.connected_at}"
            services.budget_watch.check(self._app, self._owner_id, login, info)
            return info
        raise self._judge(rejected, 0)

    def _watch_budget(self) -> None:
        """Read the figures after the view, which is about to spend, if the app wants the signal."""
        if self._services.budget_watch.threshold is None or not has_request_context():
            return
        if can_change_response():
            after_this_request(self._read_budget)
        else:
            # A generator asks: no hook of this request follows.
            self._read_budget()

    def _read_budget(self, response: Any = None) -> Any:
        # No failure of this is one of the view. A dead key is set aside.
        with suppress(OpenRouterError):
            if self:
                read_usage(self, max_age=BUDGET_SECONDS)
        return response


def read_usage(connection: Connection, *, max_age: float = FRESH_SECONDS) -> Reading:
    """Return figures of this key that are at most ``max_age`` seconds old, if there are any.

    Raises :class:`NotConnectedError` without a key, :class:`KeyRejectedError` for a rejected one,
    which is set aside, and :class:`KeyStorageError`.
    """
    ask = partial(connection.key_info, timeout=PATIENCE_SECONDS)
    return get_services().usage_cache.read(connection.key_hash, ask, max_age=max_age)


def get_connection(*, no_store: bool = False) -> Connection:
    """Return the connection of this request's visitor, and mark the response as private.

    ``no_store``: no cache may store the response, unless the view sets its own lifetime. Raises
    RuntimeError outside of a request.
    """
    try:
        state = request_state()
    except RuntimeError:
        if has_request_context():
            raise
        raise RuntimeError(
            "current_openrouter needs a request. Elsewhere, such as in a task queue, use"
            " auth.for_owner(owner_id)."
        ) from None
    if state.hides_connection:
        return Connection(this_app(), None)
    if state.connection is None or no_store:
        # Vary is not enough, because the app may identify visitors without a cookie.
        state.forbid_sharing(no_store=no_store)
    owner_id = state.services.owners.current(state)
    connection = state.connection
    if connection is None or connection._owner_id != owner_id:  # pyright: ignore[reportPrivateUsage]
        connection = state.connection = Connection(this_app(), owner_id)
    return connection


class _ConnectionProxy(LocalProxy[Connection]):
    """A proxy whose truth test raises what goes wrong, such as an error of the app's owner_loader.

    Werkzeug's proxies are false after any RuntimeError. This one is false outside of a request.
    """

    __slots__ = ()

    def __bool__(self) -> bool:
        return has_request_context() and bool(get_connection())

    # The same as Werkzeug's, without its detour.
    def __getattr__(self, name: str) -> Any:
        return getattr(get_connection(), name)


#: The connection of this request's visitor; false when they have not connected.
current_openrouter: Connection = cast(Connection, _ConnectionProxy(get_connection))
