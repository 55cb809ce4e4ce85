"""What the browser's headers say about a request: who made it, and from where.

(W3C Fetch Metadata Request Headers; HTML Standard, "speculative loading".)
"""

from __future__ import annotations

import re
from typing import Final

from ..web import this_request

_PURPOSES: Final = ("HTTP_SEC_PURPOSE", "HTTP_PURPOSE", "HTTP_X_MOZ")


def is_prefetch() -> bool:
    """Whether the browser loads this address before anyone asked for it."""
    sent = this_request().environ
    for name in _PURPOSES:
        if name in sent and re.search("prefetch|preview", sent[name], re.I):
            return True
    return False


def is_navigation() -> bool:
    """Whether this request loads a page into a tab, according to the browser."""
    sent = this_request().environ
    mode, destination = sent.get("HTTP_SEC_FETCH_MODE"), sent.get("HTTP_SEC_FETCH_DEST")
    return mode in (None, "navigate") and destination in (None, "document")


def is_script() -> bool:
    """Whether a script made this request, so that a redirect to a page would be useless.

    (Fetch Metadata: ``Sec-Fetch-Mode``, ``Sec-Fetch-Dest``.)
    """
    request = this_request()
    sent = request.environ
    if is_htmx() or sent.get("HTTP_X_REQUESTED_WITH", "").lower() == "xmlhttprequest":
        return True
    if sent.get("HTTP_SEC_FETCH_MODE", "navigate") != "navigate":
        return True
    if sent.get("HTTP_SEC_FETCH_DEST", "document") == "empty":
        return True
    if request.is_json:
        return True
    if sent.get("HTTP_ACCEPT", "").startswith("text/html,"):
        # Every browser begins so. Nothing can be preferred to it, and the rest is slow to parse.
        return False
    accepted = request.accept_mimetypes.best_match(["text/html", "application/json"])
    return accepted == "application/json"


def is_htmx() -> bool:
    """Whether htmx made this request (htmx documentation, "Request Headers")."""
    sent = this_request().environ
    is_made_by_htmx: bool = sent.get("HTTP_HX_REQUEST", "").lower() == "true"
    return is_made_by_htmx


def is_cross_site() -> bool:
    """Whether a page of another origin sent the visitor here."""
    site = this_request().environ.get("HTTP_SEC_FETCH_SITE")
    return site not in (None, "same-origin", "none")


def is_same_origin() -> bool:
    """Whether a page of this origin made the request, according to the browser.

    Current browsers send at least one of the two headers with every form. Programs send neither.
    """
    request = this_request()
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site not in (None, "same-origin", "none"):
        return False
    if origin is None:
        return True
    # Not request.host_url, which decodes international host names.
    here = f"{request.scheme}://{request.host}"
    if site == "same-origin":
        # The browser's own verdict. A proxy that ends TLS hides the scheme, and a page with the
        # referrer policy "no-referrer" hides its origin.
        return origin == "null" or origin.partition("://")[2] == here.partition("://")[2]
    return origin == here
