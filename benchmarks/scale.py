"""``python -m benchmarks.scale``: put measured and computed figures into docs/scale.md.

Reads what a complete run wrote to ``benchmarks/results.json``; another file may be named.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from . import ROOT
from .record import BEGIN, END, Record
from .report import Row

PAGE: Final = ROOT / "docs" / "scale.md"
PARTS: Final = ("storage", "steady", "load")
USERS: Final = (10_000, 1_000_000, 100_000_000)

# What the computed table supposes of the visitors. The page says so, too.
_ACTIVE: Final = 0.1  # of the connected users, on one day
_REQUESTS: Final = 50  # guarded requests of one of them, on that day
_LOGINS: Final = 1 / 30  # of a connected user, on one day
_BUSIEST: Final = 0.2 / 3600  # of a day's requests, in each second of the busiest hour


@dataclass(frozen=True)
class Costs:
    """What was measured, and all that the arithmetic needs."""

    postgresql_bytes: float
    redis_bytes: float
    #: Seconds of processor time.
    guarded_request: float
    login: float
    #: Of one machine that runs the clients, too.
    postgresql_lookups: float
    redis_lookups: float
    #: Records re-encrypted in a second, without waiting for a disk.
    postgresql_rotation: float
    redis_rotation: float
    #: Seconds until a write has reached the disk.
    disk: float

    @classmethod
    def of(cls, rows: Mapping[str, Row]) -> Costs:
        """Pick the medians. Raises LookupError when something was not measured."""

        def find(start: str, column: str = "", end: str = "") -> float:
            row = next(
                (row for what, row in rows.items() if what.startswith(start) and end in what), None
            )
            if row is None:
                raise LookupError(f"Not measured: {start} {end}")
            figures = row.figures()
            return figures[column or list(figures)[-1]].median

        return cls(
            postgresql_bytes=find("PostgreSQL: one stored key"),
            redis_bytes=find("Redis: one stored key"),
            guarded_request=find("processor time", end="guarded requests") / 1e6,
            login=find("processor time", end="logins") / 1e6,
            postgresql_lookups=find("PostgreSQL, 1,000,000 rows: lookups"),
            redis_lookups=find("Redis, 1,000,000 rows: lookups"),
            postgresql_rotation=find("re-encryption", "PostgreSQL"),
            redis_rotation=find("re-encryption", "Redis"),
            disk=find("a write that reaches this disk") / 1e6,
        )


def computed_table(costs: Costs) -> str:
    """Return the table for :data:`USERS`, in Markdown."""
    lines = [["connected users", *(f"{users:,}" for users in USERS)]]
    lines += [[what, *values] for what, values in _computed(costs)]
    rule = "| --- | " + " | ".join("---:" for _ in USERS) + " |"
    first, *rest = ("| " + " | ".join(line) + " |" for line in lines)
    return "\n".join([first, rule, *rest])


def _computed(costs: Costs) -> Iterator[tuple[str, list[str]]]:
    requests = [users * _ACTIVE * _REQUESTS * _BUSIEST for users in USERS]
    logins = [users * _LOGINS * _BUSIEST for users in USERS]
    yield "guarded requests per second, busiest hour", [_number(rate) for rate in requests]
    yield "logins per second, busiest hour", [_number(rate) for rate in logins]
    cores = [
        rate * costs.guarded_request + login * costs.login
        for rate, login in zip(requests, logins, strict=True)
    ]
    yield "processor cores for both, without the app's own work", [_number(c) for c in cores]
    for name, size, most in (
        ("PostgreSQL", costs.postgresql_bytes, costs.postgresql_lookups),
        ("Redis", costs.redis_bytes, costs.redis_lookups),
    ):
        yield f"{name}: bytes", [_bytes(users * size) for users in USERS]
        yield (
            f"{name}: machines like the one measured, for the lookups",
            [f"{math.ceil(rate / most):,}" for rate in requests],
        )
    rotation = 1 / costs.postgresql_rotation
    yield (
        "re-encryption, one process, PostgreSQL that waits for this disk",
        [_time(users * (rotation + costs.disk)) for users in USERS],
    )
    yield (
        "the same with `synchronous_commit=off`",
        [_time(users * rotation) for users in USERS],
    )
    yield "the same, Redis", [_time(users / costs.redis_rotation) for users in USERS]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _bytes(value: float) -> str:
    return f"{value / 1e9:,.0f} GB" if value >= 1e9 else f"{value / 1e6:,.0f} MB"


def _time(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:,.0f} seconds"


def write_page(record: Record, page: Path = PAGE) -> None:
    """Replace the tables of the page. Raises LookupError when a part was not measured."""
    results = [result for result in record.results if result.name in PARTS]
    rows = {row.what: row for result in results for row in result.rows}
    measured = replace(record, results=results).to_markdown()
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    tables = f"{computed_table(Costs.of(rows))}\n\n## Measured\n\n{measured}"
    page.write_text(f"{before}{BEGIN}\n{tables}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Read the record that the command line names, and write the page."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "benchmarks" / "results.json"
    write_page(Record.read(path))


if __name__ == "__main__":
    main()
