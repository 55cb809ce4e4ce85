"""The extension class ``OpenRouterAuth``."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar
from uuid import UUID

from flask import Blueprint, Flask

from . import guard
from .cli import create_commands
from .client.base_url import is_loopback_url
from .client.credentials import hides_frames
from .config import Settings
from .connection import Connection
from .errors import ConfigurationError, OpenRouterError
from .login.callback import SECURE_ON_HTTP
from .login.claim import claim_key
from .login.imported import import_key
from .login.owner import check_app_user
from .misplaced import disable_misplaced_views, watch
from .problems import Problem
from .services import SYSTEM_CLOCK, AppFunctions, Services
from .storage import ConnectedOwner, KeyStorage
from .storage.cookie import BROWSER, CookieStorage
from .storage.listing import Listing
from .views import create_blueprint, explain_error
from .views.handlers import give_precedence
from .views.templating import add_template_names
from .web import EXTENSION_KEY, ResponseFinisher, get_services, this_app

logger: Final = logging.getLogger("flask_openrouter")

F = TypeVar("F", bound=Callable[..., Any])


class OpenRouterAuth:
    """Connection of a Flask app's visitors with their OpenRouter accounts.

    ``app``: the app, or None to call :meth:`init_app` later; one instance serves any number of
    apps. ``storage``: where keys live, any object with ``get``, ``set`` and ``delete`` (see
    :class:`~flask_openrouter.storage.KeyStorage`); by default the storage that
    ``OPENROUTER_STORAGE_URI`` names, or else an encrypted cookie. ``encrypt``: False passes records
    to ``storage`` unencrypted, which is right only for a secrets manager. ``url_prefix``: where the
    routes live. ``clock``: returns Unix time in seconds, for tests.

    Raises :class:`ConfigurationError` for a wrong argument or setting.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        storage: KeyStorage | None = None,
        encrypt: bool = True,
        url_prefix: str = "/openrouter",
        clock: Callable[[], float] = SYSTEM_CLOCK,
    ) -> None:
        if storage is not None:
            _check_storage(storage)
        if not encrypt and storage is None:
            raise ConfigurationError(
                "encrypt=False needs a storage of your own that keeps secrets safe: pass storage=…"
            )
        prefix = str(url_prefix)
        # For browsers, "//x/login" is the address of a host.
        if not prefix.startswith("/") or prefix.startswith("//") or prefix.endswith("/"):
            raise ConfigurationError("url_prefix must begin with one / and not end with it.")
        self._storage = storage
        self._encrypt = encrypt
        self._url_prefix = url_prefix
        self._clock = clock
        self._app_functions = AppFunctions()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read the app's ``OPENROUTER_*`` settings; register routes, commands and template names.

        Raises :class:`ConfigurationError` when a setting is wrong, or when the app cannot have the
        extension or already has it.
        """
        if not isinstance(app, Flask):
            raise ConfigurationError(
                f"init_app needs the Flask app, not {type(app).__name__}. With an app factory,"
                " create OpenRouterAuth() without arguments and call init_app(app) there."
            )
        _check_app(app)
        settings = Settings.from_config(app.config)
        _warn_of_this_machine(app, settings)
        if app.config["SESSION_COOKIE_SECURE"] and (settings.callback_url or "").startswith(
            "http:"
        ):
            logger.warning(SECURE_ON_HTTP, settings.callback_url)
        services = Services.create(
            app,
            settings,
            self._storage,
            self._app_functions,
            encrypt=self._encrypt,
            url_prefix=self._url_prefix,
            clock=self._clock,
        )
        app.register_blueprint(create_blueprint(self._url_prefix))
        # After the blueprint, which Flask refuses once the app has served a request: then nothing
        # of the extension is left in the app.
        app.extensions[EXTENSION_KEY] = services
        watch(app)
        finisher = ResponseFinisher(app, at_first_request=_complete)
        app.wsgi_app = finisher.serve  # type: ignore[method-assign]
        # The app may put another one there, which it had before.
        app.extensions[f"{EXTENSION_KEY}_finisher"] = finisher
        app.cli.add_command(create_commands())
        add_template_names(app)

    def owner_loader(self, function: F) -> F:
        """Register the function that returns the id of the app's signed-in user, or None.

        The id is a number, a UUID or similar, or a text of 1 to 255 characters. Without this
        function the id comes from Flask-Login if the app uses it; otherwise each browser is its own
        owner.
        """
        self._app_functions.owner_loader = function
        return function

    def unauthorized_handler(self, function: F) -> F:
        """Register the function that returns the response for visitors without a key."""
        self._app_functions.unauthorized_handler = function
        return function

    def key_options(self, function: F) -> F:
        """Register the function that returns the options of a login's key, as a mapping.

        ``limit``: the spending limit to ask for, in USD; ``key_label``: the key's name at
        OpenRouter, up to 100 characters; ``workspace_id``: the UUID of the workspace to suggest;
        ``required_workspace_id``: that of the only workspace that the key may be in. The defaults
        are ``OPENROUTER_KEY_LIMIT``, ``OPENROUTER_KEY_LABEL``, ``OPENROUTER_WORKSPACE_ID`` and
        ``OPENROUTER_REQUIRED_WORKSPACE_ID``. None asks for nothing. A wrong value raises ValueError
        at the login.
        """
        self._app_functions.key_options = function
        return function

    def fallback_key(self, function: F) -> F:
        """Register the function that returns a key of the app's own, or None, for this visitor.

        It is called for a visitor who has no key, in a view that is guarded with
        ``requires_openrouter_key(fallback=True)``, once per request. The view then runs on that key
        and :attr:`Connection.is_fallback` is true. After None the visitor is asked to connect.
        What it raises, and any other value, is logged and answered with 502.
        """
        self._app_functions.fallback_key = function
        return function

    def protect(self, blueprint: Blueprint) -> None:
        """Guard every view of a blueprint, as :func:`requires_openrouter_key` guards one.

        Call it before the blueprint is registered.
        """
        guard.protect(blueprint)

    def explain(self, error: OpenRouterError) -> Problem:
        """Return an error in words for the visitor, such as in a stream that has begun.

        They are those of the page that an error becomes which no view handles, and hold nothing
        from OpenRouter's answer. They are in the visitor's language inside of a request or
        ``stream_with_context``, else in that of ``OPENROUTER_LANGUAGE`` inside of an app context,
        and else in English. Raises ``error`` itself if it is the operator's, such as a
        :class:`ConfigurationError`.
        """
        return explain_error(error)

    def claim(self, replace: bool = False) -> bool:
        """Hand this browser's key to the user who is signed in now. Return whether it did.

        For the view in which a visitor signs up, after the app has signed them in. Not for each
        login: on a shared computer, the key may be another person's.

        False if the browser has no key that may be used, or if the user has one, which stays.
        ``replace``: the browser's key takes its place. A key that was set aside is never handed
        over, and does not count as the user's. The signal :data:`key_connected` is sent for the
        user.

        The key is stored for the user first and then deleted for the browser. If the storage fails
        in between, both have it, and another call finishes the work.

        Raises :class:`ConfigurationError` if no user is signed in, :class:`KeyStorageError` when
        the storage fails, and RuntimeError outside of a request.
        """
        return claim_key(replace=replace)

    @hides_frames
    def import_key(self, owner_id: str | int | UUID, api_key: str, replace: bool = False) -> bool:
        """Store a key that the app already holds, if OpenRouter accepts it (``GET /key``).

        Return whether it was stored: False if the owner has a key, which stays. ``replace``: this
        key takes its place. A key that was set aside does not count. Needs an app context, and a
        storage other than the cookie. ``owner_id`` is as for :meth:`for_owner`. The signal
        :data:`key_connected` is sent.

        Nothing is stored when this raises: :class:`KeyRejectedError` for a key that OpenRouter does
        not accept; the other errors of :meth:`OpenRouterClient.get_key_info` when it gives no
        answer; :class:`ConfigurationError`, a ValueError, for a malformed key, or when keys live in
        the visitors' browsers; :class:`KeyStorageError` for an id that cannot own a key, for an
        entry that does not open, unless ``replace``, and when the storage fails. No error holds the
        key.
        """
        services = get_services()
        owner_id = _checked_owner(services, owner_id)
        return import_key(services, owner_id, api_key, replace=replace)

    def list_owners(self) -> Iterator[ConnectedOwner]:
        """Yield the owners that have a key, with the time at which it was connected; never keys.

        Needs an app context. Raises :class:`ConfigurationError` for a storage that cannot list its
        owners, such as the cookie, and :class:`KeyStorageError` when the storage fails.
        """
        return Listing(get_services().vault).connected_owners()

    def for_owner(self, owner_id: str | int | UUID) -> Connection:
        """Return the connection of this owner outside of a request: in a task queue, a thread.

        Needs an app context, and a storage other than the cookie. ``owner_id`` is the id of the
        app's user, or the ``owner_id`` of a signal. Raises :class:`ConfigurationError` when keys
        live in the visitors' browsers, and :class:`KeyStorageError` for an id that cannot own a
        key.
        """
        return Connection(this_app(), _checked_owner(get_services(), owner_id))


def _complete(app: Flask) -> None:
    """Do what needs all routes and handlers of the app."""
    disable_misplaced_views(app)
    give_precedence(app)


def _checked_owner(services: Services, owner_id: str | int | UUID) -> str:
    """Return the owner id that this id is in a storage on the server."""
    if isinstance(services.vault.storage, CookieStorage):
        raise ConfigurationError(
            "Keys live in the visitors' browsers, so none is available outside of a request."
            " Set OPENROUTER_STORAGE_URI, such as sqlite:///keys.db."
        )
    if isinstance(owner_id, str) and owner_id.startswith(BROWSER):
        return owner_id
    return check_app_user(owner_id)


def _check_app(app: Flask) -> None:
    if EXTENSION_KEY in app.extensions:
        raise ConfigurationError(
            "This app already has an OpenRouter extension. Create OpenRouterAuth once per app,"
            " and either pass the app or call init_app."
        )
    if "openrouter" in app.blueprints:
        raise ConfigurationError(
            "This app already has a blueprint named 'openrouter'. The routes of this extension need"
            " that name, as in url_for('openrouter.login'). Rename your blueprint."
        )
    if app.url_map.host_matching:
        raise ConfigurationError(
            "With host_matching=True Flask never finds a route without a host, and the routes of"
            " this extension have none. Create the app without it, or move the views that use"
            " OpenRouter into an app of their own."
        )


def _warn_of_this_machine(app: Flask, settings: Settings) -> None:
    if app.debug or app.testing or settings.emulator:
        return
    server_name = app.config["SERVER_NAME"]
    url = settings.callback_url or (f"http://{server_name}" if server_name else "")
    if is_loopback_url("/".join(url.lower().split("/", 3)[:3])):
        name = "OPENROUTER_CALLBACK_URL" if settings.callback_url else "SERVER_NAME"
        logger.warning(
            "%s is on this machine: OpenRouter sends every visitor to their own machine. In"
            " production, set it to the public address of the app.",
            name,
        )


def _check_storage(storage: object) -> None:
    if inspect.isclass(storage):
        raise ConfigurationError(f"storage is the class {storage.__name__}: pass an object.")
    required = ("get(owner_id)", "set(owner_id, ciphertext)", "delete(owner_id)")
    methods = {text: getattr(storage, text.partition("(")[0], None) for text in required}
    missing = [text for text, method in methods.items() if not callable(method)]
    if missing:
        raise ConfigurationError(f"storage ({type(storage).__name__}) lacks {', '.join(missing)}.")
    if any(inspect.iscoroutinefunction(method) for method in methods.values()):
        raise ConfigurationError(
            f"storage ({type(storage).__name__}) has async methods, which are never awaited: get,"
            " set and delete must be plain functions."
        )
