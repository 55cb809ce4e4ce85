"""The parameters of ``/auth`` and of ``/auth/keys/code``.

Sources: OpenRouter guide "OAuth PKCE" and API reference. They are checked as OpenRouter's own SDKs
check them. Every problem is a ``ValueError`` whose message names the argument.
"""

from __future__ import annotations

import math
import re
import uuid
from datetime import datetime, timezone
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from .base_url import is_loopback_host, is_valid_host
from .credentials import check_code_challenge, check_method

_WEB_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?"
    # Printable ASCII, but not the characters that programs treat differently: blank, quote, <, >,
    # backslash, ^, `, {|}.
    r"(?P<path>/[!$-;=@-\[\]_a-z~]*)?(?P<query>\?[!$-;=?-\[\]_a-z~]*)?",
    re.IGNORECASE | re.ASCII,
)
_STATE = re.compile(r"[ -~]{1,1024}")
#: RFC 3986, section 2.3.
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]*")
USAGE_LIMIT_TYPES = ("daily", "weekly", "monthly")


def build_authorization_url(
    base_url: str,
    callback_url: str | None,
    code_challenge: str | None,
    code_challenge_method: str | None,
    *,
    limit: float | None,
    key_label: str | None,
    state: str | None,
    workspace_id: str | uuid.UUID | None,
    required_workspace_id: str | uuid.UUID | None,
) -> str:
    """Return the address of OpenRouter's consent page; see ``OpenRouterClient.authorization_url``.

    :raises ValueError: if an argument breaks OpenRouter's rules.
    """
    if callback_url is None:
        if code_challenge is None:
            raise ValueError("Without callback_url (headless), OpenRouter needs a code_challenge")
        if state is not None:
            raise ValueError("state travels inside callback_url, so it needs one")
    parameters = pkce_parameters(code_challenge, code_challenge_method)
    if limit is not None:
        # Without an exponent: OpenRouter documents a number, and not every parser takes 1e-05.
        parameters["limit"] = format(Decimal(str(checked_limit(limit))), "f")
    if key_label is not None:
        parameters["key_label"] = checked_key_label(key_label)
    if workspace_id is not None:
        parameters["workspace_id"] = checked_workspace_id(workspace_id)
    if required_workspace_id is not None:
        parameters["required_workspace_id"] = checked_workspace_id(
            required_workspace_id, "required_workspace_id"
        )
    pairs = [f"{name}={_encoded(value)}" for name, value in parameters.items()]
    if callback_url is not None:
        start, end = _split_callback(callback_url, state)
        pairs.insert(0, f"callback_url={_encoded_once(start)}{_encoded(end)}")
    return f"{base_url}/auth?{'&'.join(pairs)}"


def build_auth_code_request(
    callback_url: str,
    code_challenge: str | None,
    code_challenge_method: str | None,
    *,
    expires_at: datetime | None,
    key_label: str | None,
    limit: float | None,
    usage_limit_type: str | None,
    workspace_id: str | uuid.UUID | None,
) -> dict[str, Any]:
    """Return the JSON body of ``POST /api/v1/auth/keys/code``, without parameters that are None.

    :raises ValueError: if an argument breaks OpenRouter's rules.
    """
    body: dict[str, Any] = {"callback_url": callback_with_state(callback_url, None)}
    body |= pkce_parameters(code_challenge, code_challenge_method)
    if expires_at is not None:
        body["expires_at"] = _utc_with_seconds(expires_at)
    if key_label is not None:
        body["key_label"] = checked_key_label(key_label)
    if limit is not None:
        body["limit"] = checked_limit(limit)
    if usage_limit_type is not None:
        if usage_limit_type not in USAGE_LIMIT_TYPES:
            raise ValueError('usage_limit_type must be "daily", "weekly" or "monthly"')
        body["usage_limit_type"] = usage_limit_type
    if workspace_id is not None:
        body["workspace_id"] = checked_workspace_id(workspace_id)
    return body


def check_web_url(url: object) -> str | None:
    """Return what is wrong with an absolute http(s) URL, as "must ...", or None."""
    match = _WEB_URL.fullmatch(url) if isinstance(url, str) else None
    if match is None or not is_valid_host(match["host"].lower()):
        return (
            "must be an absolute http(s) URL of plain ASCII characters, without user name and "
            "fragment"
        )
    if match["port"] and not 0 < int(match["port"]) < 65536:
        return "must have a port between 1 and 65535"
    return None


