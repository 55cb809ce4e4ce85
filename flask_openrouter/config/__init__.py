"""Settings, read from ``app.config`` once, checked and frozen."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from ..client.attribution import attribution_headers
from ..client.authorization import check_callback_url, checked_workspace_id
from ..client.base_url import is_openrouter, normalize_base_url
from ..client.credentials import hides_frames
from ..errors import ConfigurationError
from ..languages import LANGUAGES, match_language
from ..storage.namespace import NAMESPACE_FORM
from ..storage.weak_keys import MIN_BYTES, is_monotonous, is_weak
from .values import as_list, boolean, given, number, positive, seconds, text

logger: Final = logging.getLogger("flask_openrouter")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings of one app. Each field is documented with its setting."""

    base_url: str
    callback_url: str | None
    #: May contain a password.
    storage_uri: str | None = field(repr=False)
    #: Key material, newest first: the first encrypts and signs, all decrypt and verify.
    encryption_keys: tuple[bytes, ...] = field(repr=False)
    secret_keys: tuple[bytes, ...] = field(repr=False)
    login_max_age: int
    key_max_age: int
    #: Whether the app sets ``OPENROUTER_KEY_MAX_AGE``: then it holds for its users' keys, too.
    limits_users: bool
    request_timeout: float
    key_label: str | None
    key_limit: float | None
    #: UUIDs: the workspace to suggest to the visitor, and the only one that the key may be in.
    workspace_id: str | None
    required_workspace_id: str | None
    app_url: str | None
    app_title: str | None
    app_categories: tuple[str, ...]
    namespace: str | None
    login_redirect_url: str | None
    disconnect_redirect_url: str | None
    budget_low: float | None
    #: One of ``languages.LANGUAGES``.
    language: str | None
    emulator: bool

    @classmethod
    @hides_frames
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Read and check every ``OPENROUTER_*`` setting of a Flask config, and ``SECRET_KEY``.

        Raises :class:`ConfigurationError` that names the setting and the remedy.
        """
        development = bool(config.get("DEBUG") or config.get("TESTING"))
        emulator = boolean(config, "OPENROUTER_EMULATOR")
        secret_keys = _secret_keys(config, development=development)
        app_url, app_title, app_categories = _attribution(config)
        return cls(
            base_url=_base_url(config, loopback_allowed=development or emulator),
            callback_url=_callback_url(config),
            storage_uri=text(config, "OPENROUTER_STORAGE_URI"),
            encryption_keys=_encryption_keys(config) or secret_keys,
            secret_keys=secret_keys,
            login_max_age=seconds(config, "OPENROUTER_LOGIN_MAX_AGE", 600, most=600),
            key_max_age=seconds(config, "OPENROUTER_KEY_MAX_AGE", 31 * 86400),
            limits_users=bool(str(config.get("OPENROUTER_KEY_MAX_AGE") or "").strip()),
            request_timeout=positive(config, "OPENROUTER_REQUEST_TIMEOUT", 15.0),
            key_label=text(config, "OPENROUTER_KEY_LABEL", longest=100),
            key_limit=_dollars(config, "OPENROUTER_KEY_LIMIT", may_be_0=True),
            workspace_id=_workspace(config, "OPENROUTER_WORKSPACE_ID"),
            required_workspace_id=_workspace(config, "OPENROUTER_REQUIRED_WORKSPACE_ID"),
            app_url=app_url,
            app_title=app_title,
            app_categories=app_categories,
            namespace=_namespace(config),
            login_redirect_url=_landing(config, "OPENROUTER_LOGIN_REDIRECT_URL"),
            disconnect_redirect_url=_landing(config, "OPENROUTER_DISCONNECT_REDIRECT_URL"),
            budget_low=_dollars(config, "OPENROUTER_BUDGET_LOW", may_be_0=False),
            language=_language(config),
            emulator=emulator,
        )


def _dollars(config: Mapping[str, Any], name: str, *, may_be_0: bool) -> float | None:
    amount = number(config, name, 1)
    if amount < 0 or not (amount or may_be_0):
        least = "0 or more" if may_be_0 else "more than 0"
        raise ConfigurationError(f"{name} must be {least} USD, or be left out.")
    return None if given(config, name) is None else amount


def _workspace(config: Mapping[str, Any], name: str) -> str | None:
    value = given(config, name)
    try:
        return None if value is None else checked_workspace_id(str(value).strip())
    except ValueError:
        raise ConfigurationError(f"{name} must be a workspace's UUID, or be left out.") from None


def _base_url(config: Mapping[str, Any], *, loopback_allowed: bool) -> str:
    url = given(config, "OPENROUTER_BASE_URL")
    if url is None:
        url = "https://openrouter.ai"
    elif not isinstance(url, str):
        raise ConfigurationError("OPENROUTER_BASE_URL must be text.")
    try:
        base_url = normalize_base_url(url)
    except ConfigurationError as error:
        raise ConfigurationError(f"OPENROUTER_BASE_URL: {error}") from None
    if base_url.startswith("http://") and not loopback_allowed:
        raise ConfigurationError(
            "OPENROUTER_BASE_URL is an http address on this machine. Run the app in debug or"
            " testing mode, set OPENROUTER_EMULATOR = True, or use https://openrouter.ai."
        )
    if base_url.startswith("https://") and not is_openrouter(base_url):
        logger.warning(
            "OPENROUTER_BASE_URL is %s, not OpenRouter: visitors will be sent there to connect,"
            " and their keys come from there.",
            base_url,
        )
    return base_url


def _callback_url(config: Mapping[str, Any]) -> str | None:
    url = text(config, "OPENROUTER_CALLBACK_URL")
    if url is not None and check_callback_url(url, takes_state=True):
        raise ConfigurationError(
            "OPENROUTER_CALLBACK_URL must be the full https address of the callback route, such as"
            " https://app.example/openrouter/callback (http only on localhost), without fragment."
        )
    return url


def _attribution(config: Mapping[str, Any]) -> tuple[str | None, str | None, tuple[str, ...]]:
    app_url = text(config, "OPENROUTER_APP_URL")
    app_title = text(config, "OPENROUTER_APP_TITLE")
    categories = as_list(given(config, "OPENROUTER_APP_CATEGORIES") or ())
    if not isinstance(categories, list | tuple) or not all(isinstance(c, str) for c in categories):
        raise ConfigurationError("OPENROUTER_APP_CATEGORIES must be a list of names.")
    try:
        attribution_headers(app_url, app_title, categories)
    except ConfigurationError as error:
        name, _, problem = str(error).partition(" ")
        raise ConfigurationError(f"OPENROUTER_{name.upper()} {problem}") from None
    return app_url, app_title, tuple(categories)


def _namespace(config: Mapping[str, Any]) -> str | None:
    namespace = text(config, "OPENROUTER_NAMESPACE")
    if namespace is not None and not NAMESPACE_FORM.fullmatch(namespace):
        raise ConfigurationError(
            "OPENROUTER_NAMESPACE must be 1 to 32 letters, digits, dots, dashes or underscores."
        )
    return namespace


def _language(config: Mapping[str, Any]) -> str | None:
    name = text(config, "OPENROUTER_LANGUAGE")
    language = None if name is None else match_language(name)
    if name is not None and language is None:
        choice = ", ".join(LANGUAGES)
        raise ConfigurationError(f"OPENROUTER_LANGUAGE must be one of {choice}, or be left out.")
    return language


def _landing(config: Mapping[str, Any], name: str) -> str | None:
    url = text(config, name)
    if url is None or (url.startswith("/") and not url.startswith(("//", "/\\"))):
        return url
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_address = False
    if not is_address:
        raise ConfigurationError(
            f"{name} must be a path such as /chat, or a full http or https address."
        )
    return url


def _secret_keys(config: Mapping[str, Any], *, development: bool) -> tuple[bytes, ...]:
    """Return ``SECRET_KEY`` and its fallbacks, newest first.

    ``development``: a weak key is only logged. Raises :class:`ConfigurationError` for a key that
    is missing, malformed or weak.
    """
    secret = config.get("SECRET_KEY")
    remedy = 'Make one with: python -c "import secrets; print(secrets.token_hex())"'
    if not secret:
        raise ConfigurationError(f"SECRET_KEY is not set. {remedy}")
    fallbacks = given(config, "SECRET_KEY_FALLBACKS") or ()
    # Flask itself reads this setting, too, so it must be a list here and not the text of one.
    if not isinstance(fallbacks, Sequence) or isinstance(fallbacks, str | bytes):
        raise ConfigurationError(
            "SECRET_KEY_FALLBACKS must be a list: a single string makes each letter a key."
            " In an environment: FLASK_SECRET_KEY_FALLBACKS='[\"…\"]'."
        )
    keys = []
    for name, value in [("SECRET_KEY", secret), *(("SECRET_KEY_FALLBACKS", k) for k in fallbacks)]:
        if type(value) in (int, float):
            raise ConfigurationError(
                f"{name} must hold text or bytes, not a number. In an environment, quote digits"
                f" twice: FLASK_SECRET_KEY='\"1234…\"'. A random key is better. {remedy}"
            )
        if not isinstance(value, str | bytes):
            raise ConfigurationError(f"{name} must hold text or bytes.")
        key = value if isinstance(value, bytes) else value.encode(errors="replace")
        if isinstance(value, str) and key.decode() != value:
            raise ConfigurationError(f"{name} contains bytes that are not valid text. {remedy}")
        if is_weak(key):
            message = (
                f"{name} is too easy to guess. Use at least {MIN_BYTES} random bytes. {remedy}"
            )
            if not development or not key.strip():
                raise ConfigurationError(message)
            logger.warning("%s This is accepted in debug and testing mode only.", message)
        keys.append(key)
    return tuple(keys)


def _encryption_keys(config: Mapping[str, Any]) -> tuple[bytes, ...]:
    """Return ``OPENROUTER_ENCRYPTION_KEY`` and its fallbacks, newest first; empty if not set.

    Raises :class:`ConfigurationError` for a malformed key.
    """
    newest = given(config, "OPENROUTER_ENCRYPTION_KEY")
    # base64 has no commas.
    fallbacks = as_list(given(config, "OPENROUTER_ENCRYPTION_KEY_FALLBACKS") or ())
    if not isinstance(fallbacks, Sequence) or isinstance(fallbacks, str | bytes):
        raise ConfigurationError(
            "OPENROUTER_ENCRYPTION_KEY_FALLBACKS must be a list of keys, such as"
            ' ["…", "…"] or "…, …" in an environment.'
        )
    if newest is None:
        if fallbacks:
            raise ConfigurationError(
                "OPENROUTER_ENCRYPTION_KEY_FALLBACKS is set without OPENROUTER_ENCRYPTION_KEY."
                " Set the new key; the fallbacks only decrypt."
            )
        return ()
    return (
        _encryption_key("OPENROUTER_ENCRYPTION_KEY", newest),
        *(_encryption_key("OPENROUTER_ENCRYPTION_KEY_FALLBACKS", key) for key in fallbacks),
    )


def _encryption_key(name: str, value: object) -> bytes:
    # Even a malformed value may be a real key, so it stays out of the traceback.
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    key = b""
    if isinstance(value, str):
        with suppress(ValueError):  # includes binascii.Error
            key = base64.b64decode(value.strip(), altchars=b"-_", validate=True)
    del value
    if len(key) != 32:
        raise ConfigurationError(
            f"{name} must be 32 bytes in URL-safe base64 (44 characters)."
            " Make one with: flask openrouter generate-key"
        )
    if is_monotonous(key):
        raise ConfigurationError(
            f"{name} repeats a few bytes, so it can be guessed."
            " Make a random one with: flask openrouter generate-key"
        )
    return key
