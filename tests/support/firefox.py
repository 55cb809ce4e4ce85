"""Firefox, by WebDriver BiDi over its own WebSocket (W3C WebDriver BiDi)."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import wsproto
from components import require
from engines import Driver, EngineError
from polling import PATIENCE, wait_until
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Request,
    TextMessage,
)

#: Firefox writes its port into this file of the profile.
_ADDRESS = "WebDriverBiDiServer.json"
#: Seconds. On a busy machine, it needs a quarter of a minute to start.
_START = 4 * PATIENCE


@contextmanager
def firefox(folder: Path) -> Iterator[Callable[[], Driver]]:
    """Run one Firefox, and yield what makes new visitors in it."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        require("Firefox", "not on PATH (apt install firefox-esr)")
    command = [program, "--headless", "--no-remote", "--profile", folder, "--remote-debugging-port"]
    with (folder / "firefox.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "0"],
            env={**os.environ, "HOME": str(folder), "MOZ_CRASHREPORTER_DISABLE": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        log_text = (folder / "firefox.log").read_text
        address = wait_until(lambda: _address(folder), _START, log_text)
        connection = _Connection("127.0.0.1", address["ws_port"])
        try:
            connection.send("session.new", capabilities={})
            yield lambda: _Firefox(connection)
            connection.send("browser.close")
            process.wait(_START)
        finally:
            connection.close()
    finally:
        process.kill()
        process.wait(PATIENCE)


def _address(folder: Path) -> Any:
    with suppress(FileNotFoundError, json.JSONDecodeError):
        return json.loads((folder / _ADDRESS).read_bytes())
    return None


class _Connection:
    """A WebSocket that carries one command at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), _START)
        self._protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._events: Iterator[wsproto.events.Event] = iter(())
        self._ids = itertools.count(1)
        self._emit(Request(host=f"{host}:{port}", target="/session"))
        assert isinstance(self._next_event(), AcceptConnection)

    def send(self, method: str, **params: Any) -> Any:
        """Send a command, and return its result.

        :raises EngineError: if Firefox refuses it.
        """
        id = next(self._ids)
        self._emit(TextMessage(json.dumps({"id": id, "method": method, "params": params})))
        while (response := json.loads(self._next_message())).get("id") != id:
            pass
        if response["type"] == "error":
            raise EngineError(f"{response['error']}: {response['message']}")
        return response["result"]

    def close(self) -> None:
        self._socket.close()

    def _emit(self, event: wsproto.events.Event) -> None:
        self._socket.sendall(self._protocol.send(event))

    def _next_message(self) -> str:
        parts = []
        while True:
            event = self._next_event()
            if isinstance(event, Ping):
                self._emit(event.response())
            elif isinstance(event, TextMessage):
                parts.append(event.data)
                if event.message_finished:
                    return "".join(parts)
            else:
                assert not isinstance(event, (CloseConnection, BytesMessage)), event

    def _next_event(self) -> wsproto.events.Event:
        while True:
            for event in self._events:
                return event
            data = self._socket.recv(65536)
            assert data, "Firefox has closed the connection"
            self._protocol.receive_data(data)
            self._events = self._protocol.events()


class _Firefox:
    """One visitor: a user context of Firefox."""

    def __init__(self, connection: _Connection) -> None:
        self._send = connection.send
        self._user = self._send("browser.createUserContext")["userContext"]
        self._send("browsingContext.create", type="tab", userContext=self._user)

    def close(self) -> None:
        self._send("browser.removeUserContext", userContext=self._user)

    def windows(self) -> list[str]:
        tree = self._send("browsingContext.getTree", maxDepth=0)["contexts"]
        return [each["context"] for each in tree if each["userContext"] == self._user]

    def open(self, handle: str, url: str) -> None:
        self._send("browsingContext.navigate", context=handle, url=url, wait="complete")

    def run(self, handle: str, script: str) -> Any:
        return json.loads(
            self._evaluate(handle, f"JSON.stringify(await ({script}) ?? null)")["value"]
        )

    def click(self, handle: str, script: str) -> None:
        element = {
            "type": "element",
            "element": {"sharedId": self._evaluate(handle, script)["sharedId"]},
        }
        moves = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": element},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        pointer = {"type": "pointer", "id": "mouse", "actions": moves}
        # A click may close its window.
        with suppress(EngineError):
            self._send("input.performActions", context=handle, actions=[pointer])

    def screenshot(self, handle: str) -> bytes:
        shot = self._send("browsingContext.captureScreenshot", context=handle)
        return base64.b64decode(shot["data"])

    def _evaluate(self, handle: str, script: str) -> Any:
        answer = self._send(
            "script.callFunction",
            functionDeclaration=f"async () => {script}",
            target={"context": handle},
            awaitPromise=True,
        )
        if answer["type"] == "exception":
            raise EngineError(answer["exceptionDetails"]["text"])
        return answer["result"]
