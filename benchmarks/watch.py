"""What the processes of a server hold, at moments that have a name."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from .report import Goal, Row

Count = Callable[[], int]


class Moment(NamedTuple):
    """What all processes hold together, and what was seen of them outside."""

    #: In MiB.
    memory: float
    descriptors: int
    #: Rows, files or Redis keys.
    entries: int
    #: To the provider, since the start.
    connections: int


class Watch:
    """Notes of one run: few logins, many; few forged callbacks, many; one genuine login.

    ``pids``: the server's processes; they may become known until the first note. ``entries`` and
    ``connections`` count what a storage holds, and what the provider has seen.
    """

    def __init__(
        self, name: str, pids: Collection[int], entries: Count, connections: Count
    ) -> None:
        self._name = name
        self._pids = pids
        self._entries = entries
        self._connections = connections
        self._moments: dict[str, Moment] = {}
        self._rates: dict[str, list[float]] = {}

    def note(self, moment: str, rate: float = 0.0) -> None:
        """Take down all figures, and the requests per second that led here."""
        self._moments[moment] = Moment(
            sum(map(resident, self._pids)) / 2**20,
            sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self._pids),
            self._entries(),
            self._connections(),
        )
        if rate:
            self._rates[moment] = [rate]

    def rows(self) -> Iterator[Row]:
        """Yield what has been noted.

        Raises AssertionError when the genuine login was not seen: then nothing else was, either.
        """
        logins, many_logins, forged, many_forged, genuine = self._moments
        assert self._moments[genuine].connections == 1, "The genuine login reached nobody."
        yield self._memory_row(logins, many_logins)
        yield self._memory_row(forged, many_forged)
        nothing = Goal(most=0, of="value", column=many_forged)
        yield self._row("rows, files or Redis keys", lambda moment: moment.entries, nothing)
        yield self._row("connections to OpenRouter", lambda moment: moment.connections, nothing)
        yield self._row("open descriptors", lambda moment: moment.descriptors, None)
        yield Row(f"{self._name}: answers to several clients at once", "/s", self._rates)

    def _memory_row(self, first: str, last: str) -> Row:
        samples = {
            name: [self._moments[moment].memory]
            for name, moment in (("after a tenth", first), ("after all", last))
        }
        return Row(
            f"{self._name}: memory of {len(self._pids)} workers, {last}",
            "MiB",
            samples,
            base="after a tenth",
            goal=Goal(most=1.01, column="after all"),
        )

    def _row(self, what: str, figure: Callable[[Moment], float], goal: Goal | None) -> Row:
        samples = {name: [float(figure(moment))] for name, moment in self._moments.items()}
        return Row(f"{self._name}: {what}", "", samples, goal=goal)


def resident(pid: int) -> int:
    """Return the bytes of memory that a process has in use."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")
