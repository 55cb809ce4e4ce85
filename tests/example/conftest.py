"""The example app and its visitors, as any app's tests have them from the package's plugin."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from chat_visitor import ORIGIN, ChatVisitor
from flask import Flask
from werkzeug.test import TestResponse

from example_app import create_app
from flask_openrouter.emulator import Emulator


@pytest.fixture
def app(openrouter_app_config: dict[str, object]) -> Flask:
    return create_app(openrouter_app_config)


@pytest.fixture
def visitor(app: Flask, openrouter_emulator: Emulator) -> ChatVisitor:
    return ChatVisitor(app, openrouter_emulator)


@pytest.fixture
def connected(visitor: ChatVisitor, openrouter_login: Callable[..., TestResponse]) -> ChatVisitor:
    openrouter_login(visitor.client, "/", base_url=ORIGIN)
    return visitor
