"""The table of faults: what is expected of each, and how a page of documentation shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Where keys may live.
STORAGES = ("cookie", "memory", "sqlite", "postgresql", "redis")
SERVER_SIDE = STORAGES[1:]
HEADINGS = (
    "",
    "fault",
    "the visitor sees",
    "exchanges",
    "key of before",
    "login in another tab",
    "secrets found",
    "log events",
    "remark",
)


@dataclass(frozen=True)
class Row:
    """What came of one fault. Compared with what was expected, field by field.

    ``page``: status, and the title of the page or where it redirects. ``exchanges``: codes sent
    while the fault lasted. ``key``: ``kept``, ``replaced`` by that of this login, or ``gone``.
    ``other_tab``: whether a login that waited in another tab ``completes``. ``secrets``: how many
    were found where none belongs. ``events``: lines in the log, or None where nobody can count.
    """

    page: str
    exchanges: int = 0
    key: str = "kept"
    other_tab: str = "completes"
    secrets: int = 0
    events: int | None = 1


@dataclass(frozen=True, eq=False)
class Fault:
    """One line of the table. ``run(site, variant)`` injects it; ``remark`` explains the line."""

    number: str
    name: str
    run: Callable[..., Row]
    expected: Row
    storages: tuple[str, ...] = STORAGES
    variants: Mapping[str, Any] = field(default_factory=lambda: {"": None})
    remark: str = ""
    #: How OpenRouter is reached: "http", "https", or "proxy".
    upstream: str = "http"

    def cells(self) -> tuple[str, ...]:
        """Return the line of the table."""
        name, row = self.name, self.expected
        if len(self.variants) > 1:
            name += f" ({', '.join(self.variants)})"
        if self.storages != STORAGES:
            name += f" — {', '.join(self.storages)}"
        return (
            self.number,
            name,
            row.page,
            str(row.exchanges),
            row.key,
            row.other_tab,
            str(row.secrets),
            "-" if row.events is None else str(row.events),
            self.remark,
        )


FAULTS: list[Fault] = []


def one_run_of_each_variant() -> Iterator[tuple[Fault, str, str]]:
    """Yield each variant of each fault with one storage, which is the next one each time."""
    number = 0
    for fault in FAULTS:
        for variant in fault.variants:
            yield fault, variant, fault.storages[number % len(fault.storages)]
            number += 1


def every_run() -> Iterator[tuple[Fault, str, str]]:
    """Yield each variant of each fault with each of its storages."""
    for fault in FAULTS:
        for variant in fault.variants:
            for storage in fault.storages:
                yield fault, variant, storage


def fault(number: str, name: str, page: str, **options: Any) -> Callable[..., Callable[..., Row]]:
    """Register a function as the injection of a fault. ``options``: of Row and of Fault."""
    fields = ("exchanges", "key", "other_tab", "events")
    expected = Row(page, **{name: options.pop(name) for name in fields if name in options})

    def register(run: Callable[..., Row]) -> Callable[..., Row]:
        FAULTS.append(Fault(number, name, run, expected, **options))
        return run

    return register


def as_markdown(rows: list[tuple[str, ...]]) -> str:
    """Return the table."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *rows]
    return "\n".join(f"| {' | '.join(cells)} |".replace("  ", " ") for cells in lines)
