"""How to keep other sites out: headers of every response, and the origin of every POST."""

from flask import Flask, Response, abort, request

#: Only this app's own files: no inline script or style, no other host, no frame.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def init_app(app: Flask) -> None:
    """Add the check of requests and the headers."""
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
        is_own = request.headers.get("Origin", own_origin) == own_origin
    else:
        is_own = site == "same-origin"
    if not is_own:
        abort(403)


def add_headers(response: Response) -> Response:
    """Add the headers of every page. Existing ones stay, because the extension's are stricter."""
    headers = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    if request.is_secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    if request.endpoint != "static":
        # The Back button must not show a connected page after a disconnect.
        headers["Cache-Control"] = "no-store"
    for name, value in headers.items():
        response.headers.setdefault(name, value)
    return response
