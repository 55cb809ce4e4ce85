"""The example app, at the emulator that all tests share."""

from __future__ import annotations

import pytest
from chat_visitor import ChatVisitor
from flask import Flask

from example_app import create_app
from flask_openrouter.emulator import Emulator


@pytest.fixture
def app(emulator: Emulator) -> Flask:
    return create_app(
        {
            "SECRET_KEY": "for tests only, thirty-two characters",
            "OPENROUTER_BASE_URL": emulator.url,
            "OPENROUTER_EMULATOR": True,
        }
    )


@pytest.fixture
def visitor(app: Flask, emulator: Emulator) -> ChatVisitor:
    return ChatVisitor(app, emulator)


@pytest.fixture
def connected(visitor: ChatVisitor) -> ChatVisitor:
    assert visitor.connect().status_code == 303
    return visitor
