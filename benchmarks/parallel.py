"""Lookups per second of one worker process and of four, all on one store."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from multiprocessing.managers import SyncManager
from threading import Barrier
from time import monotonic
from typing import Final

from flask_openrouter.storage.uri import storage_from_uri

from .filling import owner_id
from .report import Row
from .rounds import interleaved
from .stores import MAX_AGE, Store, close

PROCESSES: Final = 4
#: Owners are made before the time begins, and asked for one after another.
_OWNERS: Final = 20_000


def measure(stores: Sequence[Store], rounds: int, seconds: float) -> list[Row]:
    """Measure the largest store of each back end, for so many seconds in each round."""
    most = max(store.rows for store in stores)
    rows = []
    # Spawned, so that no process has a connection of another's.
    context = get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(PROCESSES, context) as pool:
        for store in stores:
            if store.rows == most:
                rate = partial(_lookups_per_second, pool, manager, store, seconds)
                samples = interleaved(
                    {
                        "1 process": partial(rate, 1),
                        f"{PROCESSES} processes": partial(rate, PROCESSES),
                    },
                    rounds,
                )
                rows.append(Row(f"{store.name}: lookups", "/s", samples, base="1 process"))
    return rows


def _lookups_per_second(
    pool: ProcessPoolExecutor, manager: SyncManager, store: Store, seconds: float, processes: int
) -> float:
    ready = manager.Barrier(processes)
    runs = [
        pool.submit(look_up, store.uri, store.rows, seed, ready, seconds)
        for seed in range(processes)
    ]
    return sum(run.result() for run in runs)


def look_up(uri: str, rows: int, seed: int, ready: Barrier, seconds: float) -> float:
    """Look up owners for so long, once all processes are ready; return how many per second."""
    chosen = random.Random(seed)
    owners = [owner_id(chosen.randrange(rows)) for _ in range(_OWNERS)]
    storage = storage_from_uri(uri, max_age=MAX_AGE)
    for owner in owners[:50]:
        storage.get(owner)
    ready.wait()
    found = 0
    start = monotonic()
    while monotonic() < start + seconds:
        found += storage.get(owners[found % _OWNERS]) is not None
    rate = found / (monotonic() - start)
    close(storage)
    return rate
