"""Logins are tested with every kind of storage."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def stored_apps(all_stored_apps: Any) -> Any:
    """Apps of each kind of storage, one after the other."""
    return all_stored_apps
