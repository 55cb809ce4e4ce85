"""An exchange that goes wrong, as the tests of the transport make it."""

from __future__ import annotations

import time

import pytest
from misbehaving import http_answer
from ports import free_port

from flask_openrouter.client import OpenRouterClient
from flask_openrouter.errors import OpenRouterError

KEY = "sk-or-v1-" + "0123456789abcdef" * 4
CODE, VERIFIER = "auth_code_xyz789", "v" * 43
#: Nothing listens on the port that it returns.
unused_port = free_port
GOOD = http_answer(200, {"key": KEY, "user_id": None})
LIMIT = 0.6


def failure_of_exchange(url, timeout=LIMIT):
    """Return the error of an exchange and the seconds it took."""
    started = time.monotonic()
    with pytest.raises(OpenRouterError) as caught:
        OpenRouterClient(url, timeout=timeout).exchange_code(CODE, VERIFIER)
    return caught.value, time.monotonic() - started
