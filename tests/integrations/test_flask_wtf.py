"""Flask-WTF's CSRFProtect, as documented: every form of the extension passes it."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask_wtf import CSRFProtect
from full_storage import FullStorage
from page import add_page
from visitor import Visitor

from flask_openrouter.emulator import Emulator

csrf = CSRFProtect()


@pytest.fixture
def storage() -> FullStorage:
    return FullStorage()


@pytest.fixture
def app(make_app: Any, storage: FullStorage) -> Flask:
    app: Flask = make_app({"storage": storage}, PAGE="{{ openrouter_disconnect_button() }}")
    csrf.init_app(app)
    add_page(app)
    return app


@pytest.fixture(params=["http", "https"])
def visitor(app: Flask, request: pytest.FixtureRequest) -> Visitor:
    """On https Flask-WTF requires a referrer, too (``WTF_CSRF_SSL_STRICT``)."""
    return Visitor(app, f"{request.param}://localhost")


def submit(visitor: Visitor, html: str, path: str, **values: str) -> Any:
    """Send the form of that page, with the headers that Chromium sends for it."""
    form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', html))
    actions = re.findall(r'<form[^>]* action="([^"]*)"', html)
    headers = {"Origin": visitor.base_url}
    # What the browser tests see: "strict-origin" sends the origin, "no-referrer" would send none.
    if 'name="referrer" content="no-referrer"' not in html:
        headers["Referer"] = f"{visitor.base_url}/"
    return visitor.post(unescape([*actions, path][0]), data={**form, **values}, headers=headers)


def test_a_form_without_its_field_is_refused(visitor: Visitor, emulator: Emulator) -> None:
    """So the protection is on."""
    visitor.connect(emulator)
    headers = {"Origin": visitor.base_url, "Referer": f"{visitor.base_url}/"}
    for path in ("disconnect", "code", "save"):
        answer = visitor.post(f"/openrouter/{path}", headers=headers)
        assert (answer.status_code, "CSRF token is missing" in answer.text) == (400, True)
    assert visitor.key is not None


@pytest.mark.requirement("R52")
def test_the_field_must_be_right_and_the_page_of_this_origin(
    visitor: Visitor, emulator: Emulator
) -> None:
    visitor.connect(emulator)
    key = visitor.key
    html = visitor.get("/page").text
    assert submit(visitor, html, "", csrf_token="wrong").status_code == 400
    (token,) = re.findall(r'name="csrf_token" value="([^"]*)"', html)
    headers = {"Origin": "https://evil.example", "Referer": f"{visitor.base_url}/"}
    answer = visitor.post("/openrouter/disconnect", data={"csrf_token": token}, headers=headers)
    assert answer.status_code == 403
    assert visitor.key == key is not None


def test_the_disconnect_button_works(visitor: Visitor, emulator: Emulator) -> None:
    visitor.connect(emulator)
    assert submit(visitor, visitor.get("/page").text, "").status_code == 303
    assert visitor.key is None


def test_a_code_can_be_pasted(visitor: Visitor, emulator: Emulator) -> None:
    page = visitor.get("/openrouter/code?next=/guarded").text
    (authorization_url,) = re.findall('href="([^"]+/auth[^"]+)"', page)
    code = emulator.approve_headless(unescape(authorization_url))
    assert submit(visitor, page, "/openrouter/code", code=code).location == "/guarded"
    assert visitor.key is not None


def test_a_key_can_be_saved_again(
    visitor: Visitor, emulator: Emulator, storage: FullStorage
) -> None:
    storage.is_full = True
    page = visitor.connect(emulator, "/guarded")
    assert page.status_code == 503
    storage.is_full = False
    assert submit(visitor, page.text, "").location == "/guarded"
    assert visitor.key is not None
