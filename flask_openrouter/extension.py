"""The extension: three lines in an app, and everything else behind them."""

from __future__ import annotations

import hashlib
import inspect
import logging
import re
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from flask import Blueprint, Flask

from . import guard, parking
from .callback_url import SECURE_ON_HTTP
from .callbacks import Callbacks
from .cli import create_commands
from .client import OpenRouterClient
from .config import Settings
from .connection import Connection
from .current import this_app
from .errors import ConfigurationError
from .owner import Owners, check_app_user
from .services import EXTENSION_KEY, Services, SpentStates, get_services
from .storage import KeyStorage
from .storage.cipher import KeyCipher
from .storage.cookie import BROWSER, CookieStorage, ExtensionCookie
from .storage.uri import storage_from_uri
from .storage.vault import KeyVault
from .templating import add_template_names
from .views import create_blueprint

logger: Final = logging.getLogger("flask_openrouter")

F = TypeVar("F", bound=Callable[..., Any])


class OpenRouterAuth:
    """Lets the visitors of a Flask app connect their OpenRouter accounts.

    ``app``: the app, or None to call :meth:`init_app` later; one instance serves any number of
    apps. ``storage``: where keys live, any object with ``get``, ``set`` and ``delete`` (see
    :class:`~flask_openrouter.storage.KeyStorage`); by default ``OPENROUTER_STORAGE_URI``, or else
    an encrypted cookie. ``encrypt``: False hands records to ``storage`` in the clear, which is
    right only for a secrets manager. ``url_prefix``: where the routes live. ``clock``: returns
    Unix time in seconds, for tests.

    Raises :class:`ConfigurationError` for anything that is set wrong.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        storage: KeyStorage | None = None,
        encrypt: bool = True,
        url_prefix: str = "/openrouter",
        clock: Callable[[], float] = lambda: time.time(),
    ) -> None:
        if storage is not None:
            _check_storage(storage)
        if not encrypt and storage is None:
            raise ConfigurationError(
                "encrypt=False needs a storage of your own that keeps secrets safe: pass storage=…"
            )
        if not url_prefix.startswith("/") or url_prefix.endswith("/"):
            raise ConfigurationError("url_prefix must begin with / and not end with it.")
        self._storage = storage
        self._encrypt = encrypt
        self._url_prefix = url_prefix
        self._clock = clock
        self._callbacks = Callbacks()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read the ``OPENROUTER_*`` settings of this app and register routes, commands and names.

        Raises :class:`ConfigurationError` when a setting is wrong, or the app cannot have the
        extension, or has it already.
        """
        if not isinstance(app, Flask):
            raise ConfigurationError(
                f"init_app needs the Flask app, not {type(app).__name__}. With an app factory,"
                " create OpenRouterAuth() without arguments and call init_app(app) there."
            )
        _check_app(app)
        settings = Settings.from_config(app.config)
        _warn_of_session_cookie(app, settings.callback_url or "")
        # Not the requests alone: a proxy that speaks https for the app may not tell.
        is_secure = (settings.callback_url or "").startswith("https:")
        place = _place_of(app)
        cookie = ExtensionCookie(settings.key_max_age, suffix=place, is_secure=is_secure)
        storage = self._storage
        cookie_storage = None
        if storage is None and settings.storage_uri is not None:
            storage = storage_from_uri(settings.storage_uri, max_age=settings.key_max_age)
        elif storage is None:
            storage = cookie_storage = CookieStorage(cookie)
        cipher = KeyCipher(settings.encryption_keys)
        services = Services(
            settings=settings,
            url_prefix=self._url_prefix,
            client=OpenRouterClient(
                settings.base_url,
                timeout=settings.request_timeout,
                app_url=settings.app_url,
                app_title=settings.app_title,
                app_categories=settings.app_categories,
            ),
            cipher=cipher,
            vault=KeyVault(
                storage,
                cipher if self._encrypt else None,
                base_url=settings.base_url,
                # A browser can keep a cookie for longer than it was told to.
                max_age=settings.key_max_age if cookie_storage is not None else None,
                clock=self._clock,
            ),
            owners=Owners(cookie, settings.secret_keys, self._callbacks, cookie_storage),
            callbacks=self._callbacks,
            finished_cookie=ExtensionCookie(
                settings.login_max_age, suffix=f"{place}-done", is_secure=is_secure
            ),
            unsaved_cookie=ExtensionCookie(
                parking.MAX_AGE, suffix=f"{place}-unsaved", is_secure=is_secure
            ),
            spent_states=SpentStates(settings.login_max_age),
            spent_parkings=SpentStates(parking.MAX_AGE + 1),
            clock=self._clock,
        )
        app.register_blueprint(create_blueprint(self._url_prefix))
        # Not before: Flask refuses blueprints when the app has begun to answer requests.
        app.extensions[EXTENSION_KEY] = services
        app.cli.add_command(create_commands())
        add_template_names(app)

    def owner_loader(self, function: F) -> F:
        """Register the function that returns the id of the app's signed-in user, or None.

        The id is a number or a text of 1 to 255 characters. Without this function Flask-Login is
        asked, where the app uses it; else each browser is its own owner.
        """
        self._callbacks.owner_loader = function
        return function

    def unauthorized_handler(self, function: F) -> F:
        """Register the function that answers visitors without a key, instead of the default."""
        self._callbacks.unauthorized_handler = function
        return function

    def key_options(self, function: F) -> F:
        """Register the function that returns what this login asks of the key, as a mapping.

        ``limit``: the most it may spend, in USD; ``key_label``: its name at OpenRouter, up to 100
        characters. What is left out comes from ``OPENROUTER_KEY_LIMIT`` and
        ``OPENROUTER_KEY_LABEL``. A wrong value raises ValueError at the login.
        """
        self._callbacks.key_options = function
        return function

    def protect(self, blueprint: Blueprint) -> None:
        """Guard every view of a blueprint, as :func:`requires_openrouter_key` guards one.

        Call it before the blueprint is registered.
        """
        guard.protect(blueprint)

    def for_owner(self, owner_id: str | int) -> Connection:
        """Return the connection of this owner outside of a request: in a task queue, a thread.

        Needs an app context, and a storage other than the cookie. ``owner_id`` is the id of the
        app's user, or what the signals call ``owner_id``. Raises :class:`ConfigurationError` when
        keys live in the visitors' browsers, and :class:`KeyStorageError` for an id that no key can
        have.
        """
        services = get_services()
        if isinstance(services.vault.storage, CookieStorage):
            raise ConfigurationError(
                "Keys live in the visitors' browsers, so there is none outside of a request. Set"
                " OPENROUTER_STORAGE_URI, such as sqlite:///keys.db."
            )
        if not (isinstance(owner_id, str) and owner_id.startswith(BROWSER)):
            owner_id = check_app_user(owner_id)
        return Connection(this_app(), owner_id)


