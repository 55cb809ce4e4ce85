"""The settings: read from ``app.config`` once, checked, frozen."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from . import key_material
from .client.attribution import attribution_headers
from .client.authorization import check_callback_url
from .client.base_url import is_openrouter, normalize_base_url
from .errors import ConfigurationError

logger: Final = logging.getLogger("flask_openrouter")

_HUGE: Final = 10**12


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What the operator of one app decided. Each field is documented with its setting."""

    base_url: str
    callback_url: str | None
    #: May hold a password.
    storage_uri: str | None = field(repr=False)
    #: Key material, newest first: the first encrypts and signs, all decrypt and verify.
    encryption_keys: tuple[bytes, ...] = field(repr=False)
    secret_keys: tuple[bytes, ...] = field(repr=False)
    login_max_age: int
    key_max_age: int
    request_timeout: float
    key_label: str | None
    key_limit: float | None
    app_url: str | None
    app_title: str | None
    app_categories: tuple[str, ...]
    login_redirect_url: str | None
    disconnect_redirect_url: str | None
    emulator: bool

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Read and check every ``OPENROUTER_*`` setting of a Flask config, and ``SECRET_KEY``.

        Raises :class:`ConfigurationError` naming the setting and the remedy.
        """
        development = bool(config.get("DEBUG") or config.get("TESTING"))
        emulator = _boolean(config, "OPENROUTER_EMULATOR")
        secret_keys = key_material.secret_keys(config, development=development)
        app_url, app_title, app_categories = _attribution(config)
        return cls(
            base_url=_base_url(config, loopback_allowed=development or emulator),
            callback_url=_callback_url(config),
            storage_uri=_text(config, "OPENROUTER_STORAGE_URI"),
            encryption_keys=key_material.encryption_keys(config) or secret_keys,
            secret_keys=secret_keys,
            login_max_age=_seconds(config, "OPENROUTER_LOGIN_MAX_AGE", 600, most=600),
            key_max_age=_seconds(config, "OPENROUTER_KEY_MAX_AGE", 31 * 86400),
            request_timeout=_positive(config, "OPENROUTER_REQUEST_TIMEOUT", 15.0),
            key_label=_text(config, "OPENROUTER_KEY_LABEL", longest=100),
            key_limit=_limit(config),
            app_url=app_url,
            app_title=app_title,
            app_categories=app_categories,
            login_redirect_url=_landing(config, "OPENROUTER_LOGIN_REDIRECT_URL"),
            disconnect_redirect_url=_landing(config, "OPENROUTER_DISCONNECT_REDIRECT_URL"),
            emulator=emulator,
        )


def _boolean(config: Mapping[str, Any], name: str) -> bool:
    value = config.get(name, False)
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False.")
    return value


def _text(config: Mapping[str, Any], name: str, *, longest: int = 2048) -> str | None:
    value = config.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ConfigurationError(f"{name} must be a non-empty text on one line, or left out.")
    if len(value) > longest:
        raise ConfigurationError(f"{name} must have at most {longest} characters.")
    return value


def _number(config: Mapping[str, Any], name: str, default: float) -> float:
    value = config.get(name, default)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Whatever is meant, it is less than this; and neither infinite nor "not a number".
    if not is_number or not -_HUGE < value < _HUGE:
        raise ConfigurationError(f"{name} must be a number.")
    number: float = value
    return number


def _positive(config: Mapping[str, Any], name: str, default: float) -> float:
    value = _number(config, name, default)
    if value <= 0:
        raise ConfigurationError(f"{name} must be more than 0 seconds.")
    return value


def _seconds(config: Mapping[str, Any], name: str, default: int, *, most: float = _HUGE) -> int:
    value = _positive(config, name, default)
    if value != int(value):
        raise ConfigurationError(f"{name} must be a whole number of seconds.")
    if value > most:
        raise ConfigurationError(
            f"{name} must be at most {most} seconds: OpenRouter's codes live no longer."
        )
    return int(value)


def _limit(config: Mapping[str, Any]) -> float | None:
    if config.get("OPENROUTER_KEY_LIMIT") is None:
        return None
    limit = _number(config, "OPENROUTER_KEY_LIMIT", 0)
    if limit < 0:
        raise ConfigurationError("OPENROUTER_KEY_LIMIT must be 0 or more USD, or left out.")
    return limit


def _base_url(config: Mapping[str, Any], *, loopback_allowed: bool) -> str:
    url = config.get("OPENROUTER_BASE_URL", "https://openrouter.ai")
    if not isinstance(url, str):
        raise ConfigurationError("OPENROUTER_BASE_URL must be a text.")
    try:
        base_url = normalize_base_url(url)
    except ConfigurationError as error:
        raise ConfigurationError(f"OPENROUTER_BASE_URL: {error}") from None
    if base_url.startswith("http://") and not loopback_allowed:
        raise ConfigurationError(
            "OPENROUTER_BASE_URL is an http address on this machine, which is only right for"
            " development: run the app in debug or testing mode, set OPENROUTER_EMULATOR = True,"
            " or use https://openrouter.ai."
        )
    if base_url.startswith("https://") and not is_openrouter(base_url):
        logger.warning(
            "OPENROUTER_BASE_URL is %s, not OpenRouter: visitors will be sent there to connect,"
            " and their keys come from there.",
            base_url,
        )
    return base_url


def _callback_url(config: Mapping[str, Any]) -> str | None:
    url = _text(config, "OPENROUTER_CALLBACK_URL")
    if url is not None and check_callback_url(url, takes_state=True):
        raise ConfigurationError(
            "OPENROUTER_CALLBACK_URL must be the full https address of the callback route, such as"
            " https://app.example/openrouter/callback (http only on localhost), without fragment."
        )
    return url


def _attribution(config: Mapping[str, Any]) -> tuple[str | None, str | None, tuple[str, ...]]:
    app_url = _text(config, "OPENROUTER_APP_URL")
    app_title = _text(config, "OPENROUTER_APP_TITLE")
    categories = config.get("OPENROUTER_APP_CATEGORIES") or ()
    if isinstance(categories, str):
        # As the header has it, and as an environment variable can hold it.
        categories = [name.strip() for name in categories.split(",")]
    if not isinstance(categories, list | tuple) or not all(isinstance(c, str) for c in categories):
        raise ConfigurationError("OPENROUTER_APP_CATEGORIES must be a list of names.")
    try:
        attribution_headers(app_url, app_title, categories)
    except ConfigurationError as error:
        name, _, problem = str(error).partition(" ")
        raise ConfigurationError(f"OPENROUTER_{name.upper()} {problem}") from None
    return app_url, app_title, tuple(categories)


def _landing(config: Mapping[str, Any], name: str) -> str | None:
    url = _text(config, name)
    if url is None or (url.startswith("/") and not url.startswith(("//", "/\\"))):
        return url
    if not _is_web_address(url):
        raise ConfigurationError(
            f"{name} must be a path such as /chat, or a full http or https address."
        )
    return url


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
