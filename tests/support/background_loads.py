"""Requests that are no visit, and a check that they had no effect."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from attack import exchanges
from visitor import Visitor

from flask_openrouter.emulator import Emulator

SUBRESOURCES = [
    {"Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Dest": "script", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Dest": "style", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Dest": "frame", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Dest": "fencedframe", "Sec-Fetch-Mode": "navigate"},
    {"Sec-Fetch-Dest": "embed", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Dest": "object", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site"},
]


def bare(visitor: Visitor, method: str, url: str, headers: dict[str, str]) -> Any:
    """Make a request with these headers and no others."""
    parts = urlsplit(url)
    path = parts._replace(scheme="", netloc="").geturl()
    return visitor.client.open(path, method=method, base_url=visitor.base_url, headers=headers)


def assert_nothing_happened(answer: Any, emulator: Emulator) -> None:
    """The response is a refusal without a cookie or a redirect, and no code was sent."""
    assert answer.status_code == 204 or 400 <= answer.status_code < 600
    assert answer.status_code != 500
    assert "Set-Cookie" not in answer.headers
    assert "Location" not in answer.headers
    assert exchanges(emulator) == 0
