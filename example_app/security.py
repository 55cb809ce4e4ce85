"""How to keep other sites out: headers of every response, and the origin of every POST."""

from flask import Flask, Response, abort, request

HEADERS = {
    # Only this app's own files: no inline script or style, no other host, no frame.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def init_app(app: Flask) -> None:
    """Add the check of requests and the headers."""
    app.before_request(refuse_foreign_posts)
    app.after_request(add_headers)


def refuse_foreign_posts() -> None:
    """Refuse a POST from another site, which could spend the visitor's money (CSRF).

    The routes of Flask-OpenRouter have their own check.
    """
    if request.method == "POST" and request.blueprint != "openrouter":
        origin = request.host_url.rstrip("/")
        # Browsers from before 2023 send the origin only.
        is_own = request.headers.get("Origin", origin) == origin
        site = request.headers.get("Sec-Fetch-Site", "same-origin" if is_own else "")
        if site != "same-origin":
            abort(403)


def add_headers(response: Response) -> Response:
    """Add the headers of every page. Existing ones stay, because the extension's are stricter."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if request.endpoint != "static":
        # The Back button must not show a connected page after a disconnect.
        response.headers.setdefault("Cache-Control", "no-store")
    return response
