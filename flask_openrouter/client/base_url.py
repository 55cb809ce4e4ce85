"""The base URL: which ones are accepted, and the addresses of OpenRouter's pages below it.

OpenRouter is exactly ``https://openrouter.ai``. A key sent to a look-alike is stolen, so similar
hosts are refused. Another https host is the operator's choice (a gateway, a clone). Plain http is
for loopback only, which cannot be intercepted on a network (RFC 8252 §8.3).
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import unquote, urlsplit

from ..errors import ConfigurationError

OPENROUTER = "https://openrouter.ai"

_BASE_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?:/api/v1)?/?",
    re.IGNORECASE | re.ASCII,
)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_DEFAULT_PORTS = {"https": 443, "http": 80}
#: Digits that look like letters.
_HOMOGLYPHS = str.maketrans("01358", "olesb")
_DID_YOU_MEAN = f"did you mean {OPENROUTER}?"


def normalize_base_url(url: str) -> str:
    """Return the origin of ``url``, e.g. ``https://openrouter.ai``, lower-case and without slash.

    Accepted: an https origin, or an http origin on loopback (``localhost``, ``127.0.0.0/8``,
    ``[::1]``), each with an optional port, and with or without ``/`` or the API root ``/api/v1``.

    :raises ConfigurationError: for anything else, and for a host that looks like OpenRouter's.
    """
    match = _BASE_URL.fullmatch(url) if isinstance(url, str) else None
    if match is None:
        # The message does not repeat the value, which may hold a password.
        hint = f"; {_DID_YOU_MEAN}" if _mentions_openrouter(url) else ""
        raise ConfigurationError(
            f"The base URL must be an origin such as {OPENROUTER}, nothing more{hint}"
        )
    scheme, host = match["scheme"].lower(), _normal_host(match["host"].lower())
    port = int(match["port"] or _DEFAULT_PORTS[scheme])
    if not 0 < port < 65536:
        raise ConfigurationError("The port of the base URL must be between 1 and 65535")
    origin = f"{scheme}://{host}"
    if port != _DEFAULT_PORTS[scheme]:
        origin += f":{port}"
    if origin == OPENROUTER:
        return origin
    if _looks_like_openrouter(host):
        raise ConfigurationError(f"The base URL is not OpenRouter's; {_DID_YOU_MEAN}")
    if scheme == "http" and not is_loopback_host(host):
        raise ConfigurationError(
            "The base URL must use https; plain http is for localhost, 127.0.0.1 and [::1] only"
        )
    return origin


def keys_url(base_url: str) -> str:
    """Return the address of a visitor's list of keys."""
    return f"{base_url}/settings/keys"


def key_url(base_url: str, key_hash: str) -> str:
    """Return where the owner of a key can limit or delete it (OpenRouter guide "OAuth PKCE")."""
    return f"{base_url}/keys/{key_hash}"


def logs_url(base_url: str, key_hash: str) -> str:
    """Return where the owner of a key can see what was spent with it."""
    return f"{base_url}/logs?api_key_hash={key_hash}"


def credits_url(base_url: str) -> str:
    """Return where a visitor can add credit to their account."""
    return f"{base_url}/settings/credits"


def privacy_url(base_url: str) -> str:
    """Return where a visitor can choose which providers may see their data."""
    return f"{base_url}/settings/privacy"


def guardrails_url(base_url: str) -> str:
    """Return where the admin of an account can change its guardrails and their budgets."""
    return f"{base_url}/settings/guardrails"


def is_below(root: str, url: str) -> bool:
    """Whether an address is below this root, also for a server that decodes its path first."""
    if not url.startswith(root):
        return False
    return ".." not in unquote(urlsplit(url).path).replace("\\", "/").split("/")


def is_openrouter(base_url: str) -> bool:
    """Whether a normalised base URL is OpenRouter itself."""
    return base_url == OPENROUTER


def is_loopback_url(base_url: str) -> bool:
    """Whether a normalised base URL is on this machine's loopback interface."""
    host = base_url.partition("://")[2]
    return is_loopback_host(re.sub(r":[0-9]+$", "", host))


def is_loopback_host(host: str) -> bool:
    """Whether a lower-case host is ``localhost``, ``127.0.0.0/8`` in four parts, or ``[::1]``."""
    if host in {"localhost", "[::1]"}:
        return True
    try:
        return host.startswith("127.") and ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False


def is_valid_host(host: str) -> bool:
    """Whether a lower-case ASCII host is a plain DNS name, an IPv4 or a bracketed IPv6 address.

    Refuses a trailing dot, empty labels, and the many other spellings of an IPv4 address
    (``2130706433``, ``0x7f.1``, ``127.1``) on which programs disagree.
    """
    try:
        if host.startswith("["):
            ipaddress.IPv6Address(host[1:-1])
            return True
        labels = host.split(".")
        if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
            ipaddress.IPv4Address(host)
            return True
    except ValueError:
        return False
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)


def _normal_host(host: str) -> str:
    if not is_valid_host(host):
        hint = f"; {_DID_YOU_MEAN}" if _mentions_openrouter(host) else ""
        raise ConfigurationError(f"The host of the base URL is malformed{hint}")
    if host.startswith("["):
        return f"[{ipaddress.IPv6Address(host[1:-1])}]"
    return host


def _looks_like_openrouter(host: str) -> bool:
    labels = host.translate(_HOMOGLYPHS).split(".")
    if any(label.startswith("xn--") for label in host.split(".")):
        return True
    if "openrouter.ai" in ".".join(labels):
        return True
    if len(labels) == 3 and labels[0] in {"www", "api"}:
        labels = labels[1:]
    if len(labels) != 2:
        return False
    name = labels[0].replace("-", "")
    return name.startswith("openrouter") or _distance(name, "openrouter") <= 2


def _mentions_openrouter(url: object) -> bool:
    """Whether a malformed value was probably meant to be OpenRouter's address."""
    text = str(url).lower()
    if not text.isascii():
        return True
    words = re.split(r"[^a-z0-9-]+", text.translate(_HOMOGLYPHS))
    # Joined, too: a blank or a tab may be in the middle of the name.
    return any(_distance(word, "openrouter") <= 2 for word in words) or "openrouter" in "".join(
        words
    )


def _distance(a: str, b: str) -> int:
    """Return the Levenshtein distance of two short words."""
    if abs(len(a) - len(b)) > 2:
        return 3  # More than any caller asks for; saves time on long input.
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]
