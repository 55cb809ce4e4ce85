"""The example app and its visitors, set up with the package's pytest plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chat_visitor import ORIGIN, ChatVisitor, example_at
from flask import Flask
from held_model import HeldModel, held_model
from werkzeug.test import TestResponse

from example_app import create_app
from flask_openrouter.emulator import Emulator


@pytest.fixture
def app(openrouter_app_config: dict[str, object], tmp_path: Path) -> Flask:
    return create_app({**openrouter_app_config, "CHAT_DATABASE": str(tmp_path / "chat.db")})


@pytest.fixture
def visitor(app: Flask, openrouter_emulator: Emulator) -> ChatVisitor:
    return ChatVisitor(app, openrouter_emulator)


@pytest.fixture
def connected(visitor: ChatVisitor, openrouter_login: Callable[..., TestResponse]) -> ChatVisitor:
    openrouter_login(visitor.client, "/", base_url=ORIGIN)
    return visitor


@pytest.fixture
def other(app: Flask, openrouter_emulator: Emulator) -> ChatVisitor:
    """Another visitor, in another browser, with another account."""
    stranger = ChatVisitor(app, openrouter_emulator)
    with openrouter_emulator.configured(openrouter_user_id="user_other"):
        stranger.connect()
    return stranger


@pytest.fixture
def held() -> Iterator[HeldModel]:
    """Another OpenRouter, whose answers the test holds and releases."""
    with held_model() as model:
        yield model


@pytest.fixture
def held_visitor(held: HeldModel, tmp_path: Path) -> ChatVisitor:
    """A connected visitor of an app that uses the model ``held``."""
    visitor = ChatVisitor(example_at(held.emulator.url, tmp_path), held.emulator)
    visitor.connect()
    return visitor
