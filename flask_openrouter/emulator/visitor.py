"""A visitor without a browser, who uses the pages as a person would."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from werkzeug.test import Client, TestResponse

WSGIApp = Callable[..., Any]

_HIDDEN_CONSENT = re.compile(r'name="consent" value="([^"]+)"')
_SHOWN_CODE = re.compile(r'id="code"[^>]*>([^<]+)<')


def follow(app: WSGIApp, authorization_url: str, decision: str) -> str:
    """Approve or deny; return where the browser is sent.

    :raises ValueError: if the emulator shows a page instead.
    """
    answer = _decide(app, authorization_url, decision)
    if answer.status_code != 303:
        raise ValueError(_refusal(answer))
    return answer.headers["Location"]


def read_code(app: WSGIApp, authorization_url: str) -> str:
    """Approve a request without callback; return the code that the page shows.

    :raises ValueError: if it shows none.
    """
    answer = _decide(app, authorization_url, "approve")
    code = _SHOWN_CODE.search(answer.text)
    if answer.status_code != 200 or code is None:
        raise ValueError(_refusal(answer))
    return html.unescape(code[1])


def _decide(app: WSGIApp, authorization_url: str, decision: str) -> TestResponse:
    parts = urlsplit(authorization_url)
    base_url = f"{parts.scheme}://{parts.netloc}"
    browser = Client(app)
    page = browser.get(parts.path, base_url=base_url, query_string=parts.query)
    consent = _HIDDEN_CONSENT.search(page.text)
    if page.status_code != 200 or consent is None:
        raise ValueError(_refusal(page))
    form = {"consent": consent[1], "decision": decision}
    return browser.post("/auth", base_url=base_url, data=form)


def _refusal(answer: TestResponse) -> str:
    shown = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())
    return f"The emulator answered {answer.status_code} instead: {shown[:500]}"
