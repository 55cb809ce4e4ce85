"""Three browser engines behind one small interface: Chromium, Firefox and WebKitGTK.

::

    with firefox(folder) as new_driver:
        window = Visitor(new_driver()).window
        window.open("http://localhost:5000/")
        window.click("Connect OpenRouter")
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

from polling import PATIENCE, wait_until


class EngineError(Exception):
    """The browser refused a command, for example because the page or the window is gone."""


class Driver(Protocol):
    """One visitor's browser, without the cookies of others.

    Every method raises :class:`EngineError`.
    """

    def close(self) -> None:
        """Close all windows, and forget the visitor."""

    def windows(self) -> list[Any]:
        """Return the handles of the open windows, the first one first."""

    def open(self, handle: Any, url: str) -> None:
        """Load a page, and wait for it."""

    def run(self, handle: Any, script: str) -> Any:
        """Return the value of an expression of JavaScript, or of its promise."""

    def click(self, handle: Any, script: str) -> None:
        """Click on the element that the expression returns, as a person does."""

    def screenshot(self, handle: Any) -> bytes:
        """Return a PNG of what the window shows."""


@dataclass(frozen=True)
class Window:
    """A window or tab of a browser."""

    driver: Driver
    handle: Any

    def open(self, url: str) -> None:
        """Load a page. Redirects may lead to another one."""
        self.driver.open(self.handle, url)

    def run(self, script: str) -> Any:
        """Return the value of an expression of JavaScript in the page; None while there is none."""
        try:
            return self.driver.run(self.handle, script)
        except EngineError:
            return None

    def wait_for(self, script: str) -> Any:
        """Wait until an expression of JavaScript is true in the page, and return its value."""
        return wait_until(lambda: self.run(script), failure=lambda: f"{script}: {self.state()}")

    def wait_for_url(self, url: str) -> None:
        """Wait until the whole page at this address is there."""
        self.wait_for(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def wait_for_text(self, text: str) -> None:
        """Wait until the page contains these words."""
        self.wait_for(f"document.body.innerText.includes({json.dumps(text)})")

    def click(self, name: str) -> None:
        """Wait for the link or button of this name, and click on it."""
        element = (
            "[...document.querySelectorAll('a, button')]"
            f".find((element) => element.innerText.trim() === {json.dumps(name)})"
        )
        self.wait_for(f"document.readyState === 'complete' && Boolean({element})")
        self.driver.click(self.handle, element)

    def state(self) -> str:
        """Return the address and the text of the page, for a failure."""
        return str(self.run("`${location.href} ${document.body.innerText}`"))


@dataclass(frozen=True)
class Visitor:
    """One visitor, with the windows that they have open."""

    driver: Driver

    @property
    def window(self) -> Window:
        """The first window."""
        return self.windows[0]

    @property
    def windows(self) -> list[Window]:
        """All open windows."""
        return [Window(self.driver, handle) for handle in self.driver.windows()]

    def wait_for_windows(self, count: int) -> Window:
        """Wait until so many windows are open, and return the last one."""
        wait_until(
            lambda: len(self.driver.windows()) == count,
            PATIENCE,
            lambda: f"{count} windows: {[window.state() for window in self.windows]}",
        )
        return self.windows[-1]
