"""The network settings in the machine's environment, read once.

Only those that an operator sets on purpose: proxies, the certificate bundle and the log of TLS
keys, never ``.netrc``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ..errors import ConfigurationError
from .base_url import is_loopback_url

#: The first that is set is used. requests reads the first two, OpenSSL the third.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@dataclass(frozen=True)
class Environment:
    """A proxy, a certificate bundle, and a resolver.

    ``proxy``: the proxy's URL, which may hold a password, or None. ``ca_bundle``: path of a file or
    directory of trusted certificates; None for certifi's. ``resolver``: used instead of
    ``socket.getaddrinfo``, and never read from the environment. ``key_log``: path of a file for the
    keys of TLS sessions, with which developers read recorded traffic, or None.
    """

    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    resolver: Callable[..., Iterable[tuple[Any, ...]]] | None = field(default=None, repr=False)
    key_log: str | None = None

    @classmethod
    def read(cls, base_url: str) -> Environment:
        """Read the environment for requests to ``base_url``.

        :raises ConfigurationError: if the bundle does not exist, or the proxy is a SOCKS proxy,
            through which the time limit cannot be kept.
        """
        key_log = os.environ.get("SSLKEYLOGFILE") or None
        return cls(_proxy_for(base_url), _ca_bundle(), key_log=key_log)


def _proxy_for(base_url: str) -> str | None:
    if is_loopback_url(base_url):
        return None
    from urllib.request import getproxies

    if not getproxies():
        return None
    # Python programmers know requests' rules for NO_PROXY. Imported here because, without a proxy,
    # requests is not needed before the first call.
    from requests.utils import get_environ_proxies, select_proxy

    proxy: str | None = select_proxy(base_url, get_environ_proxies(base_url))
    if not proxy:
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if not proxy.lower().startswith(("http://", "https://")):
        raise ConfigurationError(
            "The environment names a proxy that is neither http nor https; set HTTPS_PROXY to one "
            "that is, or add the host of the base URL to NO_PROXY"
        )
    return proxy


def _ca_bundle() -> str | None:
    for name in CA_VARIABLES:
        path = os.environ.get(name)
        if path:
            if not os.path.exists(path):
                raise ConfigurationError(
                    f"{name} names a file that does not exist; correct or unset it"
                )
            return path
    return None
