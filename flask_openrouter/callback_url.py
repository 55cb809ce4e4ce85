"""The address to which OpenRouter sends visitors back."""

from __future__ import annotations

import logging
from typing import Final

from flask import url_for
from werkzeug.urls import iri_to_uri

from .client.authorization import check_callback_url
from .client.base_url import is_loopback_url
from .current import this_app, this_request
from .errors import LoginError
from .services import Services

logger: Final = logging.getLogger("flask_openrouter")

SECURE_ON_HTTP: Final = (
    "SESSION_COOKIE_SECURE is set, and visitors come back to plain http (%s): browsers may not keep"
    " the session there, and no login can be finished. Use https, or unset it for development."
)


def callback_url_for(services: Services) -> str:
    """Return the callback address for this request.

    ``OPENROUTER_CALLBACK_URL``, or else the callback route on this request's host. Raises
    :class:`LoginError` with reason ``insecure_address`` when OpenRouter would not send anybody
    there.
    """
    if services.settings.callback_url is not None:
        return services.settings.callback_url
    url = url_for("openrouter.callback", _external=True)
    if check_callback_url(url, takes_state=True):
        # Werkzeug leaves the name under which the app is mounted as it is.
        url = iri_to_uri(url)
    if check_callback_url(url, takes_state=True):
        raise LoginError(
            "OpenRouter sends visitors back to https addresses or localhost only. Behind a proxy"
            " add werkzeug's ProxyFix, or set OPENROUTER_CALLBACK_URL.",
            reason="insecure_address",
        )
    _warn_of_open_host(services, url)
    _warn_of_secure_cookie(services, url)
    return url


def _warn_of_secure_cookie(services: Services, url: str) -> None:
    if not this_app().config["SESSION_COOKIE_SECURE"] or url.startswith("https:"):
        return
    if "secure" not in services.warned:
        services.warned.add("secure")
        logger.warning(SECURE_ON_HTTP, url)


def _warn_of_open_host(services: Services, url: str) -> None:
    config = this_app().config
    if config["SERVER_NAME"] or config["TRUSTED_HOSTS"] or "host" in services.warned:
        return
    scheme, host = url.lower().split("/", 3)[0:3:2]
    if is_loopback_url(f"{scheme}//{host}"):
        return
    services.warned.add("host")
    logger.warning(
        "The callback address is taken from the request's Host header (%s), which a visitor may"
        " forge. Set OPENROUTER_CALLBACK_URL, or Flask's TRUSTED_HOSTS or SERVER_NAME.",
        this_request().host,
    )
