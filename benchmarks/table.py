"""The table: the rows of one run in Markdown, for the terminal and for the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .report import Figure, Result, Row

CANDIDATES = ("bare", "floor", "Flask-Login", "Flask-Dance", "Authlib", "ours")


def tables(results: Iterable[Result]) -> str:
    """Return all rows in Markdown: one table of the candidates, then what each part has besides.

    A cell has the median; then, where there is a base, the ratio to it and the ratio's quartiles.
    Without a base the quartiles are the figure's own.
    """
    results = list(results)
    blocks = _blocks([row for one in results for row in one.rows if _is_of_candidates(row)])
    for one in results:
        others = [row for row in one.rows if not _is_of_candidates(row)]
        if others:
            blocks += [f"### {one.name.capitalize()}", *_blocks(others)]
    skipped = [f"* Not run: {one.name}. {one.skipped}." for one in results if one.skipped]
    return "\n\n".join([*blocks, *filter(None, ["\n".join(skipped)])]) + "\n"


def _blocks(rows: list[Row]) -> list[str]:
    by_columns: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        columns = CANDIDATES if _is_of_candidates(row) else tuple(row.samples)
        by_columns.setdefault(columns, []).append(row)
    notes = "\n".join(f"* {row.what}: {row.note}" for row in rows if row.note)
    tables = [_table(columns, group) for columns, group in by_columns.items()]
    return [*tables, *filter(None, [notes])]


def _is_of_candidates(row: Row) -> bool:
    return set(row.samples) <= set(CANDIDATES)


def _table(columns: tuple[str, ...], rows: list[Row]) -> str:
    lines = [["what", *columns, "goal"], ["---"] + ["---:"] * len(columns) + ["---"]]
    lines += [list(_cells(row, columns)) for row in rows]
    widths = [max(len(line[i]) for line in lines[:1] + lines[2:]) for i in range(len(lines[0]))]
    return "\n".join(_line(line, widths) for line in lines)


def _line(cells: list[str], widths: list[int]) -> str:
    padded = [
        cell.replace("---", "-" * (width - cell.count(":")), 1)
        if cell.startswith("---")
        else cell.ljust(width)
        for cell, width in zip(cells, widths, strict=True)
    ]
    return f"| {' | '.join(padded)} |"


def _cells(row: Row, columns: tuple[str, ...]) -> Iterator[str]:
    figures, ratios = row.figures(), row.ratios()
    yield row.what
    for column in columns:
        if column not in figures:
            yield ""
        elif ratios and column == row.base:
            yield f"{_number(figures[column].median, row.unit)}, 1.00"
        elif ratios:
            yield f"{_number(figures[column].median, row.unit)}, {_ratio(ratios[column])}"
        else:
            yield _spread(figures[column], row.unit)
    yield _goal(row)


def _goal(row: Row) -> str:
    if row.goal is None:
        return ""
    sign, bound = ("≤", row.goal.most) if row.goal.most is not None else ("≥", row.goal.least or 0)
    of = f"of {row.base}" if row.goal.of == "ratio" else row.unit
    verdict = {True: "met", False: "missed", None: "not measured"}[row.is_met()]
    return f"{sign} {bound:,.4g} {of}".rstrip() + f": {verdict}"


def _ratio(figure: Figure) -> str:
    if figure.lower == figure.upper:
        return f"{figure.median:.2f}"
    return f"{figure.median:.2f} ({figure.lower:.2f}..{figure.upper:.2f})"


def _spread(figure: Figure, unit: str) -> str:
    if figure.lower == figure.upper:
        return _number(figure.median, unit)
    return f"{_number(figure.median, unit)} ({_plain(figure.lower)}..{_plain(figure.upper)})"


def _number(value: float, unit: str) -> str:
    return f"{_plain(value)} {unit}".rstrip()


def _plain(value: float) -> str:
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
