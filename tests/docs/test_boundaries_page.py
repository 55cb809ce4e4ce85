"""docs/boundaries.md: the login without Flask goes through, and only in its own browser."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from doc_blocks import ROOT, at_emulator, blocks

from flask_openrouter.emulator import Emulator


def test_a_login_with_the_client_alone(emulator: Emulator) -> None:
    (block,) = [
        b
        for b in blocks("python")
        if b.page == ROOT / "docs" / "boundaries.md" and "def finish_login" in b.code
    ]
    names: dict[str, Any] = {}
    exec(compile(at_emulator(block.code, emulator.url), block.name, "exec"), names)  # noqa: S102
    session: dict[str, str] = {}
    url = names["start_login"](session, "http://localhost:8000/callback")
    query = parse_qs(urlsplit(emulator.approve(url)).query)
    (state,), (code,) = query["state"], query["code"]
    for other in ({}, {**session, "state": "another"}):
        with pytest.raises(ValueError, match="has not begun"):
            names["finish_login"](other, state, code)
    assert names["finish_login"](session, state, code).startswith("sk-or-v1-")
    with pytest.raises(ValueError, match="has not begun"):
        names["finish_login"](session, state, code)
