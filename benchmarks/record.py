"""One run's results and where it was made: as JSON, as Markdown, in the documentation."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from . import ROOT
from .report import Result
from .table import tables

#: The parts of docs/scale.md.
OURS_ALONE = ("storage", "steady", "load")
DOCS = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- made by python -m benchmarks -->\n", "<!-- until here -->\n"
_PACKAGES = (
    "flask",
    "werkzeug",
    "authlib",
    "flask-dance",
    "flask-login",
    "requests",
    "urllib3",
    "cryptography",
    "gunicorn",
)


@dataclass
class Record:
    """What was run, where and when, and what came of it."""

    machine: str
    python: str
    packages: dict[str, str]
    date: str
    rounds: int
    quick: bool
    results: list[Result] = field(default_factory=list)
    #: How many processes wanted a CPU when it began. Much more than 0 spoils the figures.
    load: float = 0.0

    @classmethod
    def of_this_machine(cls, *, rounds: int, quick: bool) -> Record:
        """Return an empty record."""
        return cls(
            machine=f"{_processor()}, {os.cpu_count()} CPUs, {platform.system()}",
            python=platform.python_version(),
            packages={name: _version(name) for name in _PACKAGES},
            load=round(os.getloadavg()[0], 1),
            date=f"{datetime.now(timezone.utc):%Y-%m-%d}",
            rounds=rounds,
            quick=quick,
        )

    def to_markdown(self) -> str:
        """Return the tables, and a line on how they were made."""
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items() if number)
        form = "quick form, " if self.quick else ""
        where = f"{self.date}, {form}{self.rounds} rounds. {self.machine}, load {self.load} before."
        return f"{tables(self.results)}\n{where} Python {self.python}, {packages}.\n"

    @classmethod
    def read(cls, path: Path) -> Record:
        """Read what :meth:`write` wrote."""
        values = json.loads(path.read_text(encoding="utf-8"))
        parts = values.pop("parts")
        results = [Result.from_json(name, part) for name, part in parts.items()]
        return cls(**values, results=results)

    def write(self, path: Path) -> None:
        """Write everything as JSON, the figures of each round too."""
        values = {**vars(self), "parts": {one.name: one.as_json() for one in self.results}}
        del values["results"]
        path.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def comparison(self) -> Record:
        """Return the record of what concerns all candidates; ours alone has a page of its own."""
        results = [one for one in self.results if one.name not in OURS_ALONE]
        return replace(self, results=results)

    def write_docs(self, page: Path = DOCS) -> None:
        """Replace the tables of the documentation's page by those of the comparison."""
        before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        text = f"{before}{BEGIN}\n{self.comparison().to_markdown()}\n{END}{after}"
        page.write_text(text, encoding="utf-8")


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
