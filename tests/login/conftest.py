"""Logins are tested with every kind of storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from key_issuer import KeyIssuer, running_key_issuer


@pytest.fixture
def key_issuer() -> Iterator[KeyIssuer]:
    with running_key_issuer() as key_issuer:
        yield key_issuer


@pytest.fixture
def in_thread() -> Iterator[Callable[..., Future[Any]]]:
    with ThreadPoolExecutor(4) as pool:
        yield pool.submit
