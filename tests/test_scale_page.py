"""The computed table of docs/scale.md: its arithmetic on measured figures."""

from __future__ import annotations

import pytest

from benchmarks.scale import tables
from benchmarks.tools.record import Record
from benchmarks.tools.rows import Result, Row

MILLION = {"1,000 rows": [4000.0], "1,000,000 rows": [300.0]}
COMPARISON = [
    Row("guarded view", "µs", {"bare": [4.0], "ours": [100.0]}),
    Row("login route", "µs", {"floor": [4.0], "ours": [200.0]}),
    Row("callback over TLS", "ms", {"floor": [4.0], "ours": [0.8]}),
]
STORAGES = [
    Row("PostgreSQL: lookup", "µs", MILLION),
    Row("Redis: lookup", "µs", {"1,000,000 rows": [30.0]}),
    Row("PostgreSQL: one stored key, with its index", "bytes", MILLION),
    Row("Redis: one stored key, with its index", "bytes", {"1,000,000 rows": [350.0]}),
    Row(
        "re-encryption of 1,000,000 rows by one process",
        "/s",
        {"SQLite": [3.0], "PostgreSQL": [1000.0], "Redis": [2000.0]},
    ),
    Row("a write that reaches this disk", "µs", {"fsync": [4000.0]}),
]


def page_of(rows: list[Row]) -> str:
    record = Record("a machine", "3.11", {}, "2026-01-01", 21, quick=False)
    others = [row for row in rows if row not in STORAGES]
    storages = [row for row in rows if row in STORAGES]
    record.results = [Result("views", others), Result("storages", storages)]
    return tables(record)


def test_the_arithmetic_is_linear_and_right() -> None:
    table, _, measured = page_of(COMPARISON + STORAGES).partition("\n\n## Measured\n\n")
    lines = [line.strip("| ").split(" | ") for line in table.splitlines()]
    assert {what: values for what, *values in lines[2:]} == {
        "guarded requests per second, busiest hour": ["2.8", "278", "27,778"],
        "logins per second, busiest hour": ["0.019", "1.9", "185"],
        "processor cores for both, without the app's own work": ["0.0003", "0.03", "3"],
        "PostgreSQL: bytes": ["3 MB", "300 MB", "30 GB"],
        "PostgreSQL: connections that are busy with lookups": ["0.00083", "0.083", "8.3"],
        "Redis: bytes": ["4 MB", "350 MB", "35 GB"],
        "Redis: connections that are busy with lookups": ["8.3e-05", "0.0083", "0.83"],
        "re-encryption, one process, PostgreSQL that waits for this disk": [
            *("50 seconds", "83 minutes", "6 days"),
        ],
        "the same with `synchronous_commit=off`": ["10 seconds", "17 minutes", "28 hours"],
        "the same, Redis": ["5 seconds", "8 minutes", "14 hours"],
    }
    assert lines[0] == ["connected users", "10,000", "1,000,000", "100,000,000"]
    assert "guarded view" not in measured
    assert "PostgreSQL: lookup" in measured
    assert "a machine" in measured


@pytest.mark.parametrize("missing", COMPARISON + STORAGES, ids=lambda row: row.what)
def test_what_was_not_measured_is_not_computed(missing: Row) -> None:
    with pytest.raises(KeyError):
        page_of([row for row in COMPARISON + STORAGES if row != missing])
