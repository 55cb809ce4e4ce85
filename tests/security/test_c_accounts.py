"""A key, and a login under way, stay with the account of the app that they belong to.

(OWASP ASVS 5.0, 7.4.1, 10.1.2 and 14.3.1; CWE-384; CVE-2022-25896; CVE-2023-29019.)
"""

from __future__ import annotations

from typing import Any

import pytest
from visitor import Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.errors import KeyRejectedError


def test_a_rejected_key_of_somebody_else_costs_the_visitor_nothing(
    make_app: Any, emulator: Emulator
) -> None:
    """401 for a key of the app itself says nothing about this visitor's key (R99)."""
    app = make_app()
    dead = emulator.issue_key()
    emulator.revoke(dead)

    @app.get("/balance")
    def balance() -> str:
        client = app.extensions["openrouter"].client
        return str(client.get_key_info(dead).usage)

    visitor = Visitor(app)
    visitor.connect(emulator)
    key = visitor.key
    with pytest.raises(KeyRejectedError):
        visitor.get("/balance")
    assert visitor.key == key is not None
