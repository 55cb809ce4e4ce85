"""The table of faults: how each must end, and its row on the page of the documentation."""

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
    """The end of one fault.

    ``page``: status, and the title of the page or the target of the redirect. ``exchanges``: codes
    sent while the fault lasted. ``key``: ``kept``, ``replaced`` by that of this login, or ``gone``.
    ``other_tab``: whether a login that waited in another tab ``completes``. ``secrets``: how many
    were found outside their place. ``events``: lines in the log, or None if they cannot be counted.
    """

    page: str
    exchanges: int = 0
    key: str = "kept"
    other_tab: str = "completes"
    secrets: int = 0
    events: int | None = 1


@dataclass(frozen=True, eq=False)
class Fault:
    """A fault. ``run(site, variant)`` injects it; ``remark`` explains its row."""

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
        """Return the row of the page."""
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
    """Yield each variant of each fault with one of its storages, each time another one."""
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
