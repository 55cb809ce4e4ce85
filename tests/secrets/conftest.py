"""A provider whose keys and codes are looked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from key_issuer import KeyIssuer, running_key_issuer


@pytest.fixture
def key_issuer() -> Iterator[KeyIssuer]:
    with running_key_issuer() as key_issuer:
        yield key_issuer
