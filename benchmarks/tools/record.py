"""Results of one run and the machine that made them, as Markdown and as JSON."""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from .rows import Goal, Result, Row
from .table import tables

_PACKAGES = "flask werkzeug authlib flask-dance flask-login requests urllib3 cryptography gunicorn"


@dataclass
class Record:
    """One run: its results, the machine, the versions and the date."""

    machine: str
    python: str
    packages: dict[str, str]
    date: str
    rounds: int
    quick: bool
    #: Number of processes that wanted a CPU before the run. Much more than 0 spoils the figures.
    load: float = 0.0
    results: list[Result] = field(default_factory=list)

    @classmethod
    def of_this_machine(cls, *, rounds: int, quick: bool) -> Record:
        """Return an empty record."""
        installed = {found.name.lower(): found.version for found in distributions()}
        return cls(
            machine=f"{_processor()}, {os.cpu_count()} CPUs, {platform.system()}",
            python=platform.python_version(),
            packages={name: installed[name] for name in _PACKAGES.split() if name in installed},
            date=f"{datetime.now(timezone.utc):%Y-%m-%d}",
            rounds=rounds,
            quick=quick,
            load=round(os.getloadavg()[0], 1),
        )

    def only(self, *subjects: str) -> Record:
        """Return the record of these subjects. Raises KeyError when one was not run."""
        results = {result.name: result for result in self.results}
        return replace(self, results=[results[name] for name in subjects])

    def to_markdown(self) -> str:
        """Return the tables and a line on how they were made."""
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        form = "quick form, " if self.quick else ""
        where = f"{self.date}, {form}{self.rounds} rounds. {self.machine}, load {self.load} before."
        return f"{tables(self.results)}\n{where} Python {self.python}, {packages}.\n"

    def write(self, path: Path) -> None:
        """Write everything as JSON, with the figures of each round."""
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Record:
        """Read a file that :meth:`write` made."""
        values = json.loads(path.read_text(encoding="utf-8"))
        results = values.pop("results")
        return cls(**values, results=[_result(**result) for result in results])


def _result(rows: list[dict[str, Any]], **values: str) -> Result:
    goals = [Goal(**row["goal"]) if row["goal"] else None for row in rows]
    paired = zip(rows, goals, strict=True)
    return Result(**values, rows=[Row(**{**row, "goal": goal}) for row, goal in paired])


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", path.read_text()) if path.exists() else None
    return found[1] if found else platform.processor() or platform.machine()
