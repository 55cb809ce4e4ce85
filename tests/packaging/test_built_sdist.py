"""The sdist: all of the project that a distributor builds and tests from, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from project_files import ROOT, project_files


@pytest.fixture(scope="module")
def names(sdist: Path) -> set[str]:
    with tarfile.open(sdist) as archive:
        members = [member for member in archive.getmembers() if not member.isdir()]
    assert all(member.isfile() for member in members)
    return {member.name.partition("/")[2] for member in members}


def test_the_sdist_holds_the_project_and_nothing_else(names: set[str]) -> None:
    """No cache, no environment, no built page, and no file that was forgotten in a folder."""
    if not (ROOT / ".git").exists():
        pytest.skip("git lists the files of the project, and this is no git repository")
    project = {str(path.relative_to(ROOT)) for path in project_files()}
    assert names == project | {"PKG-INFO"}


def test_the_sdist_holds_what_a_distributor_builds_and_tests_with(names: set[str]) -> None:
    needed = {"LICENSE", "Makefile", "README.md", "docs/images/chat.png", ".ci/run"}
    assert needed | {"tests/conftest.py"} <= names


def test_the_sdist_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    build = "import sys; from flit_core.buildapi import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, tmp_path], cwd=source, check=True)
    (again,) = tmp_path.glob("*.whl")
    assert _contents(again) == _contents(wheel)


def _contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