def callback_with_state(callback_url: str, state: str | None) -> str:
    """Return ``callback_url`` with ``state`` added to its query; the rest stays as it is.

    :raises ValueError: if the URL is not https, or http on loopback; if it has a fragment, a user
        name, a ``code`` (OpenRouter adds that) or, when one is to be added, a ``state``.
    """
    return "".join(_split_callback(callback_url, state))


def _split_callback(callback_url: str, state: str | None) -> tuple[str, str]:
    """Return the part that is the same for each login, and the state."""
    if not isinstance(callback_url, str):
        raise ValueError("callback_url must be a text")
    if problem := check_callback_url(callback_url, takes_state=state is not None):
        raise ValueError(f"callback_url {problem}")
    if state is None:
        return callback_url, ""
    if not (isinstance(state, str) and _STATE.fullmatch(state)):
        raise ValueError("state must be 1 to 1024 printable ASCII characters (RFC 6749 §A.5)")
    separator = "?" if "?" not in callback_url else "" if callback_url[-1] in "?&" else "&"
    return f"{callback_url}{separator}state=", _encoded(state)


def _encoded(value: str) -> str:
    # Most values need no encoding, which quote() takes long to find out.
    return value if _UNRESERVED.fullmatch(value) else quote(value, safe="")


_encoded_once = lru_cache(maxsize=64)(_encoded)


# An app has few callback URLs, and each login checks its own twice.
@lru_cache(maxsize=64)
def check_callback_url(callback_url: str, *, takes_state: bool) -> str | None:
    """Return what is wrong with a callback URL, as "must ...", or None.

    ``takes_state``: whether a ``state`` will be added.
    """
    if problem := check_web_url(callback_url):
        return problem
    match = _WEB_URL.fullmatch(callback_url)
    assert match is not None  # noqa: S101 - check_web_url has just matched it
    if match["scheme"].lower() == "http" and not is_loopback_host(match["host"].lower()):
        return "must use https; OpenRouter takes plain http on localhost and 127.0.0.1 only"
    for name in ("code", "state") if takes_state else ("code",):
        if re.search(rf"[?&]{name}(?:=|&|$)", match["query"] or ""):
            return f"must not have a {name} parameter of its own"
    return None


def pkce_parameters(code_challenge: str | None, method: str | None) -> dict[str, str]:
    """Return the PKCE parameters; the method of a challenge is ``S256`` by default.

    :raises ValueError: if there is a method without a challenge, or either is malformed.
    """
    if code_challenge is None:
        if method is not None:
            raise ValueError("code_challenge_method without code_challenge means nothing")
        return {}
    method = "S256" if method is None else method
    if problem := check_method(method) or check_code_challenge(code_challenge, method):
        raise ValueError(problem)
    return {"code_challenge": code_challenge, "code_challenge_method": method}


def checked_limit(limit: float) -> float:
    """Return a spending limit in USD, a whole number as int.

    :raises ValueError: unless it is a finite number >= 0. 0 is a limit: a key that cannot spend.
    """
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        raise ValueError("limit must be a number of US dollars")
    if not math.isfinite(limit) or limit < 0:
        raise ValueError("limit must be 0 or more US dollars")
    return int(limit) if limit == int(limit) else limit


def checked_key_label(key_label: str) -> str:
    """Return a key's label. :raises ValueError: unless it has 1 to 100 printable characters."""
    if not isinstance(key_label, str) or not 1 <= len(key_label) <= 100:
        raise ValueError("key_label must have 1 to 100 characters")
    if not key_label.isprintable():
        raise ValueError("key_label must not contain control characters")
    return key_label


def checked_workspace_id(value: str | uuid.UUID, name: str = "workspace_id") -> str:
    """Return a workspace's id with dashes, in lower case. ``name``: of the argument.

    :raises ValueError: unless it is a UUID.
    """
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise ValueError(f"{name} must be a UUID") from None


def _utc_with_seconds(moment: datetime) -> str:
    """Return a time in UTC with seconds, which OpenRouter requires. A zone is required, too."""
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise ValueError("expires_at must be a datetime with a time zone")
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
