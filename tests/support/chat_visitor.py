"""A visitor of the example app, and helpers to read its streamed answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Flask
from visitor import Visitor
from werkzeug.test import TestResponse

from example_app import create_app
from example_app.database import opened
from example_app.history import History
from flask_openrouter.emulator import Emulator
from flask_openrouter.testing import api_key_of

ORIGIN = "http://localhost:3000"
CHAT = "/api/v1/chat/completions"
MODEL = "openai/gpt-4o-mini"
#: The headers that a browser adds to requests of the app's own script.
OUR_SCRIPT = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}


class ChatVisitor(Visitor):
    """A visitor who chats. ``emulator`` is the one that the app is configured with."""

    def __init__(self, app: Flask, emulator: Emulator) -> None:
        super().__init__(app, ORIGIN)
        self.emulator = emulator

    def connect(self, *_: object) -> TestResponse:
        """Complete a login."""
        return super().connect(self.emulator, "/")

    def fetch(self, path: str) -> TestResponse:
        """Send a GET request as the page's script does."""
        return self.client.get(path, base_url=ORIGIN, headers=OUR_SCRIPT)

    def ask(self, text: str | None = "hello", **kwargs: Any) -> TestResponse:
        """Ask as the page's script does. Without ``text``, repeat the last question.

        ``model``, ``conversation``, ``replace`` and ``instructions`` go into the question. All
        other ``kwargs`` are arguments of the test client.
        """
        body = {"model": MODEL, **({} if text is None else {"text": text})}
        for name in ("model", "conversation", "replace", "instructions"):
            if name in kwargs:
                body[name] = kwargs.pop(name)
        kwargs = {"json": body, "headers": OUR_SCRIPT, "buffered": True, **kwargs}
        return self.client.post("/ask", base_url=ORIGIN, **kwargs)

    def converse(self, *questions: str) -> str:
        """Ask these questions in one new conversation and return its id."""
        conversation = None
        for question in questions:
            conversation = begin_of(self.ask(question, conversation=conversation))["conversation"]
        assert conversation is not None
        return str(conversation)

    def exported(self, conversation: str) -> list[dict[str, Any]]:
        """Return the messages that the server has stored."""
        return stored_messages(Path(self.app.config["CHAT_DATABASE"]), conversation)

    @property
    def api_key(self) -> str:
        """The key that the app holds for this visitor."""
        return api_key_of(self.client, base_url=ORIGIN)

    @property
    def completions(self) -> int:
        """The number of completions that the app has requested."""
        return self.emulator.count("POST", CHAT)


def stored_messages(database: Path, conversation: str) -> list[dict[str, Any]]:
    """Return the messages of a conversation that are shown to its owner."""
    with opened(str(database)) as db:
        query = "SELECT owner FROM conversation WHERE id = ?"
        (owner,) = db.execute(query, (conversation,)).fetchone()
        return History(db, owner).messages(conversation)


def parts_of(response: TestResponse) -> list[dict[str, Any]]:
    """Return the lines of a streamed answer, without heartbeats."""
    return [json.loads(line) for line in response.get_data(as_text=True).splitlines() if line]


def lines_of(response: TestResponse) -> Iterator[dict[str, Any]]:
    """Yield the lines as they arrive, without heartbeats. The request had ``buffered=False``."""
    return (json.loads(line) for line in response.response if line.strip())


def begin_of(response: TestResponse) -> dict[str, Any]:
    """Return the first line: the ids and the address of the conversation."""
    begin: dict[str, Any] = parts_of(response)[0]["begin"]
    return begin


def end_of(response: TestResponse) -> dict[str, Any]:
    """Return the last line: the state, the price and the problem."""
    end: dict[str, Any] = parts_of(response)[-1]["end"]
    return end


def html_of(response: TestResponse) -> str:
    """Return the complete HTML of the answer."""
    parts = parts_of(response)
    return "".join(part.get("html", "") for part in parts) + parts[-1].get("end", {})["html"]


def sse(*events: object) -> dict[str, Any]:
    """Return a fault that answers with a stream of these events."""
    lines = [
        f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n" for event in events
    ]
    headers = {"Content-Type": "text/event-stream"}
    return {"status": 200, "headers": headers, "body": "".join(lines), "path": CHAT}


def answered(text: str, cost: float = 0.0012, tokens: int = 345) -> dict[str, Any]:
    """Return a fault that answers with this text, price (USD) and number of tokens."""
    return sse(
        {"choices": [{"delta": {"content": text}}]},
        {"choices": [], "usage": {"total_tokens": tokens, "cost": cost}},
        "[DONE]",
    )


def example_at(base_url: str, folder: Path, **config: object) -> Flask:
    """Build the example app for the emulator at ``base_url``, with its database in ``folder``."""
    return create_app(
        {
            "SECRET_KEY": "for tests only, thirty-two characters",
            "OPENROUTER_BASE_URL": base_url,
            "OPENROUTER_EMULATOR": True,
            "CHAT_DATABASE": str(folder / "chat.db"),
            **config,
        }
    )
