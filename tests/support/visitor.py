"""A visitor of an app under test: a browser's cookie jar, and what a person does with it."""

from __future__ import annotations

import hashlib
from urllib.parse import parse_qs, urlencode, urlsplit

from flask import Flask
from werkzeug.test import TestResponse

from flask_openrouter.emulator import Emulator
from flask_openrouter.login.logins import part_of

#: The states of all logins that visitors have started, by the names of their cookies.
STATES: dict[str, str] = {}
NAVIGATE = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def fingerprint(api_key: str) -> str:
    """What the guarded test view answers for this key."""
    return hashlib.sha256(api_key.encode()).hexdigest()


def with_query(url: str, **values: str) -> str:
    """Add parameters as RFC 6749 §4.1.2 wants it: kept query, joined by ``&``."""
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(values)}"


class Visitor:
    """One browser. ``base_url`` is where it finds the app."""

    def __init__(self, app: Flask, base_url: str = "http://localhost") -> None:
        self.app = app
        self.base_url = base_url
        self.client = app.test_client()

    def get(self, url: str, **headers: str) -> TestResponse:
        """Visit an address, as a browser's tab does."""
        parts = urlsplit(url)
        base_url = f"{parts.scheme}://{parts.netloc}" if parts.netloc else self.base_url
        path = parts._replace(scheme="", netloc="").geturl()
        answer = self.client.get(path, base_url=base_url, headers={**NAVIGATE, **headers})
        self._note_state(answer)
        return answer

    def _note_state(self, answer: TestResponse) -> None:
        for url in parse_qs(urlsplit(answer.location or "").query).get("callback_url", []):
            for state in parse_qs(urlsplit(url).query).get("state", []):
                STATES[part_of(state)] = state

    def post(self, path: str, **kwargs: object) -> TestResponse:
        """Send a form of this site."""
        headers = {"Sec-Fetch-Site": "same-origin", **kwargs.pop("headers", {})}  # type: ignore[dict-item]
        return self.client.post(path, base_url=self.base_url, headers=headers, **kwargs)  # type: ignore[arg-type]

    def start(self, next_url: str | None = None) -> str:
        """Begin a login; return the address at OpenRouter to which the app sends the visitor."""
        query = "" if next_url is None else "?" + urlencode({"next": next_url})
        answer = self.get(f"/openrouter/login{query}")
        assert answer.status_code == 303, answer.text
        return answer.location

    def callback_url(self, authorization_url: str, **values: str) -> str:
        """The callback address of that login, verbatim, with parameters added."""
        (url,) = parse_qs(urlsplit(authorization_url).query)["callback_url"]
        return with_query(url, **values) if values else url

    def connect(self, emulator: Emulator, next_url: str | None = None) -> TestResponse:
        """Go through a whole login; return the app's last answer."""
        return self.get(emulator.approve(self.start(next_url)))

    @property
    def key(self) -> str | None:
        """The fingerprint of the key that the guarded view is given, or None if it does not run."""
        answer = self.get("/guarded")
        return answer.text if answer.status_code == 200 else None
