"""Installed packages with known holes are named; releases without are not."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pytest
from cases import case

from flask_openrouter.doctor.case import Case
from flask_openrouter.doctor.finding import Finding, Severity
from flask_openrouter.doctor.versions import HOLES, check_versions


def installed(**versions: str) -> Callable[[str], str]:
    def version_of(package: str) -> str:
        if package not in versions:
            raise PackageNotFoundError(package)
        return versions[package]

    return version_of


def found(app: Any, **versions: str) -> list[Finding]:
    return list(check_versions(Case.of(app), installed(**versions)))


@pytest.mark.requirement("W21")
def test_releases_with_known_holes_are_named(app: Any) -> None:
    for package, release, advisories, fixed in [
        ("flask", "3.0.0", ["GHSA-68rp-wp8r-4726"], "3.1.3"),
        ("flask", "3.0.2", ["GHSA-68rp-wp8r-4726"], "3.1.3"),
        ("flask", "3.1.0", ["GHSA-4grg-w6v8-c28g", "GHSA-68rp-wp8r-4726"], "3.1.3"),
        ("flask", "2.3.1", ["GHSA-m2qf-hxjv-5gpq", "GHSA-68rp-wp8r-4726"], "3.1.3"),
        ("flask", "2.2.4", ["GHSA-m2qf-hxjv-5gpq", "GHSA-68rp-wp8r-4726"], "3.1.3"),
        ("flask", "2.2.5", ["GHSA-68rp-wp8r-4726"], "3.1.3"),
        ("werkzeug", "3.0.0", ["GHSA-hrfv-mqp8-q5rw", "GHSA-2g68-c3qc-8985"], "3.0.6"),
        ("werkzeug", "2.3.7", ["GHSA-hrfv-mqp8-q5rw", "GHSA-2g68-c3qc-8985"], "3.0.6"),
        ("werkzeug", "2.3.8", ["GHSA-2g68-c3qc-8985", "GHSA-q34m-jh98-gwm2"], "3.0.6"),
        ("werkzeug", "3.0.5", ["GHSA-q34m-jh98-gwm2"], "3.0.6"),
        ("requests", "2.31.0", ["CVE-2024-47081"], "2.32.4"),
        ("urllib3", "2.6.2", ["GHSA-38jv-5279-wg99", "CVE-2026-97687"], "2.8.0"),
        ("urllib3", "2.7.0", ["CVE-2026-97689"], "2.8.0"),
    ]:
        with case(package, release):
            (finding,) = found(app, **{package: release})
            assert (finding.code, finding.severity) == ("package_vulnerable", Severity.WARNING)
            assert finding.title.startswith(f"{package} {release} has known holes: ")
            assert [name for name in advisories if name not in finding.title] == []
            assert finding.remedy == f'pip install --upgrade "{package}>={fixed}"'


@pytest.mark.requirement("W21")
def test_what_a_release_does_not_have_is_not_named(app: Any) -> None:
    (finding,) = found(app, flask="3.0.3")
    assert "GHSA-4grg-w6v8-c28g" not in finding.title
    (finding,) = found(app, werkzeug="2.3.8")
    assert "GHSA-hrfv-mqp8-q5rw" not in finding.title
    (finding,) = found(app, flask="2.2.5")
    assert "GHSA-m2qf-hxjv-5gpq" not in finding.title


@pytest.mark.requirement("W21")
def test_releases_without_known_holes_are_not_named(app: Any, diagnose: Any) -> None:
    for versions in [
        {"flask": "3.1.3", "werkzeug": "3.1.6", "requests": "2.32.4", "urllib3": "2.8.0"},
        {"flask": "4.0", "werkzeug": "3.2", "requests": "3.0", "urllib3": "2.10"},
        {"flask": "3.1.3.post1", "urllib3": "2.8.0+distro1"},
        {},
    ]:
        with case(versions):
            assert found(app, **versions) == []
    assert "package_vulnerable" not in diagnose(app).bad


def test_a_version_that_is_no_number_is_old(app: Any) -> None:
    (finding,) = found(app, flask="unknown")
    assert "flask unknown" in finding.title


def test_each_hole_is_of_a_package_that_this_one_needs() -> None:
    for hole in HOLES:
        with case(hole.package):
            assert version(hole.package)
            assert hole.introduced < hole.fixed
