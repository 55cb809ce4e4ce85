"""What the browser's headers say about a request: who made it, and from where.

(W3C Fetch Metadata Request Headers; HTML Standard, "speculative loading".)
"""

from __future__ import annotations

import re
from typing import Final

from flask import Request

from ..web import this_request

#: The last two are old Safari's and Turbo's.
_PURPOSES: Final = (
    "HTTP_SEC_PURPOSE",
    "HTTP_PURPOSE",
    "HTTP_X_MOZ",
    "HTTP_X_PURPOSE",
    "HTTP_X_SEC_PURPOSE",
)
#: A page that a service worker fetches for a tab has the destination "empty" in some browsers.
_DESTINATIONS_OF_VISITS: Final = (None, "document", "empty")
#: Routes that answer with JSON whatever happens.
_JSON_ROUTES: Final = ("openrouter.status", "openrouter.usage")


def is_prefetch() -> bool:
    """Whether the browser loads this address before anyone asked for it."""
    sent = this_request().environ
    for name in _PURPOSES:
        if name in sent and re.search("prefetch|preview", sent[name], re.I):
            return True
    return False


def is_navigation() -> bool:
    """Whether this request loads a page into a tab, according to the browser."""
    request = this_request()
    sent = request.environ
    if sent.get("HTTP_SEC_FETCH_DEST") not in _DESTINATIONS_OF_VISITS:
        return False
    return not (is_htmx() or _is_xhr(request)) and _is_mode_of_navigation(request)


def is_script() -> bool:
    """Whether a script made this request, so that a redirect to a page would be useless.

    (Fetch Metadata: ``Sec-Fetch-Mode``, ``Sec-Fetch-Dest``.)
    """
    request = this_request()
    sent = request.environ
    if is_htmx() or _is_xhr(request) or request.endpoint in _JSON_ROUTES:
        return True
    if not _is_mode_of_navigation(request) or ("CONTENT_TYPE" in sent and request.is_json):
        return True
    if sent.get("HTTP_ACCEPT", "").startswith("text/html,"):
        # Every browser begins so. Nothing can be preferred to it, and the rest is slow to parse.
        return False
    accepted = request.accept_mimetypes.best_match(["text/html", "application/json"])
    if accepted is None:
        # It wants something else than a page, if it says what it wants.
        is_choosy = any(quality > 0 for _, quality in request.accept_mimetypes)
        return is_choosy and not _names_html(request)
    return accepted == "application/json"


def _is_mode_of_navigation(request: Request) -> bool:
    """Whether ``Sec-Fetch-Mode`` is that of a navigation.

    ``fetch(event.request)`` in a service worker keeps the mode "navigate". With options it becomes
    "same-origin" (Fetch Standard, "new Request"), and only ``Accept`` tells it from a script.
    """
    sent = request.environ
    mode = sent.get("HTTP_SEC_FETCH_MODE")
    if mode is None:
        return bool(sent.get("HTTP_SEC_FETCH_DEST") != "empty")
    return mode == "navigate" or (mode == "same-origin" and _names_html(request))


def _is_xhr(request: Request) -> bool:
    # What jQuery and others send. Browsers before 2023 say nothing else.
    sent: str = request.environ.get("HTTP_X_REQUESTED_WITH", "")
    return sent.lower() == "xmlhttprequest"


def _names_html(request: Request) -> bool:
    # "*/*" is what fetch() sends by itself.
    return any(
        mimetype.lower() in ("text/html", "application/xhtml+xml") and quality > 0
        for mimetype, quality in request.accept_mimetypes
    )


def is_event_source() -> bool:
    """Whether an ``EventSource`` made this request: it can read nothing but a stream of events.

    (HTML Standard, "Server-sent events".)
    """
    request = this_request()
    accepts: str = request.environ.get("HTTP_ACCEPT", "")
    return request.method == "GET" and accepts.strip().lower() == "text/event-stream"


def is_htmx() -> bool:
    """Whether htmx made this request (htmx documentation, "Request Headers")."""
    sent = this_request().environ
    is_made_by_htmx: bool = sent.get("HTTP_HX_REQUEST", "").lower() == "true"
    return is_made_by_htmx


def is_boosted() -> bool:
    """Whether htmx loads a page in place of the browser: ``hx-boost`` on a link or form."""
    boosted: str = this_request().environ.get("HTTP_HX_BOOSTED", "")
    return is_htmx() and boosted.lower() == "true"


def is_cross_site() -> bool:
    """Whether a page of another origin sent the visitor here.

    On plain http browsers send no Fetch Metadata. Then the host of the Referer decides, if there is
    one; not its scheme, because a proxy that ends TLS hides the scheme of this origin.
    """
    request = this_request()
    site = request.environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site not in ("same-origin", "none")
    host = (request.referrer or "").partition("://")[2].partition("/")[0]
    return host not in ("", request.host)


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
