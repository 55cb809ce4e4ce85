"""The address to which OpenRouter sends visitors back."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from werkzeug.sansio.utils import host_is_trusted

from .case import Case, is_local
from .finding import Finding, problem, warning


def check_callback_url(case: Case) -> Iterator[Finding]:
    """Find a callback URL that leads elsewhere, or that a visitor can forge."""
    trusted = case.trusted_hosts
    if isinstance(case.app.config.get("TRUSTED_HOSTS"), str) and not _is_host(trusted[0]):
        yield problem(
            "trusted_hosts_text",
            "TRUSTED_HOSTS is a text, not a list, so the app refuses every request (HTTP 400).",
            "Set a list. In the environment it is JSON, and the shell must keep its quotes:"
            """ FLASK_TRUSTED_HOSTS='["app.example"]'.""",
        )
        return
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
    is_named = case.settings.callback_url is not None or case.app.config["SERVER_NAME"]
    if is_named and is_local(case.site.host) and not case.is_development:
        yield problem(
            "callback_on_this_machine",
            f"The callback URL is on {case.site.host}, but the app runs in production mode."
            " OpenRouter sends every visitor to their own machine.",
            "Set OPENROUTER_CALLBACK_URL, or SERVER_NAME, to the public address. On a developer's"
            " machine, use debug mode instead.",
        )
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
            f"SERVER_NAME is {server}, but OPENROUTER_CALLBACK_URL is on {case.site.hostname}. They"
            " share no cookies, so logins are lost.",
            "Use the same host in both.",
        )


def _is_host(text: str) -> bool:
    """Whether this can be a host, and not several, or a list as text."""
    return not set(text) & set("[]{}()'\", \t")
