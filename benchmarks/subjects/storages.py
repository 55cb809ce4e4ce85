"""Storages with a thousand to a million rows: times of calls, bytes, re-encryption."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from time import perf_counter

from flask_openrouter.storage.vault import Outcome

from .. import ROOT
from ..tools.rounds import interleaved, median_time
from ..tools.rows import Goal, Row
from ..tools.stores import Store, encrypted_key, filled_stores, owner_id

#: Calls and re-encrypted records in one round.
CALLS = 100
RECORDS = 250


def run(rounds: int, quick: bool) -> list[Row]:
    """Measure everything on the same stores."""
    with filled_stores((1_000, 10_000) if quick else (1_000, 100_000, 1_000_000)) as stores:
        first, last = stores[0].size, stores[-1].size
        lookups, sets = _times(_lookups, stores, rounds), _times(_sets, stores, rounds)
        sizes = {store: [store.bytes_per_row] for store in stores}
        largest = [store for store in stores if store.size == last]
        rates = _re_encryption_rates(largest, 2 if quick else 8)
    rows = []
    for what, unit, samples, base, goal in (
        ("lookup", "µs", lookups, first, Goal(1.15, column=last)),
        ("set", "µs", sets, first, None),
        ("one stored key, with its index", "bytes", sizes, None, None),
    ):
        for kind in rates:
            own = {store.size: samples[store] for store in stores if store.kind == kind}
            rows.append(Row(f"{kind}: {what}", unit, own, base, goal))
    return [
        *rows,
        Row(f"re-encryption of {last} by one process", "/s", rates),
        Row("a write that reaches this disk", "µs", {"fsync": _synced_writes()}),
    ]


def _times(
    measure: Callable[[Store], float], stores: Sequence[Store], rounds: int
) -> dict[Store, list[float]]:
    """Time calls of one store after another in every round."""
    for store in [*stores] * 5:
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
    """Re-encrypt a part of each store, as ``flask openrouter rotate`` does; count per second."""
    rotations = {store.kind: store.rotation() for store in stores}
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
