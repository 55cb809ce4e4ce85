"""Error reports from the form for a pasted code show neither the code nor the state."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from leaks import leaks_in
from visitor import Visitor

import flask_openrouter
from flask_openrouter.errors import StateMismatchError
from flask_openrouter.login.callback import read_callback, read_pasted

PACKAGE = str(Path(flask_openrouter.__file__).parent)
CODE, STATE = "auth_code_of_a_visitor_0123456789", "AbCdEfGhIjKlMnOpQrStUv"
SECRETS = {"code": CODE, "state": STATE}


def locals_of_package(error: BaseException) -> list[str]:
    """Return what an error reporter shows of the frames of the package."""
    return [
        repr(value)
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename.startswith(PACKAGE)
        for value in frame.f_locals.values()
    ]


@pytest.mark.requirement("R65")
def test_an_owner_loader_that_fails_behind_the_form_shows_no_secret(app: Flask) -> None:
    def fail() -> Any:
        raise LookupError("the user table is gone")

    visitor = Visitor(app)
    page = visitor.get("/openrouter/code").text
    state = page.partition('name="state" value="')[2].partition('"')[0]
    assert len(state) == len(STATE)
    app.extensions["openrouter"].app_functions.owner_loader = fail
    with pytest.raises(LookupError) as raised:
        visitor.post("/openrouter/code", data={"code": CODE, "state": state})
    assert leaks_in(locals_of_package(raised.value), {"code": CODE, "state": state}) == []


@pytest.mark.requirement("R65")
def test_what_cannot_be_a_callback_is_refused_without_showing_it(app: Flask) -> None:
    query = f"state={STATE}&code={CODE}&iss=https://other.example"
    with app.test_request_context(f"/openrouter/callback?{query}"):
        with pytest.raises(StateMismatchError) as raised:
            read_callback("https://openrouter.ai")
        assert leaks_in(locals_of_package(raised.value), SECRETS) == []
    for ending in ("", "&x=ö", "&x=" + "y" * 9_000):
        pasted = f"https://app.example/openrouter/callback?{query}{ending}"
        with pytest.raises(StateMismatchError) as raised:
            read_pasted(pasted, STATE, "https://openrouter.ai")
        assert raised.value.reason == "malformed"
        assert leaks_in(locals_of_package(raised.value), SECRETS) == []
