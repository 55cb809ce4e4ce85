"""The authorization request: its parameters, checked, and PKCE (RFC 7636).

It comes as the query of ``GET /auth`` or as the body of ``POST /api/v1/auth/keys/code``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from werkzeug.datastructures import MultiDict

from .amounts import MAX_USD, is_usd
from .labels import MAX_LABEL_LENGTH, is_encodable, is_uuid
from .loopback import is_loopback_host

MAX_CALLBACK_URL_LENGTH = 2048
MAX_KEY_LABEL_LENGTH = MAX_LABEL_LENGTH
MAX_STATE_LENGTH = 4096
LIMIT_RESETS = ("daily", "weekly", "monthly")
CODE_CHALLENGE_METHODS = ("S256", "plain")

_LIMIT = f"limit must be a number of US dollars from 0 to {MAX_USD}"
_DECIMAL = re.compile(r"[0-9]{1,400}(?:\.[0-9]{1,400})?(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
# Visible ASCII without the backslash, which browsers read as a slash.
_URL_CHARACTERS = re.compile(r"[!-\[\]-~]+", re.ASCII)
# RFC 3339 section 5.6. Like OpenRouter, refuse minute precision and a missing zone.
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)
# RFC 7636 sections 4.1 and 4.2: the unreserved characters, 43 to 128 of them.
_PLAIN = re.compile(r"[A-Za-z0-9\-._~]{43,128}", re.ASCII)
# An unpadded base64url SHA-256 digest always has 43 characters.
_S256 = re.compile(r"[A-Za-z0-9\-_]{43}", re.ASCII)
# Host and port of a URL. urlsplit() would read "[::1].example" as the host "::1".
_AUTHORITY = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]+)*\.?)(?::[0-9]{1,5})?", re.ASCII
)


class InvalidAuthorization(ValueError):
    """A request that cannot be granted. The message tells the app's developer why."""


@dataclass(frozen=True, kw_only=True)
class AuthorizationRequest:
    """One checked request for a key. ``limit`` is in USD, ``expires_at`` in epoch seconds.

    ``requires_workspace``: the visitor cannot choose another workspace.
    """

    callback_url: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    limit: float | None = None
    key_label: str | None = None
    limit_reset: str | None = None
    expires_at: float | None = None
    workspace_id: str | None = None
    requires_workspace: bool = False
    state: str | None = None

    @property
    def app_name(self) -> str:
        """Name of the app. OpenRouter identifies an app by the host of its callback URL."""
        if self.callback_url is None:
            return "An app without a callback URL"
        return urlsplit(self.callback_url).netloc


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def add_parameters(url: str, parameters: Mapping[str, str]) -> str:
    """Return the URL with these parameters appended to its query."""
    if not parameters:
        return url
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode(parameters))))
    return parts._replace(query=query).geturl()


def read_query(arguments: MultiDict[str, str]) -> AuthorizationRequest:
    """Check the query of ``/auth``. Unknown parameters are ignored.

    :raises InvalidAuthorization: if it cannot be granted, or a parameter occurs twice.
    """
    for name, values in arguments.lists():
        if len(values) > 1:
            raise InvalidAuthorization(f"{name[:40]} is given more than once")
    callback_url = arguments.get("callback_url")
    limit = arguments.get("limit")
    if limit is not None and not _DECIMAL.fullmatch(limit):
        raise InvalidAuthorization(_LIMIT)
    workspace_id = arguments.get("workspace_id")
    required_workspace_id = arguments.get("required_workspace_id")
    state = arguments.get("state")
    if state is not None and len(state) > MAX_STATE_LENGTH:
        raise InvalidAuthorization(f"state is longer than {MAX_STATE_LENGTH} characters")
    code_challenge = arguments.get("code_challenge")
    if callback_url is None and code_challenge is None:
        raise InvalidAuthorization(
            "without a callback_url the code is shown on this page, and then a code_challenge is "
            "required"
        )
    return AuthorizationRequest(
        callback_url=None if callback_url is None else _check_callback_url(callback_url),
        code_challenge=code_challenge,
        code_challenge_method=_check_challenge(
            code_challenge, arguments.get("code_challenge_method")
        ),
        limit=None if limit is None else _check_limit(float(limit)),
        key_label=_check_key_label(arguments.get("key_label")),
        workspace_id=_check_workspace_id(required_workspace_id, "required_workspace_id")
        or _check_workspace_id(workspace_id),
        requires_workspace=required_workspace_id is not None,
        state=state,
    )


