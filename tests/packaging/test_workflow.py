"""CI at GitHub is .ci/run and no more: what is only in a workflow file nobody can try at home."""

from __future__ import annotations

import re
from typing import Any

import pyproject
import yaml
from project_files import ROOT

PATHS = sorted((ROOT / ".github").rglob("*.y*ml"))
TEXT = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
PROJECT: dict[str, Any] = pyproject.load()["project"]
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def steps(job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = JOBS[job]["steps"]
    return found


def commands(job: str) -> list[str]:
    return [step["run"] for step in steps(job) if "run" in step]


def targets() -> list[str]:
    (names,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    return str(names).split()


def test_there_is_one_workflow() -> None:
    assert [path.name for path in PATHS] == ["ci.yml"]


def test_a_job_runs_what_a_developer_runs() -> None:
    assert ".ci/run" in commands("everything")


def test_every_python_of_the_classifiers_is_tested() -> None:
    assert JOBS["versions"]["strategy"]["matrix"]["python"] == pyproject.python_versions()
    assert pyproject.python_versions()[0] in PROJECT["requires-python"]


def test_the_oldest_dependencies_are_tested_on_the_oldest_python() -> None:
    oldest = pyproject.python_versions()[0]
    versions = [step.get("with", {}).get("python-version") for step in steps("oldest-dependencies")]
    assert oldest in versions
    assert f"make PYTHON=python{oldest} versions SESSIONS=oldest" in commands("oldest-dependencies")


def test_no_job_has_more_rights_than_to_read() -> None:
    assert WORKFLOW["permissions"] == {}
    for name, job in JOBS.items():
        assert job.get("permissions", {}) in ({}, {"contents": "read"}), name
        assert job["timeout-minutes"] <= 60, name
        for step in job["steps"]:
            if "actions/checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False
    # "on" is read as a truth value: YAML 1.1.
    assert "pull_request_target" not in WORKFLOW[True]


def test_actions_are_pinned_to_a_commit() -> None:
    """A tag can be moved to other code, and was, more than once."""
    uses = re.findall(r"uses: *(.*)", TEXT)
    assert uses
    for each in uses:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


def test_nothing_from_outside_becomes_part_of_a_command() -> None:
    """An expression in ``run`` is pasted in before the shell reads it."""
    for name in JOBS:
        assert not [command for command in commands(name) if "${{" in command]


def test_all_green_waits_for_all() -> None:
    assert set(JOBS["all-green"]["needs"]) == set(JOBS) - {"all-green"}
    assert JOBS["all-green"]["if"] == "always()"


def test_what_make_is_asked_for_exists() -> None:
    asked = {
        word
        for job in JOBS
        for command in commands(job)
        if command.startswith("make ")
        for word in command.split()[1:]
        if "=" not in word
    }
    assert asked
    assert asked <= set(targets())


def test_the_makefile_explains_every_target() -> None:
    head = MAKEFILE.partition(".POSIX:")[0]
    assert list(dict.fromkeys(re.findall(r"^# make (\w+)", head, re.MULTILINE))) == targets()
    for target in targets():
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


def test_the_makefile_is_for_every_make() -> None:
    """POSIX: no functions, no conditionals, no pattern rules, no assignments but ``=``."""
    assert not re.search(r"\$\((?:if|shell|wildcard|patsubst|foreach|call) ", MAKEFILE)
    assert not re.search(r"^(?:ifeq|ifdef|ifndef|include|export|define)\b", MAKEFILE, re.MULTILINE)
    assert not re.search(r"^[A-Z_]+ *(?:[:?+]|::)=", MAKEFILE, re.MULTILINE)
    assert not re.search(r"^[^\t#]*%.*:", MAKEFILE, re.MULTILINE)


def test_pre_commit_fetches_nothing() -> None:
    config = yaml.safe_load((ROOT / ".ci" / "pre-commit.yaml").read_text(encoding="utf-8"))
    (repository,) = config["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")
