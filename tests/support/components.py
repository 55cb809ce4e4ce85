"""Programs that a test needs: without them it is skipped, and fails in CI."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def require(component: str, reason: str) -> NoReturn:
    """Skip this test because ``component`` is missing; fail it where everything must be there.

    Call it when the component was not found. ``OPENROUTER_TEST_REQUIRE_ALL=1`` makes it a failure.
    """
    message = f"{component}: {reason}"
    if os.environ.get("OPENROUTER_TEST_REQUIRE_ALL") == "1":
        pytest.fail(f"required here, and missing: {message}", pytrace=False)
    pytest.skip(message)
