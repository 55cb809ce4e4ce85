"""The documentation builds without a warning and without network, and no link in it is broken."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from built_pages import BuiltPage, broken_links, loaded_from_elsewhere, reachable, read_site
from components import require
from doc_blocks import ROOT, pages

DOCS = ROOT / "docs"
# Sphinx takes seconds, and ``make docs`` finds most mistakes, too.
needs_sphinx = pytest.mark.every_variant
_FENCED = re.compile(r"^( *)```.*?^\1```$", re.M | re.S)
NEEDED = ("sphinx", "myst_parser", "pallets_sphinx_themes")
# A proxy that does not exist: a build that uses the network fails.
NO_NETWORK = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")


@dataclass(frozen=True)
class Build:
    """A run of Sphinx: its status, its messages and its pages."""

    status: int
    output: str
    site: dict[Path, BuiltPage]
    folder: Path


def sphinx(source: Path, folder: Path, *options: str) -> Build:
    """Run Sphinx as ``make docs`` does."""
    target = folder / "html"
    command = [
        *(sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-b", "html"),
        *(*options, str(source), str(target)),
    ]
    names = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    done = subprocess.run(
        command,
        env={**names, **NO_NETWORK},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Build(done.returncode, done.stdout + done.stderr, read_site(target), target.resolve())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        require("Sphinx", f"{', '.join(missing)} not installed (pip install --group docs)")
    return tmp_path_factory.mktemp("docs").resolve()


@pytest.fixture(scope="module")
def build(folder: Path) -> Build:
    return sphinx(DOCS, folder)


@needs_sphinx
def test_the_documentation_builds_without_a_warning(build: Build) -> None:
    assert build.status == 0, build.output
    assert "WARNING" not in build.output


@needs_sphinx
def test_every_page_was_built_and_can_be_reached(build: Build) -> None:
    written = {path.stem for path in DOCS.iterdir() if path.suffix in (".md", ".rst")}
    built = {build.folder / f"{name}.html" for name in written}
    assert len(built) > 15
    assert built <= reachable(build.site, build.folder / "index.html")


@needs_sphinx
def test_every_link_image_and_anchor_leads_somewhere(build: Build) -> None:
    assert sum(len(page.links) for page in build.site.values()) > 500
    assert broken_links(build.site) == set()


def test_every_anchor_leads_somewhere_at_github_too() -> None:
    """GitHub makes anchors from the letters of headings, and no others."""
    wrong = set()
    for page in pages():
        text = _FENCED.sub("", page.read_text(encoding="utf-8"))
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", text):
            other = (page.parent / target).resolve() if target else page
            if "://" not in target and anchor not in _anchors(other):
                wrong.add(f"{page.name}: {target}#{anchor}")
    assert wrong == set()


def _anchors(page: Path) -> set[str]:
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@needs_sphinx
def test_the_pages_load_nothing_from_elsewhere(build: Build) -> None:
    assert loaded_from_elsewhere(build.site) == set()
    for script in build.folder.rglob("*.js"):
        assert "pypi.org" not in script.read_text(encoding="utf-8") or not [
            page for page in build.site.values() if any(script.name in url for url in page.loads)
        ], script


@needs_sphinx
def test_every_image_has_a_text(build: Build) -> None:
    missing = {page.path.name: page.images_without_text for page in build.site.values()}
    assert {name: images for name, images in missing.items() if images} == {}


def test_diagrams_bring_their_own_colours_and_words() -> None:
    """Pages are light or dark, at GitHub too."""
    diagrams = list((DOCS / "images").glob("*.svg"))
    assert diagrams
    for diagram in diagrams:
        text = diagram.read_text(encoding="utf-8")
        assert "prefers-color-scheme: dark" in text
        assert 'class="paper"' in text
        assert "<title" in text
        assert "<desc" in text
        assert "<script" not in text
        assert "<image" not in text


def test_broken_links_would_be_noticed(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<a href="other.html#there">1</a><a href="other.html#gone">2</a><a href="#gone">3</a>'
        '<a href="gone.html">4</a><img src="gone.png"><script src="//cdn.example/x.js"></script>'
        '<a href="https://elsewhere.example/gone">5</a>',
        encoding="utf-8",
    )
    (tmp_path / "other.html").write_text('<p id="there">', encoding="utf-8")
    (tmp_path / "orphan.html").write_text("<p>", encoding="utf-8")
    site = read_site(tmp_path)
    assert broken_links(site) == {
        "index.html: other.html#gone",
        "index.html: #gone",
        "index.html: gone.html",
        "index.html: gone.png",
    }
    assert loaded_from_elsewhere(site) == {"index.html: //cdn.example/x.js"}
    start = (tmp_path / "index.html").resolve()
    assert {path.name for path in reachable(site, start)} == {"index.html", "other.html"}
    assert site[start].images_without_text == ["gone.png"]


@needs_sphinx
def test_a_page_without_a_link_to_it_fails_the_build(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "index.md").write_text("# Start\n", encoding="utf-8")
    (tmp_path / "lonely.md").write_text("# Lonely\n\n[gone](gone.md)\n", encoding="utf-8")
    built = sphinx(tmp_path, tmp_path / "out", "-C", "-D", "extensions=myst_parser")
    assert built.status != 0
    assert "lonely.md" in built.output
    assert "gone.md" in built.output
