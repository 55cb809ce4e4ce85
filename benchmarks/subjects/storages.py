"""Storages with a thousand to a million rows: times of calls, bytes, re-encryption."""

from __future__ import annotations

import os
import random
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from time import perf_counter
from typing import Final

from flask_openrouter.rotation import Rotation
from flask_openrouter.storage.cipher import KeyCipher
from flask_openrouter.storage.vault import KeyVault, Outcome

from .. import ROOT
from ..tools.rounds import interleaved, median_time
from ..tools.rows import Goal, Row
from ..tools.stores import (
    ENCRYPTION_KEY,
    PROVIDER_URL,
    Store,
    encrypted_key,
    filled_stores,
    owner_id,
)

SIZES: Final = (1_000, 100_000, 1_000_000)
#: Calls and re-encrypted records in one round.
CALLS: Final = 100
RECORDS: Final = 250


def run(rounds: int, quick: bool) -> list[Row]:
    """Measure everything on the same stores."""
    sizes = (1_000, 10_000) if quick else SIZES
    with filled_stores(sizes) as stores:
        first, last = stores[0].size, stores[-1].size
        rows = [
            *_rows(
                "lookup", "µs", _times(_lookups, stores, rounds), first, Goal(1.15, column=last)
            ),
            *_rows("set", "µs", _times(_sets, stores, rounds), first),
            *_rows(
                "one stored key, with its index",
                "bytes",
                {store: [store.bytes_per_row] for store in stores},
            ),
        ]
        largest = [store for store in stores if store.size == last]
        what = f"re-encryption of {last} by one process"
        rates = _re_encryption_rates(largest, 2 if quick else 8)
    return [
        *rows,
        Row(what, "/s", rates),
        Row("a write that reaches this disk", "µs", {"fsync": _synced_writes()}),
    ]


def _rows(
    what: str,
    unit: str,
    samples: Mapping[Store, Sequence[float]],
    base: str | None = None,
    goal: Goal | None = None,
) -> Iterator[Row]:
    """Yield a row for each back end, with a column for each number of rows."""
    for kind in dict.fromkeys(store.kind for store in samples):
        own = {store.size: samples[store] for store in samples if store.kind == kind}
        yield Row(f"{kind}: {what}", unit, own, base, goal)


def _times(
    measure: Callable[[Store], float], stores: Sequence[Store], rounds: int
) -> dict[Store, list[float]]:
    """Time calls of one store after another in every round."""
    for store in stores * 5:
        measure(store)  # Connects, prepares statements, and fills caches.
    return interleaved({store: partial(measure, store) for store in stores}, rounds)


def _lookups(store: Store) -> float:
    owners = [owner_id(random.randrange(store.rows)) for _ in range(CALLS)]
    return median_time(partial(store.storage.get, owner) for owner in owners)


def _sets(store: Store) -> float:
    """Store the keys of new owners, and delete them afterwards."""
    owners = [owner_id(store.rows + number) for number in range(CALLS)]
    keys = {owner: encrypted_key(owner) for owner in owners}
    time = median_time(partial(store.storage.set, owner, key) for owner, key in keys.items())
    for owner in owners:
        store.storage.delete(owner)
    return time


def _re_encryption_rates(stores: Sequence[Store], rounds: int) -> dict[str, list[float]]:
    """Re-encrypt a part of each store, as ``flask openrouter rotate`` does; return rows per second."""
    cipher = KeyCipher([secrets.token_bytes(32), ENCRYPTION_KEY])
    rotations = {
        store.kind: Rotation(KeyVault(store.storage, cipher, base_url=PROVIDER_URL))
        for store in stores
    }
    rates = {kind: partial(_rate, rotation.run()) for kind, rotation in rotations.items()}
    for rate in rates.values():
        rate()
    samples = interleaved(rates, rounds)
    for rotation in rotations.values():
        # Redis may list an owner twice, but not many.
        assert rotation.counts[Outcome.ROTATED] > 0.9 * (rounds + 1) * RECORDS
        assert rotation.counts[Outcome.UNREADABLE] == 0
    return samples


def _rate(walk: Iterator[str]) -> float:
    start = perf_counter()
    count = sum(1 for _ in islice(walk, RECORDS))
    return count / (perf_counter() - start)


def _synced_writes() -> list[float]:
    """Return the microseconds that a write takes longer if it must survive a power failure."""
    with tempfile.TemporaryFile(buffering=0, dir=ROOT) as file:

        def write() -> None:
            file.write(bytes(4096))
            os.fsync(file.fileno())

        return [median_time([write] * 3) for _ in range(9)]
