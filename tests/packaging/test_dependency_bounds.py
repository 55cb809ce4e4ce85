"""The lower bounds of the dependencies: they fit the apps that have older versions pinned."""

from __future__ import annotations

import re

import pytest
from packaging.specifiers import SpecifierSet
from project_files import ROOT

#: What apps of the field have pinned. The extension must be installable beside it.
PINNED_BY_APPS = {
    "flask": ["2.3.0", "2.3.3", "3.0.0", "3.0.2", "3.0.3", "3.1.0"],
    "werkzeug": ["2.3.7", "3.0.0", "3.0.1", "3.1.3"],
    "requests": ["2.31.0", "2.32.0"],
    "urllib3": ["2.0.7", "2.2.0"],
    "itsdangerous": ["2.1.2", "2.2.0"],
    "blinker": ["1.6.2", "1.7.0"],
    "click": ["8.1.3", "8.1.7"],
    "cryptography": ["41.0.0", "42.0.0"],
}
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def _bounds() -> dict[str, str]:
    """Return the specifier of each dependency of the package: name -> ``">=3.1.3"``."""
    section = re.search(r"^dependencies = \[\n(.*?)^\]", PYPROJECT, re.M | re.S)
    assert section is not None
    return dict(re.findall(r'^ *"([a-z0-9-]+)([^"]*)",$', section[1], re.M))


@pytest.mark.requirement("R111", "W21")
def test_the_extension_can_be_installed_beside_what_apps_have_pinned() -> None:
    bounds = _bounds()
    assert bounds.keys() == PINNED_BY_APPS.keys()
    for name, pins in PINNED_BY_APPS.items():
        for pin in pins:
            assert SpecifierSet(bounds[name]).contains(pin), f"{name}=={pin}"


@pytest.mark.requirement("R111", "W21")
def test_every_dependency_has_a_lower_bound_and_no_upper_one() -> None:
    """An upper bound would keep the fix of the next hole away from the apps."""
    bounds = _bounds()
    assert bounds
    for name, bound in bounds.items():
        assert re.fullmatch(r">=[0-9.]+", bound), name
