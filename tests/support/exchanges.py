"""An exchange that goes wrong, as the tests of the transport make it."""

from __future__ import annotations

import time

import pytest
from misbehaving import http_answer
from polling import PATIENCE, wait_until
from ports import free_port

from flask_openrouter.client import OpenRouterClient
from flask_openrouter.errors import OpenRouterError, TransportTimeoutError

KEY = "sk-or-v1-" + "0123456789abcdef" * 4
CODE, VERIFIER = "auth_code_xyz789", "v" * 43
#: Nothing listens on the port that it returns.
unused_port = free_port
GOOD = http_answer(200, {"key": KEY, "user_id": None})


def timed_out_exchange(provider, timeout):
    """Return the error of an exchange that was sent before its time was over, and its seconds.

    A busy machine may need all the time to connect. Then it is tried again.
    """
    for _ in range(30):
        error, seconds = failure_of_exchange(provider.url, timeout)
        if error.was_sent:
            break
    assert type(error) is TransportTimeoutError
    assert error.was_sent
    wait_until(lambda: provider.exchanges)
    assert len(provider.exchanges) == 1
    return error, seconds


def failure_of_exchange(url, timeout=PATIENCE):
    """Return the error of an exchange and the seconds it took."""
    started = time.monotonic()
    with pytest.raises(OpenRouterError) as caught:
        OpenRouterClient(url, timeout=timeout).exchange_code(CODE, VERIFIER)
    return caught.value, time.monotonic() - started
