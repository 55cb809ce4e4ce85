"""A plain HTTP client for the shared emulator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """A client without proxies or netrc."""
    with requests.Session() as session:
        session.trust_env = False
        yield session
