"""Rows in Markdown, for the terminal and for the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .. import CANDIDATES
from .rows import Figure, Result, Row


def tables(results: Iterable[Result]) -> str:
    """Return all rows in Markdown: a table of the candidates, then each subject's other rows.

    A cell has the median. In a row with a base, the ratio to the base and the ratio's quartiles
    follow. In a row without one, the quartiles are those of the figure.
    """
    results = list(results)
    blocks = _blocks([row for one in results for row in one.rows if _is_of_candidates(row)])
    for one in results:
        others = [row for row in one.rows if not _is_of_candidates(row)]
        if others:
            blocks += [f"### {one.name.capitalize()}", *_blocks(others)]
    skipped = [f"* Not run: {one.name}. {one.skipped}." for one in results if one.skipped]
    if skipped:
        blocks.append("\n".join(skipped))
    return "\n\n".join(blocks) + "\n"


def _blocks(rows: list[Row]) -> list[str]:
    by_columns: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        columns = tuple(CANDIDATES) if _is_of_candidates(row) else tuple(row.samples)
        by_columns.setdefault(columns, []).append(row)
    return [_table(columns, group) for columns, group in by_columns.items()]


def _is_of_candidates(row: Row) -> bool:
    return set(row.samples) <= set(CANDIDATES)


def _table(columns: tuple[str, ...], rows: list[Row]) -> str:
    lines = [["what", *columns, "goal"], *(list(_cells(row, columns)) for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    rule = [f"{'-' * (width - 1)}:" for width in widths]
    rule[0], rule[-1] = "-" * widths[0], "-" * widths[-1]
    lines.insert(1, rule)
    padded = [map(str.ljust, cells, widths) for cells in lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def _cells(row: Row, columns: tuple[str, ...]) -> Iterator[str]:
    figures, ratios = row.figures(), row.ratios()
    yield row.what
    for column in columns:
        figure = figures.get(column)
        if figure is None:
            yield ""
        elif not ratios:
            yield f"{_plain(figure.median)} {row.unit}".rstrip() + _quartiles(figure)
        else:
            ratio = ratios.get(column)
            ratio_text = f"{ratio.median:.2f}{_quartiles(ratio, '.2f')}" if ratio else "1.00"
            yield f"{_plain(figure.median)} {row.unit}, {ratio_text}"
    yield _goal(row)


def _goal(row: Row) -> str:
    if row.goal is None:
        return ""
    sign, bound = ("≤", row.goal.most) if row.goal.most is not None else ("≥", row.goal.least or 0)
    of = f"of {row.base}" if row.goal.of == "ratio" else row.unit
    verdict = {True: "met", False: "missed", None: "not measured"}[row.is_met()]
    return f"{sign} {bound:,.4g} {of}".rstrip() + f": {verdict}"


def _quartiles(figure: Figure, form: str = "") -> str:
    if figure.lower == figure.upper:
        return ""
    lower, upper = (
        format(value, form) if form else _plain(value) for value in (figure.lower, figure.upper)
    )
    return f" ({lower}..{upper})"


def _plain(value: float) -> str:
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
