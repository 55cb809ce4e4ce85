"""What may stand in a callback's address, and what a visitor who declined gets.

(RFC 6749 §3.1, §4.1.2 and Appendix A.11; OWASP ASVS 5.0, 2.2.1 and 15.3.7.)
"""

from __future__ import annotations

import time

import pytest
from flask import Flask
from visitor import NAVIGATE
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response


@pytest.mark.requirement("R9", "R102")
def test_ten_megabytes_are_refused_at_once(app: Flask) -> None:
    """Measured inside the server: the test's own client is slower than that."""
    environ = EnvironBuilder("/openrouter/callback", headers=NAVIGATE).get_environ()
    environ["QUERY_STRING"] = f"state={'A' * 43}&code={'x' * 10_000_000}"
    begin = time.perf_counter()
    answer = Response.from_app(app.wsgi_app, environ)
    assert time.perf_counter() - begin < 1
    assert answer.status_code == 400
    assert b"xxxx" not in answer.get_data()
