"""The arithmetic of docs/scale.md: from measured costs to numbers of users."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .tools.record import Record

USERS: Final = (10_000, 1_000_000, 100_000_000)

# Assumptions about the visitors. The page states them, too.
_ACTIVE: Final = 0.1  # of the connected users, on one day
_REQUESTS: Final = 50  # guarded requests of one of them, on that day
_LOGINS: Final = 1 / 30  # of a connected user, on one day
_BUSIEST: Final = 0.2 / 3600  # of a day's requests, in each second of the busiest hour


def tables(record: Record) -> str:
    """Return the tables of the page. Raises KeyError when a figure was not measured."""
    lines = [("connected users", [f"{users:,}" for users in USERS]), *_computed(record)]
    table = [f"| {what} | {' | '.join(values)} |" for what, values in lines]
    table.insert(1, "| --- |" + " ---: |" * len(USERS))
    return "\n".join([*table, "", "## Measured", "", record.only("storages").to_markdown()])


def _computed(record: Record) -> Iterator[tuple[str, list[str]]]:
    figures = {
        (row.what, column): figure.median
        for result in record.results
        for row in result.rows
        for column, figure in row.figures().items()
    }
    million, rotation = "1,000,000 rows", "re-encryption of 1,000,000 rows by one process"
    request = figures["guarded view", "ours"] / 1e6
    login = figures["login route", "ours"] / 1e6 + figures["callback over TLS", "ours"] / 1e3
    requests = [users * _ACTIVE * _REQUESTS * _BUSIEST for users in USERS]
    logins = [users * _LOGINS * _BUSIEST for users in USERS]
    yield "guarded requests per second, busiest hour", [_number(rate) for rate in requests]
    yield "logins per second, busiest hour", [_number(rate) for rate in logins]
    cores = [rate * request + each * login for rate, each in zip(requests, logins, strict=True)]
    yield "processor cores for both, without the app's own work", [_number(c) for c in cores]
    for kind in ("PostgreSQL", "Redis"):
        size = figures[f"{kind}: one stored key, with its index", million]
        yield f"{kind}: bytes", [_bytes(users * size) for users in USERS]
        lookup = figures[f"{kind}: lookup", million] / 1e6
        busy = [_number(rate * lookup) for rate in requests]
        yield f"{kind}: connections that are busy with lookups", busy
    in_memory = 1 / figures[rotation, "PostgreSQL"]
    on_disk = in_memory + figures["a write that reaches this disk", "fsync"] / 1e6
    for what, seconds in (
        ("re-encryption, one process, PostgreSQL that waits for this disk", on_disk),
        ("the same with `synchronous_commit=off`", in_memory),
        ("the same, Redis", 1 / figures[rotation, "Redis"]),
    ):
        yield what, [_time(users * seconds) for users in USERS]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _bytes(value: float) -> str:
    return f"{value / 1e9:,.0f} GB" if value >= 1e9 else f"{value / 1e6:,.0f} MB"


def _time(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:,.0f} seconds"
