"""Installed packages with known holes. The lower bounds of this package are no audit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Final, NamedTuple, TypeAlias

from .case import Case
from .finding import Finding, warning

_Version: TypeAlias = tuple[int, ...]


class Hole(NamedTuple):
    """A known hole of a package: in the releases before ``fixed``, and from ``introduced`` on."""

    package: str
    fixed: _Version
    advisory: str
    #: What an attacker gains.
    effect: str
    introduced: _Version = (0,)
    #: The release of an older series in which it was fixed as well.
    backport: _Version | None = None


#: From the GitHub Advisory Database and the release notes of these packages. Only holes that an app
#: with this extension may meet on Linux.
HOLES: Final = (
    Hole(
        "flask", (2, 3, 2), "GHSA-m2qf-hxjv-5gpq",
        "a caching proxy may give one visitor's session cookie to another",
        backport=(2, 2, 5),
    ),
    Hole(
        "flask", (3, 1, 1), "GHSA-4grg-w6v8-c28g",
        "sessions are signed with the oldest of SECRET_KEY_FALLBACKS", introduced=(3, 1, 0),
    ),
    Hole(
        "flask", (3, 1, 3), "GHSA-68rp-wp8r-4726",
        "a caching proxy may give one visitor's page to another",
    ),
    Hole(
        "werkzeug", (3, 0, 1), "GHSA-hrfv-mqp8-q5rw", "a small upload keeps a worker busy",
        backport=(2, 3, 8),
    ),
    Hole(
        "werkzeug", (3, 0, 3), "GHSA-2g68-c3qc-8985",
        "a web site may run code by the debugger of a developer",
    ),
    Hole(
        "werkzeug", (3, 0, 6), "GHSA-q34m-jh98-gwm2", "an upload exceeds the memory limit of forms",
    ),
    Hole(
        "requests", (2, 32, 4), "CVE-2024-47081", "passwords of .netrc may go to another host",
    ),
    Hole(
        "urllib3", (2, 6, 3), "GHSA-38jv-5279-wg99", "a small response can fill the memory",
    ),
    Hole(
        "urllib3", (2, 8, 0), "CVE-2026-97687, CVE-2026-97689",
        "TLS settings for an https proxy are ignored; a response can fill the memory",
    ),
)  # fmt: skip


def check_versions(
    case: Case, version_of: Callable[[str], str] = metadata.version
) -> Iterator[Finding]:
    """Find installed packages whose release has a known hole."""
    for package in dict.fromkeys(hole.package for hole in HOLES):
        try:
            installed = version_of(package)
        except metadata.PackageNotFoundError:
            # Part of a program in one file, for example.
            continue
        release = _numbers(installed)
        holes = [hole for hole in HOLES if hole.package == package and _has(release, hole)]
        if not holes:
            continue
        fixed = ".".join(map(str, max(hole.fixed for hole in holes)))
        yield warning(
            "package_vulnerable",
            f"{package} {installed} has known holes: "
            + "; ".join(f"{hole.effect} ({hole.advisory})" for hole in holes)
            + ".",
            f'pip install --upgrade "{package}>={fixed}"',
        )


def _has(release: _Version, hole: Hole) -> bool:
    backport = hole.backport
    is_backported = backport is not None and release[:2] == backport[:2] and release >= backport
    return hole.introduced <= release < hole.fixed and not is_backported


def _numbers(version: str) -> _Version:
    """Return the numbers of a release, such as (3, 1, 0) of ``3.1rc1``. A pre-release is early."""
    found = re.match(r"\d+(\.\d+)*", version)
    numbers = tuple(map(int, found[0].split("."))) if found else ()
    return (*numbers, 0, 0, 0)[: max(3, len(numbers))]
