"""The documentation is short and plain: words per guide, first sentences, and words to avoid."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from doc_blocks import ROOT, pages

DOCS = ROOT / "docs"
LONGEST_GUIDE = 650
#: Guides that hold what their readers look up as well.
LONGER = {"storage": 1100, "deployment": 1400}
AVOIDED = re.compile(
    r"\b(?:of ours|simply|obviously|of course|in order to|utili[sz]e[sd]?|please note|"
    r"there is nothing to do|whosoever|hereby|thereof|as already mentioned|leverages?)\b",
    re.IGNORECASE,
)


def _prose(page: Path) -> str:
    """Return a page without code, pictures, comments and the targets of links."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^( *)```.*?^\1```$|<!--.*?-->|!\[[^\]]*\]", "", text, flags=re.S | re.M)
    return re.sub(r"\]\([^)]*\)", "]", text)


def _words(page: Path) -> int:
    return sum(1 for word in _prose(page).split() if re.search(r"\w", word))


def _shelves() -> dict[str, list[Path]]:
    """Return the pages of each caption of the table of contents."""
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    found = re.findall(r"```\{toctree\}\n:caption: (\w+)\n:hidden:\n\n(.*?)```", index, re.S)
    return {name: [DOCS / f"{page}.md" for page in text.split()] for name, text in found}


SHELVES = _shelves()
GUIDES = [*SHELVES["Guides"], *SHELVES["Recipes"]]


def test_every_page_is_on_one_shelf() -> None:
    assert list(SHELVES) == ["Guides", "Recipes", "Reference", "Evidence"]
    listed = [page for shelf in SHELVES.values() for page in shelf]
    assert sorted([*listed, DOCS / "index.md"]) == sorted(DOCS.glob("*.md"))


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_a_guide_is_short(page: Path) -> None:
    assert _words(page) <= LONGER.get(page.stem, LONGEST_GUIDE)


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_a_guide_begins_with_what_its_reader_gets(page: Path) -> None:
    assert _prose(page).split("\n\n")[1].startswith("After this page")


def test_the_readme_fits_on_a_screen_and_shows_what_it_needs() -> None:
    readme = ROOT / "README.md"
    assert _words(readme) <= 300
    text = readme.read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (python,) = re.findall(r'^requires-python = ">=([\d.]+)"', project, re.M)
    tested = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    assert f"| Python | {python} or newer; tested with {tested[0]} to {tested[-1]} |" in text
    for name, shown in (("flask", "Flask"), ("sqlalchemy", "SQLAlchemy"), ("redis", "redis-py")):
        (oldest,) = set(re.findall(rf'"{name}>=([\d.]+)"', project))
        assert re.search(rf"{shown}( \|)? {re.escape(oldest)}\b", text), name


def test_the_example_is_as_long_as_its_page_says() -> None:
    example = ROOT / "example_app"
    page = (DOCS / "example.md").read_text(encoding="utf-8")

    def lines(files: Iterable[Path]) -> list[int]:
        return [len(file.read_text(encoding="utf-8").splitlines()) for file in files]

    (minimal,) = lines([example / "minimal.py"])
    assert f"has {minimal} lines" in page
    assert f"one file of {minimal} lines" in (DOCS / "quickstart.md").read_text(encoding="utf-8")
    found = re.search(r"([\d,]+) lines of Python .*? (\d+) of JavaScript .*? above (\d+)", page)
    assert found is not None
    python, javascript, longest = (int(number.replace(",", "")) for number in found.groups())
    # Without the chat in one file, and the demo's command.
    others = {example / "minimal.py", example / "__main__.py"}
    sizes = {end: lines({*example.rglob(f"*.{end}")} - others) for end in ("py", "js")}
    assert sum(sizes["py"]) == pytest.approx(python, abs=100)
    assert sum(sizes["js"]) == pytest.approx(javascript, abs=100)
    assert max(sizes["py"] + sizes["js"]) <= longest
    six = re.findall(r"\*\*`(\w+\.py)`\*\*", page)
    assert len(six) == 6
    assert sum(lines(example / name for name in six)) < 600


def test_no_page_has_a_word_to_avoid() -> None:
    found = {f"{p.name}: {word}" for p in pages() for word in AVOIDED.findall(_prose(p))}
    assert found == set()


def test_a_word_to_avoid_would_be_noticed() -> None:
    assert AVOIDED.findall("Simply utilise it, of course.") == ["Simply", "utilise", "of course"]
