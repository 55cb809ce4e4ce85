"""Chromium, by Playwright."""

from __future__ import annotations

from typing import Any

from engines import EngineError


class Chromium:
    """One visitor: a context of a browser of Playwright's."""

    def __init__(self, browser: Any) -> None:
        self._context = browser.new_context()
        self._context.new_page()

    def close(self) -> None:
        self._context.close()

    def windows(self) -> list[Any]:
        # Playwright notices new and closed windows while it waits for an answer.
        self._context.cookies()
        return [*self._context.pages]

    def open(self, handle: Any, url: str) -> None:
        handle.goto(url)

    def run(self, handle: Any, script: str) -> Any:
        from playwright.sync_api import Error

        try:
            return handle.evaluate(f"async () => {script}")
        except Error as error:
            message = error.message
        raise EngineError(message)

    def click(self, handle: Any, script: str) -> None:
        handle.evaluate_handle(f"() => {script}").as_element().click()

    def screenshot(self, handle: Any) -> bytes:
        return bytes(handle.screenshot())
