"""docs/glossary.md: each word once, in order."""

from __future__ import annotations

import re

from project_files import ROOT


def _rows(text: str, head: str) -> list[list[str]]:
    table = text.partition(f"\n{head}\n")[2].partition("\n\n")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines()[1:]]
    assert rows
    return [[cell.strip() for cell in row] for row in rows]


PAGE = _rows((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), "| word | meaning |")


def _words(cell: str) -> list[str]:
    return [word.strip("` ") for word in cell.split(",")]


def test_every_word_has_one_meaning() -> None:
    words = [word for row in PAGE for word in _words(row[0])]
    assert len(words) == len(set(words))
    assert all(row[1] for row in PAGE)


def test_the_words_are_in_order() -> None:
    first = [_words(row[0])[0].lower().replace("_", " ") for row in PAGE]
    assert first == sorted(first)


def test_a_source_in_an_rfc_has_a_section() -> None:
    whole = {"7636", "5869", "7009"}
    for row in PAGE:
        for number, rest in re.findall(r"RFC (\d+)( sections? [\d.]+)?", row[1]):
            assert rest or number in whole, row
