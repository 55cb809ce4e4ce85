"""An owner id that some database would cut or alter is refused before anything is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_openrouter.storage import KeyStorage, check_owner_id
from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.redis import RedisStorage
from flask_openrouter.storage.sqlalchemy import SQLAlchemyStorage

REFUSED = {
    "empty": "",
    "256 characters": "x" * 256,
    "10 kB": "x" * 10_000,
    "NUL": "a\0b",
    "lone surrogate": "a\udc80",
    "number": 7,
    "bytes": b"a",
    "None": None,
}

# None of them has a server: what reaches for one fails with another error than ValueError.
STORAGES = {
    "memory": MemoryStorage(),
    "sqlalchemy": SQLAlchemyStorage("postgresql+psycopg://127.0.0.1:1/nowhere"),
    "redis": RedisStorage("redis://127.0.0.1:1"),
}


@pytest.mark.requirement("R96")
@pytest.mark.parametrize("storage", STORAGES.values(), ids=STORAGES)
def test_owner_ids_that_cannot_be_kept_exactly_are_refused(storage: KeyStorage) -> None:
    for name, owner_id in REFUSED.items():
        for use in (storage.get, storage.delete, lambda owner: storage.set(owner, "ciphertext")):
            with pytest.raises(ValueError, match="An owner id"):
                pytest.fail(f"accepted: {name}: {use(owner_id)}")


@pytest.mark.requirement("R96")
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=255))
def test_every_other_text_is_taken_as_it_is(text: str) -> None:
    owner_id = text or "x"
    assert check_owner_id(owner_id) == owner_id
