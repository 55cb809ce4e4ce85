"""The session cookie, in which a login waits: will the browser bring it back?"""

from __future__ import annotations

from collections.abc import Iterator

from .case import Case, Site
from .finding import Finding, problem, warning


def check_session_cookie(case: Case) -> Iterator[Finding]:
    """Find what keeps the session cookie from the callback, at the address that is configured."""
    site = case.site
    yield from check_attributes(case)
    yield from check_reach(case, site, case.callback_path)
    interface = case.app.session_interface
    is_secure = interface.get_cookie_secure(case.app)
    if site.scheme == "https" and site.is_known and not is_secure and not case.is_development:
        yield warning(
            "session_cookie_not_secure",
            "The site is visited by https, and SESSION_COOKIE_SECURE is not set: whoever makes a"
            " browser ask by http can read the session.",
            "Set SESSION_COOKIE_SECURE = True.",
        )
    lifetime = case.app.permanent_session_lifetime.total_seconds()
    if lifetime < case.settings.login_max_age:
        yield warning(
            "session_lifetime",
            f"PERMANENT_SESSION_LIFETIME is {lifetime:.0f} seconds: a login that takes longer is"
            " lost.",
            f"Set it to {case.settings.login_max_age} seconds or more.",
        )


def check_attributes(case: Case) -> Iterator[Finding]:
    """Find attributes with which no browser takes or returns the cookie, wherever the site is."""
    app, interface = case.app, case.app.session_interface
    is_secure = interface.get_cookie_secure(app)
    value = interface.get_cookie_samesite(app)
    same_site = str(value).lower()
    if same_site == "strict":
        yield problem(
            "session_cookie_samesite",
            "SESSION_COOKIE_SAMESITE is 'Strict': browsers do not send the session when a visitor"
            " comes back from OpenRouter, and no login can be finished.",
            "Set SESSION_COOKIE_SAMESITE = 'Lax'.",
        )
    elif same_site not in ("lax", "none"):
        yield problem(
            "session_cookie_samesite",
            f"SESSION_COOKIE_SAMESITE is {value!r}; there are 'Lax', 'Strict' and 'None'. With"
            " anything else saving the session fails.",
            "Set SESSION_COOKIE_SAMESITE = 'Lax'.",
        )
    elif same_site == "none" and value and not is_secure:
        yield problem(
            "session_cookie_samesite",
            "SESSION_COOKIE_SAMESITE is 'None' without SESSION_COOKIE_SECURE: browsers drop such a"
            " cookie.",
            "Set SESSION_COOKIE_SAMESITE = 'Lax', or SESSION_COOKIE_SECURE = True.",
        )
    name = interface.get_cookie_name(app)
    is_bare = interface.get_cookie_domain(app) is None and interface.get_cookie_path(app) == "/"
    is_host_cookie = name.lower().startswith("__host-")
    needs_secure = is_host_cookie or name.lower().startswith("__secure-")
    if (needs_secure and not is_secure) or (is_host_cookie and not is_bare):
        yield problem(
            "session_cookie_prefix",
            "The prefix of SESSION_COOKIE_NAME promises what the cookie does not keep: browsers"
            " drop it.",
            "__Secure- needs SESSION_COOKIE_SECURE = True; __Host- also the path / and no"
            " SESSION_COOKIE_DOMAIN.",
        )


def check_reach(case: Case, site: Site, callback_path: str) -> Iterator[Finding]:
    """Find attributes that keep the cookie away from this callback address."""
    app, interface = case.app, case.app.session_interface
    if interface.get_cookie_secure(app) and site.scheme == "http":
        found = problem if site.is_known else warning
        yield found(
            "session_cookie_secure",
            "SESSION_COOKIE_SECURE is set, and the site is visited by plain http: browsers drop"
            " the session, some of them even on localhost.",
            "Visit the site by https. Without https, on a developer's machine, set"
            " SESSION_COOKIE_SECURE = False. Behind a proxy that speaks https add ProxyFix.",
        )
    domain = (interface.get_cookie_domain(app) or "").lower().lstrip(".")
    if domain and site.is_known and not f".{site.hostname}".endswith(f".{domain}"):
        yield problem(
            "session_cookie_domain",
            f"SESSION_COOKIE_DOMAIN is {domain!r}, which does not cover the host to which visitors"
            " come back.",
            "Remove SESSION_COOKIE_DOMAIN, or set it to a domain that the callback is on.",
        )
    path = interface.get_cookie_path(app)
    if not f"{callback_path}/".startswith(f"{path.rstrip('/')}/"):
        yield problem(
            "session_cookie_path",
            f"The session cookie is for {path!r} (SESSION_COOKIE_PATH or APPLICATION_ROOT), which"
            " does not cover the callback route.",
            f"Set a path that {callback_path} is below, or remove it.",
        )