def _check_app(app: Flask) -> None:
    if EXTENSION_KEY in app.extensions:
        raise ConfigurationError(
            "This app has an OpenRouter extension already. Create OpenRouterAuth once per app,"
            " and either pass the app or call init_app."
        )
    if "openrouter" in app.blueprints:
        raise ConfigurationError(
            "This app has a blueprint named 'openrouter' already, and the routes of this extension"
            " need the name, as in url_for('openrouter.login'). Give yours another one."
        )
    if app.url_map.host_matching:
        raise ConfigurationError(
            "In an app with host_matching=True a route without a host is never found, and those of"
            " this extension have none. Create the app without it, or put the views that use"
            " OpenRouter into an app of their own."
        )


def _check_storage(storage: object) -> None:
    if inspect.isclass(storage):
        raise ConfigurationError(f"storage is the class {storage.__name__}: pass an object.")
    promised = ("get(owner_id)", "set(owner_id, ciphertext)", "delete(owner_id)")
    methods = {text: getattr(storage, text.partition("(")[0], None) for text in promised}
    missing = [text for text, method in methods.items() if not callable(method)]
    if missing:
        raise ConfigurationError(f"storage ({type(storage).__name__}) lacks {', '.join(missing)}.")
    if any(inspect.iscoroutinefunction(method) for method in methods.values()):
        raise ConfigurationError(
            f"storage ({type(storage).__name__}) has async methods, and nobody would await them:"
            " get, set and delete must be plain functions."
        )


def _place_of(app: Flask) -> str:
    """Return what the names of our cookies have in them where several apps share a host.

    Such apps keep their sessions apart by name or path. A ``__Host-`` cookie has the path ``/``.
    """
    name = re.sub("^__(Host|Secure)-", "", app.config["SESSION_COOKIE_NAME"])
    path = app.config["SESSION_COOKIE_PATH"] or app.config["APPLICATION_ROOT"]
    if (name, path) == ("session", "/"):
        return ""
    return f"-{hashlib.sha256(f'{name} {path}'.encode()).hexdigest()[:8]}"


def _warn_of_session_cookie(app: Flask, callback_url: str) -> None:
    if app.config["SESSION_COOKIE_SECURE"] and callback_url.startswith("http:"):
        logger.warning(SECURE_ON_HTTP, callback_url)
    if str(app.config["SESSION_COOKIE_SAMESITE"]).lower() == "strict":
        logger.warning(
            "SESSION_COOKIE_SAMESITE is 'Strict': browsers will not send the session when a visitor"
            " comes back from OpenRouter, and no login can be finished. Use 'Lax'."
        )
