"""What pyproject.toml says, on every Python: ``tomllib`` came with 3.11."""

from __future__ import annotations

import re
import sys
from typing import Any

from project_files import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def load() -> dict[str, Any]:
    """Return pyproject.toml as a dictionary."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def python_versions() -> list[str]:
    """Return the Python versions of the classifiers, such as ``3.10``, in their order."""
    classifiers = "\n".join(load()["project"]["classifiers"])
    return re.findall(r"^Programming Language :: Python :: (3\.\d+)$", classifiers, re.MULTILINE)
