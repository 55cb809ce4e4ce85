"""Rows in Markdown, for the terminal and for the documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from .. import CANDIDATES
from .rows import Figure, Result, Row


def tables(results: Sequence[Result]) -> str:
    """Return all rows in Markdown: a table of the candidates, then each subject's other rows.

    A cell has the median. In a row with a base, the ratio to the base and the ratio's quartiles
    follow. In a row without one, the quartiles are those of the figure.
    """
    groups: dict[tuple[str, ...], list[Row]] = {}
    for result in results:
        for row in result.rows:
            is_of_candidates = set(row.samples) <= set(CANDIDATES)
            key = ("", *CANDIDATES) if is_of_candidates else (result.name, *row.samples)
            groups.setdefault(key, []).append(row)
    blocks = []
    for (name, *columns), rows in sorted(groups.items(), key=lambda group: group[0][0] != ""):
        heading = f"### {name.capitalize()}"
        if name and heading not in blocks:
            blocks.append(heading)
        blocks.append(_table(columns, rows))
    skipped = [f"* Not run: {one.name}. {one.skipped}." for one in results if one.skipped]
    return "\n\n".join([*blocks, *skipped]) + "\n"


def _table(columns: list[str], rows: list[Row]) -> str:
    lines = [["what", *columns, "goal"], *(list(_cells(row, columns)) for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    rule = [f"{'-' * (width - 1)}:" for width in widths]
    rule[0], rule[-1] = "-" * widths[0], "-" * widths[-1]
    lines.insert(1, rule)
    padded = [map(str.ljust, cells, widths) for cells in lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def _cells(row: Row, columns: list[str]) -> Iterator[str]:
    figures, ratios = row.figures(), row.ratios()
    yield row.what
    for column in columns:
        figure = figures.get(column)
        if figure is None:
            yield ""
        elif not ratios:
            yield f"{_plain(figure.median)} {row.unit}".rstrip() + _quartiles(figure, _plain)
        else:
            ratio = ratios.get(column, Figure(1, 1, 1))
            spread = _quartiles(ratio, "{:.2f}".format)
            yield f"{_plain(figure.median)} {row.unit}, {ratio.median:.2f}{spread}"
    yield _goal(row)


def _goal(row: Row) -> str:
    if row.goal is None:
        return ""
    sign, bound = ("≤", row.goal.most) if row.goal.most is not None else ("≥", row.goal.least or 0)
    of = f"of {row.base}" if row.goal.of == "ratio" else row.unit
    verdict = {True: "met", False: "missed", None: "not measured"}[row.is_met()]
    return f"{sign} {bound:,.4g} {of}".rstrip() + f": {verdict}"


def _quartiles(figure: Figure, write: Callable[[float], str]) -> str:
    if figure.lower == figure.upper:
        return ""
    return f" ({write(figure.lower)}..{write(figure.upper)})"


def _plain(value: float) -> str:
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
