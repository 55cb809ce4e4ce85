"""A tab of a real browser at an app, and the servers behind it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from held_model import HeldModel

from flask_openrouter.emulator import Emulator

#: Milliseconds that the browser may take for one step before the test fails as stuck.
PATIENCE_MS = 60_000


@dataclass(frozen=True)
class Site:
    """A running app and its OpenRouter. ``model`` and ``database`` are those of the example app."""

    app_url: str
    emulator: Emulator
    model: HeldModel | None = None
    database: Path | None = None

    def delete_key(self) -> None:
        """Delete the only key, as its owner can do at OpenRouter."""
        ledger = self.emulator.ledger
        (key,) = ledger.keys(self.emulator.now())
        ledger.revoke(key["hash"])


@dataclass
class Tab:
    """A page, and a list of the things in it that must not happen."""

    page: Any
    site: Site
    #: Console messages that a test expects, as regular expressions.
    expected: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Collect errors, warnings and requests to foreign addresses."""
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", self._on_request)

    def _on_console(self, message: Any) -> None:
        # A violation of the Content-Security-Policy is also an error on the console.
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} {message.location}")

    def _on_request(self, request: Any) -> None:
        if not request.url.startswith((self.site.app_url, self.site.emulator.url, "data:")):
            self.complaints.append(f"foreign address: {request.url}")

    def unexpected(self) -> list[str]:
        """Return the complaints that the test did not expect."""
        return [c for c in self.complaints if not any(re.search(e, c) for e in self.expected)]

    def connect(self) -> None:
        """Log in and open the chat, without showing the welcome page and the consent page."""
        url = f"{self.site.app_url}/openrouter/login?next=/"
        login = self.page.request.get(url, max_redirects=0)
        self.page.goto(self.site.emulator.approve(login.headers["location"]))
        self.wait_until_ready()

    def new_chat(self) -> None:
        """Open the page of a new chat."""
        self.page.goto(self.site.app_url)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until the chat page can send questions."""
        self.page.locator("#model:enabled").wait_for()

    def send(self, text: str) -> None:
        self.page.get_by_label("Message", exact=True).fill(text)
        self.page.keyboard.press("Enter")

    def wait_for_answer(self, count: int = 1) -> str:
        """Wait until ``count`` answers are finished and return the text of the last one."""
        from playwright import sync_api

        answers = self.page.locator(".message.assistant:not([data-state='writing'])")
        sync_api.expect(answers).to_have_count(count)
        return str(answers.last.locator(".text").inner_text())

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until a condition outside of the page is met."""
        for _ in range(PATIENCE_MS // 20):
            if condition():
                return
            self.page.wait_for_timeout(20)
        raise AssertionError("the condition was not met in time")

    def wait_for_animations(self) -> None:
        """Wait until no colour is between two values. Endless animations do not count."""
        # The next frame may start another one: of a page that is new, or in other colours.
        self.page.evaluate("""async () => {
            for (let running = [null]; running.length; ) {
                await new Promise(requestAnimationFrame);
                await new Promise(requestAnimationFrame);
                running = document.getAnimations().filter((a) => a.playState === "running"
                    && a.effect.getComputedTiming().endTime !== Infinity);
                await Promise.allSettled(running.map((a) => a.finished));
            }
        }""")
