"""The app that is examined, and the address at which its visitors find it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from flask import Flask
from flask.ctx import RequestContext

from ..client.base_url import is_loopback_host
from ..config import Settings
from ..services import Services
from ..web import EXTENSION_KEY

#: Used when no setting names the public host (RFC 2606).
_PLACEHOLDER_HOST: Final = "app.example"


@dataclass(frozen=True)
class Site:
    """An origin: ``http`` or ``https``, and a host with an optional port."""

    scheme: str
    host: str
    #: Whether a setting of the app names it.
    is_known: bool = True

    @property
    def hostname(self) -> str:
        """The host in lower case, without its port and without the brackets of IPv6."""
        return urlsplit(f"//{self.host}").hostname or ""


def is_local(host: str) -> bool:
    """Whether a host, with or without a port, is the machine of the visitor."""
    name = urlsplit(f"//{host}").hostname or ""
    # RFC 6761 §6.3: names below localhost, too.
    return name.endswith(".localhost") or is_loopback_host(f"[{name}]" if ":" in name else name)


def _is_address(host: str) -> bool:
    try:
        ip_address(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Case:
    """One app under examination."""

    app: Flask
    services: Services

    @classmethod
    def of(cls, app: Flask) -> Case:
        """Return the case of an app that has the extension."""
        return cls(app, app.extensions[EXTENSION_KEY])

    @property
    def settings(self) -> Settings:
        """The settings in effect."""
        return self.services.settings

    @property
    def is_development(self) -> bool:
        """Whether the app runs in debug or testing mode."""
        return self.app.debug or self.app.testing

    @property
    def site(self) -> Site:
        """The origin of the app, as far as its settings name it."""
        config = self.app.config
        if self.settings.callback_url is not None:
            parts = urlsplit(self.settings.callback_url)
            return Site(parts.scheme, parts.netloc)
        if host := config["SERVER_NAME"] or self._trusted_host:
            # OpenRouter sends visitors back to a public host by https only.
            return Site(config["PREFERRED_URL_SCHEME"] if is_local(host) else "https", host)
        if self.is_development:
            return Site("http", "localhost", is_known=False)
        return Site("https", _PLACEHOLDER_HOST, is_known=False)

    @property
    def trusted_hosts(self) -> Sequence[str]:
        """Flask's TRUSTED_HOSTS. A text counts as one host, as it does for Werkzeug."""
        hosts = self.app.config.get("TRUSTED_HOSTS") or ()
        return (hosts,) if isinstance(hosts, str) else tuple(map(str, hosts))

    @property
    def _trusted_host(self) -> str | None:
        """The host of visitors among the trusted ones. Others are there for health checks."""
        hosts = [host.removeprefix(".") for host in self.trusted_hosts]
        public = [host for host in hosts if not is_local(host) and not _is_address(host)]
        return next(iter(public or hosts), None)

    def request(self) -> RequestContext:
        """Return a context as in a visit, for functions of the app that need one."""
        return self.app.test_request_context(
            self.path_of("openrouter.login"), base_url=f"{self.site.scheme}://{self.site.host}"
        )

    def path_of(self, endpoint: str) -> str:
        """Return the path of an extension route inside the app, such as ``/openrouter/login``."""
        return urlsplit(self.app.url_map.bind(self.site.host).build(endpoint)).path

    @property
    def callback_path(self) -> str:
        """The path of the callback route as browsers see it."""
        if self.settings.callback_url is not None:
            return urlsplit(self.settings.callback_url).path
        root: str = self.app.config["APPLICATION_ROOT"]
        return root.rstrip("/") + self.path_of("openrouter.callback")
