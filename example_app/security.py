"""How to keep other sites out: headers of every response, and the origin of every POST."""

from __future__ import annotations

from flask import Flask, Response, abort, request
from flask.sessions import SecureCookieSessionInterface

#: Only this app's own files: no inline script or style, no other host, no frame.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class HostSession(SecureCookieSessionInterface):
    """Flask's session in a cookie that on https no other host can set or overwrite.

    Browsers accept a cookie named ``__Host-…`` only over https, from the host itself and for all
    paths. Flask has one name for both schemes. This class chooses the name for each request.
    """

    def get_cookie_name(self, app: Flask) -> str:
        """Return the name for this request."""
        name = super().get_cookie_name(app)
        return f"__Host-{name}" if request.is_secure else name

    def get_cookie_secure(self, app: Flask) -> bool:
        """Return whether browsers send the cookie by https only."""
        return request.is_secure or super().get_cookie_secure(app)


def init_app(app: Flask) -> None:
    """Add the session interface, the check of requests and the headers."""
    app.session_interface = HostSession()
    app.before_request(refuse_foreign_posts)
    app.after_request(add_headers)


def refuse_foreign_posts() -> None:
    """Refuse a POST from another site, which could spend the visitor's money (CSRF).

    The browser tells where a request comes from. The routes of Flask-OpenRouter have their own
    check.
    """
    if request.method != "POST" or request.blueprint == "openrouter":
        return
    own_origin = request.host_url.rstrip("/")
    site = request.headers.get("Sec-Fetch-Site")
    if site is None:  # a browser from before 2023
        is_ours = request.headers.get("Origin", own_origin) == own_origin
    else:
        is_ours = site == "same-origin"
    if not is_ours:
        abort(403)


def add_headers(response: Response) -> Response:
    """Add the headers of every page. Existing ones stay, because the extension's are stricter."""
    headers = response.headers
    headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("X-Frame-Options", "DENY")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    if request.is_secure:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if request.endpoint != "static":
        # The Back button must not show a connected page after a disconnect.
        headers.setdefault("Cache-Control", "no-store")
    return response
