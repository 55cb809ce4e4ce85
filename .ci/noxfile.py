"""The core on every supported Python, and with the oldest dependencies: ``make versions``.

What to run may be named: ``make versions SESSIONS=newest-3.13 TESTS="tests/flow -k login"``.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
LOCK = ROOT / ".ci" / "requirements.txt"
#: The browser, the example app and the package itself are tested once, by ``make test`` and
#: ``make wheel``: they do not depend on the version.
FOLDERS = (
    "config",
    "web",
    "login",
    "pages",
    "views",
    "secrets",
    "flow",
    "client",
    "storage",
    "emulator",
)
MODULES = ("cli", "connection", "extension", "guard", "misplaced", "services", "signals")
TESTS = [f"tests/{name}" for name in FOLDERS] + [
    str(path.relative_to(ROOT))
    for name in MODULES
    for path in sorted((ROOT / "tests").glob(f"test_{name}*.py"))
]
#: Tests among them that need Node, or a package outside of the group "test-core".
NOT_CORE = [
    f"--ignore=tests/emulator/test_{name}.py"
    for name in ("conformance_table", "openapi", "typescript_sdk")
]

#: Flask 2.3.0 and 2.3.1 do not work with the oldest Werkzeug that this package works with. Click's
#: test runner tells stdout from stderr since 8.2; the commands work with older releases as well.
OLDEST = {"flask": "flask==2.3.2", "click": "click==8.2.0"}

# An interpreter that is missing is named in the output and skipped, whatever CI thinks of it.
nox.options.error_on_missing_interpreters = False
nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"

# pyenv's own commands answer only for the versions that are switched on.
_pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
os.environ["PATH"] = os.pathsep.join(
    [*map(str, sorted(_pyenv.glob("3.*/bin"))), os.environ.get("PATH", "")]
)


@nox.session(python=PYTHONS)
def newest(session: nox.Session) -> None:
    """With the versions of the lock file."""
    run_tests(session, LOCK)


@nox.session(python=PYTHONS[0])
def oldest(session: nox.Session) -> None:
    """With the oldest version that pyproject.toml allows of what the package itself needs."""
    needed = [*PROJECT["project"]["dependencies"]]
    for extra in PROJECT["project"]["optional-dependencies"].values():
        needed += extra
    oldest_of = {canonicalize_name(Requirement(each).name): each for each in needed}
    others = [
        line
        for line in LOCK.read_text(encoding="utf-8").splitlines()
        if line.partition("==")[0] not in oldest_of
    ]
    constraints = Path(session.virtualenv.location).resolve() / "constraints.txt"
    pins = [OLDEST.get(name, each.replace(">=", "==")) for name, each in oldest_of.items()]
    constraints.write_text("\n".join([*others, *pins]), encoding="utf-8")
    # Werkzeug of that time warns when a request names another host than SERVER_NAME.
    run_tests(session, constraints, "-W", "ignore:Current server name:UserWarning")


def run_tests(session: nox.Session, constraints: Path, *options: str) -> None:
    """Install the project and what its core is tested with, and run what was asked for."""
    session.chdir(ROOT)
    pins = ["-c", str(constraints)]
    session.install("--quiet", *pins, "pip")
    is_core = all(name.startswith(tuple(TESTS)) for name in session.posargs if "/" in name)
    group = "test-core" if is_core else "test"
    session.install("--quiet", *pins, "--build-constraint", str(LOCK), "-e", ".", "--group", group)
    ignored = NOT_CORE if is_core else []
    parallel = ["-n", "auto", "--dist", "worksteal"]
    tests = session.posargs or TESTS
    session.run("python", "-m", "pytest", "-q", *options, *parallel, *ignored, *tests)
