"""The wheel, as a user gets it."""

from __future__ import annotations

import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from project_files import ROOT, project_files

import flask_openrouter

INFO = f"flask_openrouter-{flask_openrouter.__version__}.dist-info"


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        return set(archive.namelist())


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return Parser().parsestr(archive.read(f"{INFO}/METADATA").decode())


def test_the_wheel_holds_the_package_and_nothing_else(names: set[str]) -> None:
    package = {str(path.relative_to(ROOT)) for path in project_files("flask_openrouter")}
    info = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    assert names == package | {f"{INFO}/{name}" for name in info}


def test_the_wheel_holds_the_files_that_are_not_python(names: set[str]) -> None:
    files = {
        "py.typed",
        "templates/openrouter/error.html",
        "static/openrouter/openrouter.css",
        "static/openrouter/popup.js",
        "translations/flask_openrouter.pot",
        "translations/de/LC_MESSAGES/flask_openrouter.mo",
        "emulator/templates/emulator/consent.html",
        "emulator/static/emulator.css",
    }
    assert {f"flask_openrouter/{file}" for file in files} <= names


def test_the_wheel_fits_every_platform(wheel: Path) -> None:
    assert wheel.name == f"flask_openrouter-{flask_openrouter.__version__}-py3-none-any.whl"


def test_the_metadata_bounds_dependencies_from_below_only(metadata: Message) -> None:
    """An upper bound would stand in the way of a security fix in a dependency."""
    needed = [Requirement(each) for each in metadata.get_all("Requires-Dist", [])]
    assert len(needed) >= 8
    for requirement in needed:
        assert [each.operator for each in requirement.specifier] == [">="], requirement
        assert requirement.url is None
    assert SpecifierSet(metadata["Requires-Python"]) == SpecifierSet(">=3.10")


def test_the_metadata_offers_the_extras_that_errors_name(metadata: Message) -> None:
    assert set(metadata.get_all("Provides-Extra", [])) == {"redis", "sqlalchemy"}


def test_the_wheel_announces_the_command_and_the_pytest_plugin(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        announced = archive.read(f"{INFO}/entry_points.txt").decode().split()
    assert announced == [
        "[flask.commands]",
        "openrouter=flask_openrouter.cli:commands",
        "[pytest11]",
        "flask_openrouter=flask_openrouter.pytest_plugin",
    ]