def read_json(body: Mapping[str, Any]) -> AuthorizationRequest:
    """Check the body of ``POST /api/v1/auth/keys/code``. Unknown fields are ignored.

    :raises InvalidAuthorization: if it cannot be granted.
    """
    texts = ("callback_url", "code_challenge", "code_challenge_method", "key_label")
    for name in (*texts, "workspace_id"):
        if name in body and not isinstance(body[name], str):
            raise InvalidAuthorization(f"{name} must be a string")
    if "callback_url" not in body:
        raise InvalidAuthorization("callback_url is required")
    limit_reset = body.get("usage_limit_type")
    if "usage_limit_type" in body and limit_reset not in LIMIT_RESETS:
        raise InvalidAuthorization(f"usage_limit_type must be one of {', '.join(LIMIT_RESETS)}")
    code_challenge = body.get("code_challenge")
    return AuthorizationRequest(
        callback_url=_check_callback_url(body["callback_url"]),
        code_challenge=code_challenge,
        code_challenge_method=_check_challenge(code_challenge, body.get("code_challenge_method")),
        limit=_check_limit(body["limit"]) if "limit" in body else None,
        key_label=_check_key_label(body.get("key_label")),
        limit_reset=limit_reset,
        expires_at=_check_expires_at(body.get("expires_at")),
        workspace_id=_check_workspace_id(body.get("workspace_id", None)),
    )


def verifies(code_verifier: str, code_challenge: str, method: str) -> bool:
    """Whether ``code_verifier`` belongs to ``code_challenge`` (RFC 7636 section 4.6)."""
    if not _PLAIN.fullmatch(code_verifier):
        return False
    computed = code_verifier
    if method == "S256":
        digest = hashlib.sha256(code_verifier.encode("ascii")).digest()
        computed = base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")
    return hmac.compare_digest(computed, code_challenge)


def _check_callback_url(url: str) -> str:
    if len(url) > MAX_CALLBACK_URL_LENGTH:
        raise InvalidAuthorization(
            f"callback_url is longer than {MAX_CALLBACK_URL_LENGTH} characters"
        )
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidAuthorization("callback_url must be an absolute http or https URL")
    if "@" in parts.netloc:
        raise InvalidAuthorization("callback_url must not contain a user name")
    if "#" in url:  # RFC 6749 section 3.1.2
        raise InvalidAuthorization("callback_url must not have a fragment")
    if not _AUTHORITY.fullmatch(parts.netloc):
        raise InvalidAuthorization("callback_url must name a host, as browsers read it")
    if parts.scheme == "http" and not is_loopback_host(parts.hostname):
        raise InvalidAuthorization(
            "callback_url must use https, or be on localhost, 127.0.0.1 or [::1]"
        )
    return url


def _split(url: str) -> SplitResult | None:
    if not _URL_CHARACTERS.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else None
    except ValueError:
        return None


def _check_challenge(code_challenge: str | None, method: str | None) -> str | None:
    if method is not None and method not in CODE_CHALLENGE_METHODS:
        raise InvalidAuthorization("code_challenge_method must be S256 or plain")
    if code_challenge is None:
        if method is not None:
            raise InvalidAuthorization("code_challenge_method is given without a code_challenge")
        return None
    method = method or "plain"  # RFC 7636 section 4.3
    pattern = _S256 if method == "S256" else _PLAIN
    if not pattern.fullmatch(code_challenge):
        raise InvalidAuthorization(f"code_challenge is not one of the method {method}")
    return method


def _check_limit(limit: object) -> float:
    if not is_usd(limit):
        raise InvalidAuthorization(_LIMIT)
    return float(limit)


def _check_key_label(key_label: str | None) -> str | None:
    if key_label is not None and len(key_label) > MAX_KEY_LABEL_LENGTH:
        raise InvalidAuthorization(f"key_label is longer than {MAX_KEY_LABEL_LENGTH} characters")
    if key_label is not None and not is_encodable(key_label):
        raise InvalidAuthorization("key_label has half of a surrogate pair")
    return key_label or None


def _check_expires_at(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, str) and _DATE_TIME.fullmatch(value):
        try:
            # It will be shown in UTC, where the first and last years may not exist.
            return _parse_date_time(value.upper()).astimezone(timezone.utc).timestamp()
        except (ValueError, OverflowError):
            pass
    raise InvalidAuthorization(
        "expires_at must be a date and time with seconds and zone, such as 2027-12-31T23:59:59Z"
    )


def _parse_date_time(value: str) -> datetime:
    # Python 3.10 parses neither "Z" nor fractions of any length.
    return datetime.fromisoformat(re.sub(r"\.[0-9]+", "", value).replace("Z", "+00:00"))


def _check_workspace_id(value: str | None, name: str = "workspace_id") -> str | None:
    if value is None:
        return None
    if not is_uuid(value):
        raise InvalidAuthorization(f"{name} must be a UUID")
    return value.lower()
