"""A browser at the example app, and the app on a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from visitor import Visitor
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from example_app import create_app
from flask_openrouter.emulator import Emulator
from flask_openrouter.testing import api_key_of

ORIGIN = "http://localhost:3000"
CHAT = "/api/v1/chat/completions"
MODEL = "openai/gpt-4o-mini"
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

    def ask(self, text: str | None = "hello", **kwargs: Any) -> TestResponse:
        """Ask as the page's script does; what of ``kwargs`` is no argument of a request is asked.

        Such as ``conversation`` and ``replace``. Without ``text`` the last question is asked again.
        """
        body = {"model": MODEL, **({} if text is None else {"text": text})}
        for name in ("model", "conversation", "replace"):
            if name in kwargs:
                body[name] = kwargs.pop(name)
        kwargs = {"json": body, "headers": OUR_SCRIPT, "buffered": True, **kwargs}
        return self.client.post("/ask", base_url=ORIGIN, **kwargs)

    def converse(self, *questions: str) -> str:
        """Ask all of these in one new conversation; return its id."""
        conversation = None
        for question in questions:
            conversation = begin_of(self.ask(question, conversation=conversation))["conversation"]
        assert conversation is not None
        return str(conversation)

    def exported(self, conversation: str) -> list[dict[str, Any]]:
        """The messages as the server has them."""
        answer = self.get(f"/c/{conversation}/export.json")
        assert answer.status_code == 200
        messages: list[dict[str, Any]] = answer.get_json()["messages"]
        return messages

    @property
    def api_key(self) -> str:
        """The key that the app holds for this visitor."""
        return api_key_of(self.client, base_url=ORIGIN)

    @property
    def completions(self) -> int:
        """How many completions OpenRouter was asked for."""
        return self.emulator.count("POST", CHAT)


def parts_of(answer: TestResponse) -> list[dict[str, Any]]:
    """The lines of a streamed answer, heartbeats left out."""
    return [json.loads(line) for line in answer.get_data(as_text=True).splitlines() if line]


def begin_of(answer: TestResponse) -> dict[str, Any]:
    """The addresses of what is written."""
    begin: dict[str, Any] = parts_of(answer)[0]["begin"]
    return begin


def end_of(answer: TestResponse) -> dict[str, Any]:
    """How it ended."""
    end: dict[str, Any] = parts_of(answer)[-1]["end"]
    return end


def html_of(answer: TestResponse) -> str:
    """What the page shows of the answer in the end."""
    parts = parts_of(answer)
    return "".join(part.get("html", "") for part in parts) + parts[-1].get("end", {})["html"]


def sse(*events: object) -> dict[str, Any]:
    """A fault of the emulator that is a whole stream of these events, such as a long answer."""
    lines = [
        f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n" for event in events
    ]
    headers = {"Content-Type": "text/event-stream"}
    return {"status": 200, "headers": headers, "body": "".join(lines), "path": CHAT}


def said(text: str, cost: float = 0.0012, tokens: int = 345) -> dict[str, Any]:
    """A fault that answers with this text."""
    return sse(
        {"choices": [{"delta": {"content": text}}]},
        {"choices": [], "usage": {"total_tokens": tokens, "cost": cost}},
        "[DONE]",
    )


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


def example_at(base_url: str, folder: Path, **config: object) -> Flask:
    """The example app, set up for the emulator at ``base_url``, its database in ``folder``."""
    return create_app(
        {
            "SECRET_KEY": "for tests only, thirty-two characters",
            "OPENROUTER_BASE_URL": base_url,
            "OPENROUTER_EMULATOR": True,
            "CHAT_DATABASE": str(folder / "chat.db"),
            **config,
        }
    )
