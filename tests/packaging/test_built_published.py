"""The project as it goes to a package index: absolute links, by one setting in the Makefile."""

from __future__ import annotations

import re
import subprocess
import sys
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from project_files import ROOT

REPOSITORY = "https://git.example/team/flask-openrouter"
BUILD = (
    "import sys; from flit_core.buildapi import *; prepare_metadata_for_build_wheel(sys.argv[1])"
)


def metadata_of(source: Path, target: Path) -> Message:
    target.mkdir()
    subprocess.run([sys.executable, "-c", BUILD, target], cwd=source, check=True)
    (metadata,) = target.glob("*.dist-info/METADATA")
    return Parser().parsestr(metadata.read_text(encoding="utf-8"))


def addresses(metadata: Message) -> list[str]:
    """Return the links and pictures of the long description, as an index renders it."""
    assert metadata["Description-Content-Type"] == "text/markdown"
    html = MarkdownIt("commonmark").enable("table").render(str(metadata.get_payload()))
    assert "<table>" in html
    return re.findall(r'(?:href|src)="([^"]+)"', html)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("published")
    command = [sys.executable, ROOT / ".ci" / "published.py", f"{REPOSITORY}/", target]
    subprocess.run(command, check=True)
    return target


def test_with_a_repository_every_link_is_absolute(published: Path, tmp_path: Path) -> None:
    metadata = metadata_of(published, tmp_path / "metadata")
    found = addresses(metadata)
    below = [a.removeprefix(REPOSITORY) for a in found if a.startswith(REPOSITORY)]
    assert len(below) > 10
    assert all(address.startswith("https://") for address in found)
    for address in below:
        kind, version, path = re.fullmatch(
            r"/(raw|blob)/v([^/]+)/([^#]+)(?:#.*)?", address
        ).groups()  # type: ignore[union-attr]
        assert version == metadata["Version"]
        assert (ROOT / path).is_file()
        assert (kind == "raw") is path.endswith(".png")
    urls = dict(url.split(", ") for url in metadata.get_all("Project-URL", []))
    assert urls["Source"] == REPOSITORY
    assert set(urls) == {"Source", "Documentation", "Changes", "Issues"}


def test_without_one_every_link_leads_to_a_file_of_the_project(tmp_path: Path) -> None:
    metadata = metadata_of(ROOT, tmp_path / "metadata")
    assert metadata.get_all("Project-URL") is None
    local = [a.partition("#")[0] for a in addresses(metadata) if "://" not in a]
    assert len(local) > 10
    assert [name for name in local if not (ROOT / name).is_file()] == []


def test_make_wheel_uses_the_setting() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^REPOSITORY =", makefile, re.M)
    assert ".ci/published.py '$(REPOSITORY)'" in makefile
