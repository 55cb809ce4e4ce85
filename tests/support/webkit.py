"""WebKitGTK's MiniBrowser on a screen in memory, by classic WebDriver (W3C WebDriver)."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import requests
from components import require
from engines import Driver, EngineError
from polling import PATIENCE, wait_until
from ports import free_port

#: The name of an element's id in JSON (WebDriver, "Elements").
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


@contextmanager
def webkit(folder: Path) -> Iterator[Callable[[], Driver]]:
    """Run one WebKitWebDriver, and yield what makes new visitors with it, one at a time."""
    for program, package in [("WebKitWebDriver", "webkit2gtk-driver"), ("Xvfb", "xvfb")]:
        if shutil.which(program) is None:
            require(program, f"not on PATH (apt install {package})")
    with ExitStack() as stack:
        screen = stack.enter_context(_process("Xvfb", "-displayfd", "1", stdout=subprocess.PIPE))
        display = screen.stdout.readline().decode().strip()
        environment = {**os.environ, "DISPLAY": f":{display}", "HOME": str(folder)}
        log = stack.enter_context((folder / "webkit.log").open("wb"))
        port = free_port()
        output = {"stdout": log, "stderr": subprocess.STDOUT}
        stack.enter_context(
            _process("WebKitWebDriver", f"--port={port}", env=environment, **output)
        )
        http = stack.enter_context(requests.Session())
        http.trust_env = False
        url = f"http://127.0.0.1:{port}/session"

        def is_ready() -> bool:
            with suppress(requests.ConnectionError):
                http.get(f"http://127.0.0.1:{port}/status", timeout=PATIENCE)
                return True
            return False

        wait_until(is_ready, 4 * PATIENCE, lambda: (folder / "webkit.log").read_text())

        yield lambda: _WebKit(http, url)


@contextmanager
def _process(*command: str, **options: Any) -> Iterator[Any]:
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.terminate()


class _WebKit:
    """One visitor: a session of WebDriver, which is a browser of its own."""

    def __init__(self, http: requests.Session, url: str) -> None:
        self._http = http
        self._url = url
        self._handles: list[str] = []
        self._url += "/" + self._send("POST", "", {"capabilities": {}})["sessionId"]

    def close(self) -> None:
        self._send("DELETE", "")

    def windows(self) -> list[str]:
        # WebKit lists them in any order.
        handles = self._send("GET", "/window/handles")
        self._handles = [each for each in self._handles if each in handles]
        self._handles += [each for each in handles if each not in self._handles]
        return [*self._handles]

    def open(self, handle: str, url: str) -> None:
        self._to(handle, "/url", {"url": url})

    def run(self, handle: str, script: str) -> Any:
        return self._evaluate(handle, script)

    def click(self, handle: str, script: str) -> None:
        element = self._evaluate(handle, script)[_ELEMENT]
        # A click may close its window.
        with suppress(EngineError):
            self._to(handle, f"/element/{element}/click", {})

    def screenshot(self, handle: str) -> bytes:
        self._send("POST", "/window", {"handle": handle})
        return base64.b64decode(self._send("GET", "/screenshot"))

    def _evaluate(self, handle: str, script: str) -> Any:
        # Not all of WebKit's drivers wait for promises in "/execute/sync".
        body = f"""const done = arguments[0];
            (async () => {script})().then((value) => done([value]), (error) => done(null));"""
        found = self._to(handle, "/execute/async", {"script": body, "args": []})
        if found is None:
            raise EngineError(f"an exception in {script}")
        return found[0]

    def _to(self, handle: str, path: str, body: dict[str, Any]) -> Any:
        self._send("POST", "/window", {"handle": handle})
        return self._send("POST", path, body)

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        response = self._http.request(method, self._url + path, json=body, timeout=4 * PATIENCE)
        value = response.json()["value"]
        if response.status_code != 200:
            raise EngineError(f"{value['error']}: {value['message']}")
        return value
