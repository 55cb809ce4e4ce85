"""How long one lookup, one set and one delete take, and whether that grows with the rows."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from flask_openrouter.storage import KeyStorage

from . import ROOT
from .filling import ciphertexts, owner_id
from .report import Goal, Row
from .rounds import Measurement, interleaved, median_time
from .stores import PARTITIONED, POSTGRESQL, Store, opened

#: Calls in one round.
LOOKUPS: Final = 100
WRITES: Final = 50
OPERATIONS: Final = ("lookup", "set", "delete")


class Load:
    """Operations on one store: on owners that it has, and on new ones that come and go."""

    def __init__(self, rows: int, storage: KeyStorage) -> None:
        self._rows = rows
        self._storage = storage
        self._random = random.Random(rows)
        self._ciphertext = next(iter(ciphertexts(1)))[1]
        self._next = rows

    def lookup(self) -> float:
        """Return the median time of looking up owners that are there, in microseconds."""
        owners = [owner_id(self._random.randrange(self._rows)) for _ in range(LOOKUPS)]
        return median_time(partial(self._storage.get, owner) for owner in owners)

    def set(self) -> float:
        """Return the median time of storing new owners' keys, in microseconds."""
        owners = self._new_owners()
        time = median_time(partial(self._set, owner) for owner in owners)
        for owner in owners:
            self._storage.delete(owner)
        return time

    def delete(self) -> float:
        """Return the median time of deleting keys, in microseconds."""
        owners = self._new_owners()
        for owner in owners:
            self._set(owner)
        return median_time(partial(self._storage.delete, owner) for owner in owners)

    def _set(self, owner: str) -> None:
        self._storage.set(owner, self._ciphertext)

    def _new_owners(self) -> list[str]:
        self._next += WRITES
        return [owner_id(index) for index in range(self._next - WRITES, self._next)]


def measure(stores: Sequence[Store], rounds: int) -> list[Row]:
    """Time all operations on all stores, one store after another in every round."""
    with _loads(stores) as loads:
        times = {
            operation: interleaved(_measurements(loads, operation), rounds)
            for operation in OPERATIONS
        }
    kinds = dict.fromkeys(store.kind for store in stores if store.kind != PARTITIONED)
    return [
        *(_row(times[name], stores, kind, name) for name in OPERATIONS for kind in kinds),
        *(_partitioned_row(times["lookup"], s) for s in stores if s.kind == PARTITIONED),
        *(_size_row(stores, kind) for kind in kinds),
        Row("a write that reaches this disk", "µs", {"fsync": [_synced_write() for _ in range(9)]}),
    ]


@contextmanager
def _loads(stores: Sequence[Store]) -> Iterator[Mapping[str, Load]]:
    with opened(stores) as storages:
        loads = {
            store.name: Load(store.rows, storage)
            for store, storage in zip(stores, storages, strict=True)
        }
        for load in loads.values():
            # Connections, prepared statements, and what a server keeps at hand.
            for _ in range(5):
                load.lookup()
        yield loads


def _measurements(loads: Mapping[str, Load], operation: str) -> dict[str, Measurement]:
    return {name: getattr(load, operation) for name, load in loads.items()}


def _row(
    times: Mapping[str, list[float]], stores: Sequence[Store], kind: str, operation: str
) -> Row:
    samples = {store.size: times[store.name] for store in stores if store.kind == kind}
    smallest, *_, largest = samples
    goal = Goal(most=1.15, column=largest) if operation == "lookup" else None
    return Row(f"{kind}: {operation}", "µs", samples, base=smallest, goal=goal)


def _partitioned_row(times: Mapping[str, list[float]], partitioned: Store) -> Row:
    plain = replace(partitioned, kind=POSTGRESQL)
    samples = {"one table": times[plain.name], "in partitions": times[partitioned.name]}
    return Row(f"{partitioned.name}: lookup", "µs", samples, base="one table")


def _size_row(stores: Sequence[Store], kind: str) -> Row:
    samples = {store.size: [store.bytes_per_row] for store in stores if store.kind == kind}
    return Row(f"{kind}: one stored key, with its index", "bytes", samples)


def _synced_write() -> float:
    """Return the time of what a set costs besides, where it must outlive a power failure."""
    with tempfile.TemporaryFile(buffering=0, dir=ROOT) as file:

        def write() -> None:
            file.write(bytes(4096))
            os.fsync(file.fileno())

        return median_time([write] * 3)
