"""A tab of a real browser at an app, and the processes behind it."""

from __future__ import annotations

import json
import re
import urllib.request
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Site:
    """The two running processes."""

    app_url: str
    emulator_url: str

    def control(self, method: str, path: str, /, **body: object) -> Any:
        """Use the emulator's control API."""
        request = urllib.request.Request(
            f"{self.emulator_url}/_emulator/{path}",
            method=method,
            data=json.dumps(body).encode() if method in ("POST", "PATCH") else None,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def completions(self) -> int:
        """How many answers were asked for."""
        records = self.control("GET", "requests")["data"]
        return sum(record["path"].endswith("/chat/completions") for record in records)


@dataclass
class Tab:
    """A page, and everything in it that must not happen."""

    page: Any
    site: Site
    #: Console messages that a test expects, as regular expressions.
    expected: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", self._on_request)

    def _on_console(self, message: Any) -> None:
        # A violation of the Content-Security-Policy is an error on the console, too.
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} {message.location}")

    def _on_request(self, request: Any) -> None:
        if not request.url.startswith((self.site.app_url, self.site.emulator_url, "data:")):
            self.complaints.append(f"foreign address: {request.url}")

    def unexpected(self) -> list[str]:
        return [c for c in self.complaints if not any(re.search(e, c) for e in self.expected)]

    def connect(self) -> None:
        self.page.goto(self.site.app_url)
        self.page.get_by_role("link", name="Connect OpenRouter").click()
        self.page.get_by_role("button", name="Approve").click()
        self.page.locator("#model:enabled").wait_for()

    def send(self, text: str) -> None:
        self.page.get_by_label("Message", exact=True).fill(text)
        self.page.keyboard.press("Enter")

    def wait_for_answer(self, count: int = 1) -> str:
        """Wait until ``count`` answers are finished; return the text of the last one."""
        from playwright import sync_api

        answers = self.page.locator(".message.assistant:not([data-state='writing'])")
        sync_api.expect(answers).to_have_count(count)
        return str(answers.last.locator(".text").inner_text())
