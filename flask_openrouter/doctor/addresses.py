"""The address to which OpenRouter sends visitors back."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from werkzeug.sansio.utils import host_is_trusted

from .case import Case
from .finding import Finding, problem, warning


def check_callback_url(case: Case) -> Iterator[Finding]:
    """Find a callback URL that leads elsewhere, or that a visitor can forge."""
    config = case.app.config
    trusted: list[str] | None = config.get("TRUSTED_HOSTS")
    if case.settings.callback_url is None:
        if not case.site.is_known and not case.is_development:
            yield warning(
                "host_not_fixed",
                "The callback URL is built from the request's Host header, which a visitor can"
                " forge.",
                "Set OPENROUTER_CALLBACK_URL, or Flask's TRUSTED_HOSTS or SERVER_NAME.",
            )
    else:
        yield from _check_setting(case)
    if trusted and case.site.is_known and not host_is_trusted(case.site.host, trusted):
        yield problem(
            "callback_host_refused",
            f"TRUSTED_HOSTS does not contain {case.site.hostname}, the host of the callback URL,"
            " so the app refuses every callback.",
            "Add the host to TRUSTED_HOSTS, or correct OPENROUTER_CALLBACK_URL or SERVER_NAME.",
        )


def _check_setting(case: Case) -> Iterator[Finding]:
    route = case.path_of("openrouter.callback")
    # The server may mount the app below a path, so the URL may have more before the route.
    if not case.callback_path.endswith(route):
        yield problem(
            "callback_path",
            f"OPENROUTER_CALLBACK_URL does not end with {route}, the callback route of this app.",
            f"Make it end with {route}, or change the extension's url_prefix.",
        )
    name: str | None = case.app.config["SERVER_NAME"]
    server = urlsplit(f"//{name}").hostname if name else None
    domain = case.app.session_interface.get_cookie_domain(case.app)
    if server is not None and server != case.site.hostname and domain is None:
        yield problem(
            "callback_host",
            f"SERVER_NAME is {server}, but OPENROUTER_CALLBACK_URL is on {case.site.hostname}. The"
            " two hosts do not share cookies, so a login that starts on one is lost on the other.",
            "Use the same host in both.",
        )
