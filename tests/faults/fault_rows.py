"""The table of faults: how each must end, and its row on the page of the documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Where keys may live.
STORAGES = ("cookie", "memory", "sqlite", "postgresql", "redis")
SERVER_SIDE = STORAGES[1:]
HEADINGS = ("the visitor sees", "codes sent", "earlier key", "faults")


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

    @property
    def outcome(self) -> tuple[str, str, str]:
        """The cells of the page that faults with the same end share."""
        return self.expected.page, str(self.expected.exchanges), self.expected.key

    def __str__(self) -> str:
        """Return the fault as the page names it, with what it does not expect of a fault."""
        row = self.expected
        name = f"{self.number} {self.name}"
        if len(self.variants) > 1:
            name += f" ({', '.join(self.variants)})"
        others = [kind for kind in STORAGES if kind not in self.storages]
        if len(others) == 1:
            name += f" [not {others[0]}]"
        elif others:
            name += f" [{', '.join(self.storages)}]"
        remarks = [self.remark] if self.remark else []
        if row.other_tab != "completes":
            remarks.append(f"the other tab's login is {row.other_tab}")
        if row.events != 1:
            remarks.append(f"log lines: {'vary' if row.events is None else row.events}")
        return f"{name}: {'; '.join(remarks)}" if remarks else name


FAULTS: list[Fault] = []


def one_run_of_each_fault() -> Iterator[tuple[Fault, str, str]]:
    """Yield each fault with one of its variants and storages, each time another one."""
    for number, fault in enumerate(FAULTS):
        variant = [*fault.variants][number % len(fault.variants)]
        yield fault, variant, fault.storages[number % len(fault.storages)]


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


def as_markdown(faults: list[Fault]) -> str:
    """Return the table: a row for each outcome, in the order of its first fault."""
    outcomes: dict[tuple[str, str, str], list[str]] = {}
    for fault in sorted(faults, key=lambda fault: int(fault.number[1:])):
        outcomes.setdefault(fault.outcome, []).append(str(fault))
    rows = [(*outcome, "<br>".join(names)) for outcome, names in outcomes.items()]
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
