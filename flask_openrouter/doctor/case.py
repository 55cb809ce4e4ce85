"""The app that is examined, and the address at which its visitors find it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from flask import Flask

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
        if config["SERVER_NAME"] or config.get("TRUSTED_HOSTS"):
            host = config["SERVER_NAME"] or config["TRUSTED_HOSTS"][0].removeprefix(".")
            is_local = is_loopback_host(urlsplit(f"//{host}").hostname or "")
            # OpenRouter sends visitors back to a public host by https only.
            return Site(config["PREFERRED_URL_SCHEME"] if is_local else "https", host)
        if self.is_development:
            return Site("http", "localhost", is_known=False)
        return Site("https", _PLACEHOLDER_HOST, is_known=False)

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
