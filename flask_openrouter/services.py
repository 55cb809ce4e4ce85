"""Everything that the extension makes for one app, and how the parts are connected."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from operator import methodcaller
from typing import Any, Final

from flask import Flask

from .client import OpenRouterClient
from .client.spending import UsageCache
from .config import Settings
from .login import parked, visitor_id
from .login.budget import BudgetWatch
from .login.callback import CallbackAddress
from .login.cookies import MAX_CLOCK_SKEW, LoginCookies
from .login.logins import FinishedLogins, PendingLogins
from .login.owner import Owners
from .login.parked import ParkedKeys, SpentStates
from .login.rejected import RejectedKeys
from .login.visitor_id import VisitorIds
from .storage import KeyStorage
from .storage.cipher import KeyCipher
from .storage.cookie import CookieStorage
from .storage.vault import KeyVault
from .web import ExtensionCookie

#: Looks ``time.time`` up at each call, so that it can be replaced in the tests of an app.
SYSTEM_CLOCK: Final[Callable[[], float]] = partial(methodcaller("time"), time)


@dataclass
class AppFunctions:
    """Functions that the app has registered on the extension by decorator.

    One per extension, shared by all its apps, and filled after ``init_app`` as well.
    """

    owner_loader: Callable[[], Any] | None = None
    unauthorized_handler: Callable[[], Any] | None = None
    key_options: Callable[[], Mapping[str, Any] | None] | None = None
    fallback_key: Callable[[], Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that one app owns. Nothing here belongs to a request."""

    settings: Settings
    #: The path of the routes, below the app's own root: ``/openrouter``.
    url_prefix: str
    client: OpenRouterClient
    vault: KeyVault
    owners: Owners
    visitor_ids: VisitorIds
    app_functions: AppFunctions
    callback_address: CallbackAddress
    login_cookies: LoginCookies
    pending_logins: PendingLogins
    finished_logins: FinishedLogins
    parked_keys: ParkedKeys
    rejected_keys: RejectedKeys
    usage_cache: UsageCache
    budget_watch: BudgetWatch
    #: Unix time in seconds.
    clock: Callable[[], float]
    #: The latest address of a login, as views.login.authorization_url takes it apart.
    consent_places: dict[str | None, tuple[str, str, str]] = field(default_factory=dict)
    #: The latest addresses of routes: see ``login.callback.route_url``.
    route_urls: dict[str, tuple[tuple[str | None, ...], str]] = field(default_factory=dict)

    @classmethod
    def create(
        cls,
        app: Flask,
        settings: Settings,
        storage: KeyStorage | None,
        app_functions: AppFunctions,
        *,
        encrypt: bool,
        url_prefix: str,
        clock: Callable[[], float],
    ) -> Services:
        """Make and connect what this app needs. Without ``storage``, the settings name it.

        Raises :class:`ConfigurationError` for a storage URI that cannot be used.
        """
        # The requests are not enough: behind a proxy that ends TLS they look like http.
        is_secure = (settings.callback_url or "").startswith("https:")
        suffix = _cookie_suffix(app, settings.namespace)
        # Holds the ciphertext with the cookie storage, else the signed id of the browser.
        cookie = ExtensionCookie(settings.key_max_age, suffix=suffix, is_secure=is_secure)
        base_url = settings.base_url
        # Bound into every ciphertext. No base URL has a fragment.
        realm = f"{base_url}#{settings.namespace}" if settings.namespace else base_url
        login_cookies = LoginCookies(
            ExtensionCookie(settings.login_max_age, suffix=suffix, is_secure=is_secure),
            settings.secret_keys,
            purpose=f"{suffix} {realm}",
            max_age=settings.login_max_age,
            clock=clock,
        )
        cookie_storage = None
        if storage is None and settings.storage_uri is None:
            storage = cookie_storage = CookieStorage(cookie, login_cookies.trim)
        else:
            storage = _storage_on_server(app, settings, storage)
        cipher = KeyCipher(settings.encryption_keys)
        owners = Owners(cookie, settings.secret_keys, app_functions, cookie_storage)
        client = OpenRouterClient(
            base_url,
            timeout=settings.request_timeout,
            app_url=settings.app_url,
            app_title=settings.app_title,
            app_categories=settings.app_categories,
        )
        return cls(
            settings=settings,
            url_prefix=url_prefix,
            client=client,
            vault=KeyVault(
                storage,
                cipher if encrypt else None,
                base_url=realm,
                max_age=settings.key_max_age,
                # A cookie ends for users, too, and a browser can keep it beyond its Max-Age.
                keeps_users=cookie_storage is None and not settings.limits_users,
                clock=clock,
            ),
            owners=owners,
            visitor_ids=VisitorIds(
                ExtensionCookie(
                    visitor_id.MAX_AGE,
                    suffix=f"{suffix}{visitor_id.COOKIE_SUFFIX}",
                    is_secure=is_secure,
                ),
                settings.secret_keys,
                owners,
                login_cookies,
                purpose=suffix,
            ),
            app_functions=app_functions,
            callback_address=CallbackAddress(settings.callback_url),
            login_cookies=login_cookies,
            pending_logins=PendingLogins(owners, login_cookies, clock=clock),
            finished_logins=FinishedLogins(
                # A login that another machine dated up to a minute ahead lives that much longer.
                max_age=settings.login_max_age + MAX_CLOCK_SKEW,
                clock=clock,
            ),
            parked_keys=ParkedKeys(
                owners,
                ExtensionCookie(
                    parked.MAX_AGE, suffix=f"{suffix}{parked.COOKIE_SUFFIX}", is_secure=is_secure
                ),
                cipher,
                # A second more, because both ends of the time count.
                SpentStates(parked.MAX_AGE + 1),
                base_url=realm,
                clock=clock,
            ),
            rejected_keys=RejectedKeys(client, clock=clock),
            usage_cache=UsageCache(clock),
            budget_watch=BudgetWatch(settings.budget_low, clock=clock),
            clock=clock,
        )


def _storage_on_server(app: Flask, settings: Settings, storage: KeyStorage | None) -> KeyStorage:
    """Return the app's own storage, or else that of the settings, set up for this app."""
    # Here, because apps whose keys are in the visitors' browsers need none of it.
    from .storage.namespace import in_namespace
    from .storage.redis import RedisStorage
    from .storage.sqlalchemy import SQLAlchemyStorage
    from .storage.uri import storage_from_uri

    if storage is None:
        storage = storage_from_uri(settings.storage_uri or "", instance_folder=app.instance_path)
    elif isinstance(storage, SQLAlchemyStorage):
        storage.anchor(app.instance_path)
    if isinstance(storage, RedisStorage):
        users = settings.key_max_age if settings.limits_users else None
        storage.follow(browsers=settings.key_max_age, users=users)
    return storage if settings.namespace is None else in_namespace(storage, settings.namespace)


def _cookie_suffix(app: Flask, namespace: str | None) -> str:
    """Return a suffix that keeps our cookies apart from those of other apps on this host.

    Such apps keep their sessions apart by name or path. A ``__Host-`` cookie has the path ``/``.
    """
    name = re.sub("^__(Host|Secure)-", "", app.config["SESSION_COOKIE_NAME"])
    path = app.config["SESSION_COOKIE_PATH"] or app.config["APPLICATION_ROOT"]
    suffix = "" if namespace is None else f"-{namespace}"
    if (name, path) == ("session", "/"):
        return suffix
    return f"{suffix}-{hashlib.sha256(f'{name} {path}'.encode()).hexdigest()[:8]}"
