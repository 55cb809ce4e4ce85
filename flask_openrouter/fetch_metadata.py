"""What the browser says about a request: who made it, and whether anybody meant it.

(W3C Fetch Metadata Request Headers; HTML Standard, "speculative loading".)
"""

from __future__ import annotations

from typing import Final

from flask import Response, request

from .current import this_app, this_request
from .pages import protect_page, show_problem
from .problems import PROBLEMS

_PURPOSES: Final = ("HTTP_SEC_PURPOSE", "HTTP_PURPOSE", "HTTP_X_MOZ")


def refuse_background_load() -> Response | None:
    """Return the answer to a load that nobody asked for, or None for a visit.

    HEAD, prefetch and sub-resources neither start nor finish anything.
    """
    request = this_request()
    sent = request.environ
    if request.method == "HEAD":
        return protect_page(this_app().response_class(status=204))
    purposes = (sent.get(name, "").lower() for name in _PURPOSES)
    if any("prefetch" in purpose or "preview" in purpose for purpose in purposes):
        return protect_page(this_app().response_class(status=503))
    if (
        sent.get("HTTP_SEC_FETCH_MODE", "navigate") != "navigate"
        or sent.get("HTTP_SEC_FETCH_DEST", "document") != "document"
    ):
        return show_problem(PROBLEMS["not_a_visit"])
    return None


def is_cross_site() -> bool:
    """Whether a page of another origin sent the visitor here."""
    site = this_request().environ.get("HTTP_SEC_FETCH_SITE")
    return site not in (None, "same-origin", "none")


def is_same_origin() -> bool:
    """Whether a page of this origin made the request, as far as the browser tells.

    Browsers of today send at least one of the two headers with every form. Programs send neither.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site not in (None, "same-origin", "none"):
        return False
    if origin is None:
        return True
    # Not request.host_url, in which a name with foreign letters is spelt as browsers show it.
    here = f"{request.scheme}://{request.host}"
    if site == "same-origin":
        # The browser's own verdict. A proxy that speaks https for us hides the scheme, and a page
        # with the referrer policy "no-referrer" hides its origin.
        return origin == "null" or origin.partition("://")[2] == here.partition("://")[2]
    return origin == here
