"""Log lines name an owner by a hash, and the request by its id."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable

import pytest
from cases import case
from flask import Flask
from visitor import Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.log import log_note

OWNER = "owner 56097fd21024"  # printf %s ada@app.example | sha256sum


@pytest.mark.requirement("P11")
def test_lines_about_a_key_name_its_owner_and_the_request(
    make_app: Callable[..., Flask], emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="flask_openrouter")
    app = make_app(OPENROUTER_STORAGE_URI="memory://")
    auth = app.extensions["openrouter"]
    auth.app_functions.owner_loader = lambda: "ada@app.example"
    visitor = Visitor(app)
    visitor.client.environ_base["HTTP_X_REQUEST_ID"] = "7c1e-42"
    visitor.connect(emulator)
    visitor.post("/openrouter/disconnect")
    visitor.get("/openrouter/callback?state=x&code=y")
    connected, forgotten, failed = caplog.messages
    assert connected == f"A key was connected. [{OWNER}, request 7c1e-42]"
    assert forgotten == f"A key was forgotten (visitor). [{OWNER}, request 7c1e-42]"
    assert failed.endswith(" [request 7c1e-42]")
    assert "ada@" not in caplog.text


def test_only_an_id_can_be_the_id_of_a_request(app: Flask) -> None:
    for value, note in [
        ("Root=1-67891233-abcdef012345678912345678", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("an id] [owner 1", False),
        ("sk-or-v1-0123456789", False),
        ("Bearer:sk-or-v1-0123456789", False),
        ("é", False),
        ("", False),
    ]:
        with case(value), app.test_request_context(headers={"X-Request-ID": value}):
            assert log_note() == (f" [request {value}]" if note else "")


def test_without_a_request_the_owner_is_named() -> None:
    digest = hashlib.sha256(b"42").hexdigest()
    assert log_note("42") == f" [owner {digest[:12]}]"
    assert log_note("\ud800") != ""
    assert log_note() == ""
