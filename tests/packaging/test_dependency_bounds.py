"""The lower bounds of the dependencies: above the releases with known holes."""

from __future__ import annotations

import re
from importlib.metadata import version

import pytest
from project_files import ROOT

#: The first releases without known holes in what a login touches.
FLOORS = {
    # CVE-2026-27205: a page that looks at the session without "Vary: Cookie".
    "flask": (3, 1, 3),
    # CVE-2024-34069, the debugger's; and later ones on the names of files.
    "werkzeug": (3, 1, 6),
    # CVE-2024-47081: the password of another host out of .netrc.
    "requests": (2, 32, 4),
    # CVE-2025-66418, -66471, CVE-2026-21441, CVE-2026-44432: answers that explode.
    "urllib3": (2, 7, 0),
}
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)[:3]))


def _bounds() -> dict[str, str]:
    """Return the specifier of each dependency of the package: name -> ``">=3.1.3"``."""
    section = re.search(r"^dependencies = \[\n(.*?)^\]", PYPROJECT, re.M | re.S)
    assert section is not None
    return dict(re.findall(r'^ *"([a-z0-9-]+)([^"]*)",$', section[1], re.M))


@pytest.mark.requirement("R111")
def test_the_lower_bounds_and_the_installed_releases_are_above_known_holes() -> None:
    bounds = _bounds()
    for name, floor in FLOORS.items():
        assert bounds[name].startswith(">="), name
        assert _numbers(bounds[name]) >= floor, name
        assert _numbers(version(name)) >= floor, name


@pytest.mark.requirement("R111")
def test_every_dependency_has_a_lower_bound_and_no_upper_one() -> None:
    """An upper bound would keep the fix of the next hole away from the apps."""
    bounds = _bounds()
    assert len(bounds) >= len(FLOORS)
    for name, bound in bounds.items():
        assert re.fullmatch(r">=[0-9.]+", bound), name
