"""The app's session cookie, which tells who is signed in. Does the browser send it back?

Logins have cookies of their own. The session matters to apps whose users own the keys: the user who
starts a login must still be signed in when it ends.
"""

from __future__ import annotations

from collections.abc import Iterator

from .case import Case, Site
from .finding import Finding, problem, warning
from .public_suffixes import is_public_suffix


def check_session_cookie(case: Case) -> Iterator[Finding]:
    """Find attributes that keep the session cookie from the callback at the configured address."""
    site = case.site
    yield from check_attributes(case)
    yield from check_scope(case, site, case.callback_path)
    interface = case.app.session_interface
    is_secure = interface.get_cookie_secure(case.app)
    if site.scheme == "https" and site.is_known and not is_secure and not case.is_development:
        yield warning(
            "session_cookie_not_secure",
            "The site uses https, but SESSION_COOKIE_SECURE is not set. An attacker who makes a"
            " browser send an http request can read the session.",
            "Set SESSION_COOKIE_SECURE = True.",
        )
    lifetime = case.app.permanent_session_lifetime.total_seconds()
    if lifetime < case.settings.login_max_age:
        yield warning(
            "session_lifetime",
            f"PERMANENT_SESSION_LIFETIME is {lifetime:.0f} seconds. A user whose login takes longer"
            " may be signed out before it ends.",
            f"Set it to {case.settings.login_max_age} seconds or more.",
        )


def check_attributes(case: Case) -> Iterator[Finding]:
    """Find attributes that make browsers drop or withhold the cookie on every site."""
    app, interface = case.app, case.app.session_interface
    is_secure = interface.get_cookie_secure(app)
    value = interface.get_cookie_samesite(app)
    same_site = str(value).lower()
    if same_site not in ("lax", "strict", "none"):
        yield problem(
            "session_cookie_samesite",
            f"SESSION_COOKIE_SAMESITE is {value!r}, but must be 'Lax', 'Strict' or 'None'. With any"
            " other value Flask cannot save the session.",
            "Set SESSION_COOKIE_SAMESITE = 'Lax'.",
        )
    elif same_site == "none" and value and not is_secure:
        yield problem(
            "session_cookie_samesite",
            "SESSION_COOKIE_SAMESITE is 'None' without SESSION_COOKIE_SECURE, so browsers drop the"
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
            "The cookie does not have the attributes that the prefix in SESSION_COOKIE_NAME"
            " requires, so browsers drop it.",
            "__Secure- requires SESSION_COOKIE_SECURE = True. __Host- also requires the path / and"
            " no SESSION_COOKIE_DOMAIN.",
        )


def check_scope(case: Case, site: Site, callback_path: str) -> Iterator[Finding]:
    """Find attributes that keep the cookie from this callback URL."""
    app, interface = case.app, case.app.session_interface
    if interface.get_cookie_secure(app) and site.scheme == "http":
        report = problem if site.is_known else warning
        yield report(
            "session_cookie_secure",
            "SESSION_COOKIE_SECURE is set, but the site uses plain http, so browsers drop the"
            " session cookie. Some do so even on localhost.",
            "Open the site by https. On a developer's machine without https set"
            " SESSION_COOKIE_SECURE = False. Behind a proxy that handles https add ProxyFix.",
        )
    domain = (interface.get_cookie_domain(app) or "").lower().lstrip(".")
    if domain and site.is_known and not f".{site.hostname}".endswith(f".{domain}"):
        yield problem(
            "session_cookie_domain",
            f"SESSION_COOKIE_DOMAIN is {domain!r}, which does not cover the host of the callback.",
            "Remove SESSION_COOKIE_DOMAIN, or set it to a domain that covers the callback.",
        )
    elif is_public_suffix(domain):
        yield problem(
            "session_cookie_domain",
            f"SESSION_COOKIE_DOMAIN is {domain!r}, under which anyone can have a site, so browsers"
            " drop the session cookie.",
            "Remove SESSION_COOKIE_DOMAIN, or set it to a domain of your own.",
        )
    path = interface.get_cookie_path(app)
    if not f"{callback_path}/".startswith(f"{path.rstrip('/')}/"):
        yield problem(
            "session_cookie_path",
            f"The session cookie has the path {path!r} (from SESSION_COOKIE_PATH or"
            " APPLICATION_ROOT), which does not cover the callback route.",
            f"Remove the path, or set one that covers {callback_path}.",
        )
