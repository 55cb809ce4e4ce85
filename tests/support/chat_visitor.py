"""A browser at the example app, and the app on a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from visitor import Visitor
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from example_app import create_app
from flask_openrouter.emulator import Emulator
from flask_openrouter.testing import api_key_of

ORIGIN = "http://localhost:3000"
#: What a browser says about a request that our own page's script makes.
OUR_SCRIPT = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}


class ChatVisitor(Visitor):
    """A visitor who chats. ``emulator`` is the OpenRouter that the app is set up with."""

    def __init__(self, app: Flask, emulator: Emulator) -> None:
        super().__init__(app, ORIGIN)
        self.emulator = emulator

    def connect(self, *_: object) -> TestResponse:
        """Go through a whole login."""
        return super().connect(self.emulator, "/")

    def fetch(self, path: str) -> TestResponse:
        """Get something as the page's script does."""
        return self.client.get(path, base_url=ORIGIN, headers=OUR_SCRIPT)

    def ask(self, prompt: str = "hello", **kwargs: Any) -> TestResponse:
        """Send a message as the page's script does, or as ``kwargs`` says."""
        messages = [{"role": "user", "content": prompt}]
        body = {"model": "openai/gpt-4o-mini", "messages": messages}
        kwargs = {"json": body, "headers": OUR_SCRIPT, **kwargs}
        return self.client.post("/chat", base_url=ORIGIN, **kwargs)

    @property
    def api_key(self) -> str:
        """The key that the app holds for this visitor."""
        return api_key_of(self.client, base_url=ORIGIN)

    @property
    def completions(self) -> int:
        """How many completions OpenRouter was asked for."""
        return self.emulator.count("POST", "/api/v1/chat/completions")


def parts_of(answer: TestResponse) -> list[dict[str, Any]]:
    """The lines of a streamed answer, heartbeats left out."""
    return [json.loads(line) for line in answer.get_data(as_text=True).splitlines() if line]


def text_of(answer: TestResponse) -> str:
    """What the model said."""
    return "".join(part.get("text", "") for part in parts_of(answer))


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve a WSGI app on a free port of this machine and yield its origin."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def example_at(base_url: str) -> Flask:
    """The example app, set up for the emulator at ``base_url``."""
    return create_app(
        {
            "SECRET_KEY": "for tests only, thirty-two characters",
            "OPENROUTER_BASE_URL": base_url,
            "OPENROUTER_EMULATOR": True,
        }
    )
