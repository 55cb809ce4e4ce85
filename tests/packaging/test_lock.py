"""The lock file of the demo and of CI: ``make lock`` writes it anew."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pyproject
import pytest
from packaging.markers import Environment, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from project_files import ROOT

LOCK = (ROOT / ".ci" / "requirements.txt").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = pyproject.load()
GROUPS: dict[str, list[Any]] = PROJECT["dependency-groups"]


def pins() -> Iterator[Requirement]:
    for line in LOCK.splitlines():
        pinned = line.partition("#")[0].strip()
        if pinned:
            yield Requirement(pinned)


PINS: dict[str, list[Requirement]] = defaultdict(list)
for _pin in pins():
    PINS[canonicalize_name(_pin.name)].append(_pin)


def requirements_of(group: str) -> Iterator[Requirement]:
    for each in GROUPS[group]:
        if isinstance(each, str):
            yield Requirement(each)
        else:
            yield from requirements_of(each["include-group"])


def needed() -> Iterator[Requirement]:
    """Everything that pyproject.toml names."""
    for listed in (
        PROJECT["build-system"]["requires"],
        PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"].values(),
    ):
        yield from map(Requirement, listed)
    for group in GROUPS:
        yield from requirements_of(group)


def environment_of(python: str) -> Environment:
    environment = default_environment()
    # The last release of a series there is: no marker of ours asks for a patch release beyond it.
    environment["python_version"], environment["python_full_version"] = python, f"{python}.99"
    return environment


@pytest.mark.parametrize("python", pyproject.python_versions())
def test_each_requirement_is_pinned_within_its_bounds(python: str) -> None:
    environment = environment_of(python)
    for requirement in needed():
        applying = [
            pin
            for pin in PINS[canonicalize_name(requirement.name)]
            if pin.marker is None or pin.marker.evaluate(dict(environment))
        ]
        assert len(applying) == 1, f"{requirement} on {python}: make lock"
        (pinned,) = applying[0].specifier
        assert requirement.specifier.contains(pinned.version), f"{requirement}: make lock"


def test_each_line_pins_one_version() -> None:
    assert len(PINS) > 100
    for pin in pins():
        (only,) = pin.specifier
        assert only.operator == "=="
        assert not Version(only.version).is_prerelease, pin


def test_the_lock_names_no_place_to_download_from() -> None:
    """Where packages come from is the business of who installs them."""
    assert not re.search(r"://|^\s*-|index|find-links", LOCK, re.MULTILINE)
    assert "hash" not in LOCK


def test_make_lock_covers_every_group() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^lock:(?:.*\\?\n)(?:\t.*\n)+", makefile, re.MULTILINE)
    assert recipe is not None
    covered = set(re.findall(r"--group (\S+)", recipe[0]))
    included = {
        each["include-group"]
        for group in covered
        for each in GROUPS[group]
        if isinstance(each, dict)
    }
    assert covered | included == set(GROUPS)
    assert "--all-extras" in recipe[0]
