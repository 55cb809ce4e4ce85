"""The re-encryption of every key, as ``flask openrouter rotate`` does it: rows per second."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from time import perf_counter
from typing import Final

from flask_openrouter.storage import KeyStorage
from flask_openrouter.storage.cipher import KeyCipher
from flask_openrouter.storage.rotation import Rotation
from flask_openrouter.storage.vault import KeyVault, Outcome

from .filling import BASE_URL, ENCRYPTION_KEY
from .report import Row
from .rounds import interleaved
from .stores import Store, opened

#: Rows of one round.
ROWS: Final = 250


def measure(stores: Sequence[Store], rounds: int) -> list[Row]:
    """Re-encrypt a part of the largest store of each back end, and count a smaller one's owners."""
    most = max(store.rows for store in stores)
    largest = [store for store in stores if store.rows == most]
    with opened(largest) as storages:
        rotations = {
            store.kind: Rotation(_vault(storage))
            for store, storage in zip(largest, storages, strict=True)
        }
        walks = {kind: rotation.run() for kind, rotation in rotations.items()}
        for walk in walks.values():
            _rows_per_second(walk)
        samples = interleaved(
            {kind: partial(_rows_per_second, walk) for kind, walk in walks.items()}, rounds
        )
        for rotation in rotations.values():
            # Redis may name an owner twice, but not many.
            assert rotation.counts[Outcome.ROTATED] > 0.9 * (rounds + 1) * ROWS
            assert rotation.counts[Outcome.UNREADABLE] == 0
    return [
        Row(f"re-encryption of {most:,} rows by one process", "/s", samples),
        _counting_row(stores),
    ]


def _counting_row(stores: Sequence[Store]) -> Row:
    """What a rotation does first: it is linear in the rows, so a tenth of a million will do."""
    middle = sorted({store.rows for store in stores})[1]
    chosen = [store for store in stores if store.rows == middle]
    with opened(chosen) as storages:
        samples = {
            store.kind: [_seconds(Rotation(_vault(storage)))]
            for store, storage in zip(chosen, storages, strict=True)
        }
    return Row(f"counting {middle:,} owners", "s", samples)


def _vault(storage: KeyStorage) -> KeyVault:
    newest, older = secrets.token_bytes(32), base64.urlsafe_b64decode(ENCRYPTION_KEY)
    return KeyVault(storage, KeyCipher([newest, older]), base_url=BASE_URL)


def _rows_per_second(walk: Iterator[str]) -> float:
    start = perf_counter()
    for _ in islice(walk, ROWS):
        pass
    return ROWS / (perf_counter() - start)


def _seconds(rotation: Rotation) -> float:
    start = perf_counter()
    rotation.count_owners()
    return perf_counter() - start
