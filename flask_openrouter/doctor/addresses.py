"""Where OpenRouter sends visitors back to."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from werkzeug.sansio.utils import host_is_trusted

from .case import Case
from .finding import Finding, problem, warning


def check_callback_url(case: Case) -> Iterator[Finding]:
    """Find a callback address that leads elsewhere, or that a visitor may forge."""
    config = case.app.config
    trusted: list[str] | None = config["TRUSTED_HOSTS"]
    if case.settings.callback_url is None:
        if not case.site.is_known and not case.is_development:
            yield warning(
                "host_not_fixed",
                "The callback address is taken from the request's Host header, which a visitor may"
                " forge.",
                "Set OPENROUTER_CALLBACK_URL, or Flask's TRUSTED_HOSTS or SERVER_NAME.",
            )
    else:
        yield from _check_setting(case)
    if trusted and case.site.is_known and not host_is_trusted(case.site.host, trusted):
        yield problem(
            "callback_host_refused",
            f"TRUSTED_HOSTS does not contain {case.site.hostname}, to which visitors come back:"
            " the app refuses their callback.",
            "Add the host to TRUSTED_HOSTS, or correct OPENROUTER_CALLBACK_URL or SERVER_NAME.",
        )


def _check_setting(case: Case) -> Iterator[Finding]:
    route = case.path_of("openrouter.callback")
    # There may be more in front of it, where a server mounts the app below a path.
    if not case.callback_path.endswith(route):
        yield problem(
            "callback_path",
            f"OPENROUTER_CALLBACK_URL does not end with {route}, the callback route of this app.",
            f"Let it end with {route}, or set the extension's url_prefix.",
        )
    name: str | None = case.app.config["SERVER_NAME"]
    start = urlsplit(f"//{name}").hostname if name else None
    domain = case.app.session_interface.get_cookie_domain(case.app)
    if start is not None and start != case.site.hostname and domain is None:
        yield problem(
            "callback_host",
            f"SERVER_NAME is {start}, and OPENROUTER_CALLBACK_URL is on {case.site.hostname}: the"
            " two do not share cookies, so a login that starts on one is lost on the other.",
            "Name the same host in both.",
        )
