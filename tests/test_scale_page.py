"""The computed table of docs/scale.md: what it makes of what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.record import BEGIN, END, Record
from benchmarks.report import Result, Row
from benchmarks.scale import PAGE, Costs, computed_table, write_page

MEASURED = [
    Row("PostgreSQL: one stored key", "bytes", {"1,000 rows": [400.0], "1,000,000 rows": [300.0]}),
    Row("Redis: one stored key", "bytes", {"1,000 rows": [400.0], "1,000,000 rows": [350.0]}),
    Row("processor time of one of 100,000 guarded requests", "µs", {"each": [100.0]}),
    Row("processor time of one of 10,000 logins", "µs", {"each": [1000.0]}),
    Row("PostgreSQL, 1,000,000 rows: lookups", "/s", {"1 process": [4.0], "4 processes": [9000.0]}),
    Row("Redis, 1,000,000 rows: lookups", "/s", {"1 process": [4.0], "4 processes": [20000.0]}),
    Row(
        "re-encryption of 1,000,000 rows by one process",
        "/s",
        {"SQLite": [3.0], "PostgreSQL": [1000.0], "Redis": [2000.0]},
    ),
    Row("a write that reaches this disk", "µs", {"fsync": [4000.0]}),
]


def record_of(rows: list[Row]) -> Record:
    results = [Result("storage", rows), Result("views", [Row("unrelated", "", {"ours": [1.0]})])]
    return Record("a machine", "3.11", {}, "2026-01-01", 21, False, results)


def cells(table: str) -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in table.splitlines()]
    return {what: values for what, *values in lines}


def test_the_arithmetic_is_linear_and_right() -> None:
    table = cells(computed_table(Costs.of({row.what: row for row in MEASURED})))
    assert table["connected users"] == ["10,000", "1,000,000", "100,000,000"]
    assert table["guarded requests per second, busiest hour"] == ["2.8", "278", "27,778"]
    assert table["logins per second, busiest hour"] == ["0.019", "1.9", "185"]
    assert table["processor cores for both, without the app's own work"] == ["0.0003", "0.03", "3"]
    assert table["PostgreSQL: bytes"] == ["3 MB", "300 MB", "30 GB"]
    lookups = "machines like the one measured, for the lookups"
    assert table[f"PostgreSQL: {lookups}"] == ["1", "1", "4"]
    assert table[f"Redis: {lookups}"] == ["1", "1", "2"]
    assert table["re-encryption, one process, PostgreSQL that waits for this disk"] == [
        "50 seconds",
        "83 minutes",
        "6 days",
    ]
    assert table["the same, Redis"] == ["5 seconds", "8 minutes", "14 hours"]


def test_the_page_is_written_between_its_marks_and_again(tmp_path: Path) -> None:
    page = tmp_path / "scale.md"
    page.write_text(f"above\n{BEGIN}old\n{END}below\n", encoding="utf-8")
    for _ in range(2):
        write_page(record_of(MEASURED), page)
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"above\n{BEGIN}")
        assert text.endswith(f"{END}below\n")
        assert "old" not in text
        assert "unrelated" not in text
        assert text.count("| connected users |") == 1
        assert "a machine" in text


@pytest.mark.parametrize("missing", MEASURED, ids=lambda row: row.what)
def test_what_was_not_measured_is_not_computed(missing: Row, tmp_path: Path) -> None:
    page = tmp_path / "scale.md"
    page.write_text(f"{BEGIN}old\n{END}", encoding="utf-8")
    with pytest.raises(LookupError):
        write_page(record_of([row for row in MEASURED if row != missing]), page)
    assert "old" in page.read_text(encoding="utf-8")


def test_the_real_page_has_the_marks() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    assert text.index(BEGIN) < text.index(END)
