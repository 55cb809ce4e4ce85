"""A claim whose response arrives after that of another request of the same browser."""

from __future__ import annotations

from typing import Any

import pytest
from attack import load_jar, save_jar, set_cookies
from visitor import Visitor

from flask_openrouter import OpenRouterAuth
from flask_openrouter.emulator import Emulator


@pytest.mark.parametrize("meanwhile", ["disconnect", "connect"])
def test_it_neither_undoes_a_disconnect_nor_replaces_a_newer_key(
    make_app: Any, emulator: Emulator, meanwhile: str
) -> None:
    """With keys in cookies, the browser keeps what arrives last."""
    app, user = make_app(), {"id": None}
    auth = OpenRouterAuth()
    app.extensions["openrouter"].app_functions.owner_loader = lambda: user["id"]
    app.post("/claim")(lambda: str(auth.claim()))
    visitor = Visitor(app)
    visitor.connect(emulator)
    slow = Visitor(app)
    load_jar(slow, save_jar(visitor))
    user["id"] = "ada"  # type: ignore[assignment]
    answer = slow.post("/claim")
    claimed = slow.key
    assert (answer.text, claimed is not None) == ("True", True)
    user["id"] = None
    if meanwhile == "disconnect":
        visitor.post("/openrouter/disconnect")
    else:
        visitor.connect(emulator)
    newest = visitor.key
    for name, (value, _) in set_cookies(answer).items():
        visitor.client.set_cookie(name, value)
    assert visitor.key == newest != claimed
    user["id"] = "ada"  # type: ignore[assignment]
    assert visitor.key is None
    # What was claimed can be disconnected.
    slow.post("/openrouter/disconnect")
    assert slow.key is None
