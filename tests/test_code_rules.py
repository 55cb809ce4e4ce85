"""The rules of the code: which module may import which, how long a file may be, what is public."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from project_files import ROOT, project_files, texts, tree_of

import flask_openrouter
from flask_openrouter import errors
from flask_openrouter.errors import OpenRouterError

PACKAGE = ROOT / "flask_openrouter"
MAX_LINES = 350
MAX_TEST_LINES = 400

#: The top level, lowest layer first. A module imports from its own layer or from a lower one.
LAYERS = (
    {"errors", "languages", "signals"},
    {"client", "log", "web", "problems"},
    {"config", "storage"},
    {"login"},
    {"services", "connection"},
    {"doctor"},
    {"pages"},
    {"guard", "misplaced"},
    {"views", "cli"},
    {"extension"},
    {""},
)
#: Outside of the layers: for development and tests.
TOOLS = {"emulator", "testing", "pytest_plugin"}
#: Packages that an app may lack.
OPTIONAL = {
    "babel",
    "flask_babel",
    "flask_login",
    "httpx",
    "openai",
    "openrouter",
    "redis",
    "sqlalchemy",
}
#: File names that say nothing about the contents.
VAGUE_NAMES = {"base", "common", "core", "helper", "helpers", "lib", "misc", "util", "utils"}
#: Words for other things than what this package does.
WRONG_WORDS = re.compile(
    r"redirect_uri|revoke|transaction|log_?out|(?<!_)token(?!_bytes|_hex|_urlsafe)"
)
#: Fields that a repr must not show. The ``code`` of a problem or a finding is its name.
SECRETS = {"api_key", "code", "code_verifier", "encryption_key"}
NO_SECRETS = {"problems.Problem.code", "doctor.finding.Finding.code"}


def modules() -> dict[str, Path]:
    """Every module of the package by its name below the package; ``""`` is the package."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = modules()
PYTHON_FILES = [
    path
    for path in project_files("flask_openrouter", "example_app", "benchmarks", "tests")
    if path.suffix == ".py"
]


@functools.cache
def imports_of(name: str) -> list[tuple[str, bool]]:
    """Return (imported module without our package's name, whether it is imported at once)."""
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    tree = tree_of(path)
    lazy = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, (ast.FunctionDef, ast.AsyncFunctionDef))
        for inner in ast.walk(outer)
    }
    for_types = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.If) and "TYPE_CHECKING" in ast.dump(outer.test)
        for inner in ast.walk(outer)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        at_import = id(node) not in lazy
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.append((alias.name.removeprefix("flask_openrouter."), at_import))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = ".".join([*filter(None, base), *filter(None, [node.module])])
            target = target.removeprefix("flask_openrouter.")
            if node.level and not node.module:
                for alias in node.names:
                    found.append((".".join([*filter(None, base), alias.name]), at_import))
            else:
                found.append((target, at_import))
    return found


def layer(name: str) -> int:
    (number,) = [n for n, names in enumerate(LAYERS) if name.partition(".")[0] in names]
    return number


def is_tool(name: str) -> bool:
    return name.partition(".")[0] in TOOLS


@functools.cache
def imports() -> dict[str, set[str]]:
    """Return the modules of this package that each module imports."""
    return {
        name: {target for target, _ in imports_of(name) if target in MODULES and target != name}
        for name in MODULES
    }


def test_a_module_imports_from_its_own_layer_or_below() -> None:
    upward = {
        (name, target)
        for name in MODULES
        for target in imports()[name]
        if not is_tool(name) and not is_tool(target) and layer(target) > layer(name)
    }
    assert upward == set()


def test_there_is_no_import_cycle() -> None:
    graph = {
        name: {t for t, at_import in imports_of(name) if at_import and t in MODULES and t != name}
        for name in MODULES
    }
    tuple(TopologicalSorter(graph).static_order())


def test_an_import_cycle_would_be_noticed() -> None:
    with pytest.raises(CycleError):
        tuple(TopologicalSorter({"a": {"b"}, "b": {"a"}}).static_order())
    assert imports()["views.login"] >= {"connection", "pages.urls", "services"}
    assert imports()["storage.vault"] >= {"errors", "storage.cipher"}


def test_the_lower_layers_do_not_import_flask() -> None:
    below = {name for name in MODULES if not is_tool(name) and layer(name) < layer("login")}
    users = {
        name for name in below if any(t.partition(".")[0] == "flask" for t, _ in imports_of(name))
    }
    assert users == {"web"}


def test_the_emulator_imports_nothing_from_the_rest_of_the_package() -> None:
    """A mistake on one side must not be cancelled out by the same mistake on the other."""
    for name in MODULES:
        if name.partition(".")[0] == "emulator":
            assert {t for t in imports()[name] if t.partition(".")[0] != "emulator"} == set(), name
            others = {t.partition(".")[0] for t, _ in imports_of(name)} - {
                "emulator",
                "flask_openrouter",
            }
            assert others <= {*sys.stdlib_module_names, "flask", "werkzeug", "click"}, name


@pytest.mark.requirement("R105")
def test_only_the_commands_and_the_test_tools_import_the_emulator() -> None:
    users = {name for name in MODULES if any(t.startswith("emulator") for t in imports()[name])}
    assert {name for name in users if not is_tool(name)} <= {"cli", "doctor"}
    for name in users & {"cli", "doctor"}:
        assert not [
            t for t, at_import in imports_of(name) if at_import and t.startswith("emulator")
        ]


def test_no_file_is_too_long() -> None:
    too_long = {}
    for path in PYTHON_FILES:
        length = len(path.read_text(encoding="utf-8").splitlines())
        most = MAX_TEST_LINES if path.is_relative_to(ROOT / "tests") else MAX_LINES
        if length > most:
            too_long[str(path.relative_to(ROOT))] = length
    assert too_long == {}
    assert len(PYTHON_FILES) > 200


def test_no_file_has_a_vague_name() -> None:
    assert {path for path in PYTHON_FILES if path.stem.strip("_") in VAGUE_NAMES} == set()


def test_optional_packages_are_imported_where_they_are_used() -> None:
    """An app without them starts, and the error names the extra."""
    for name in MODULES:
        at_once = {t.partition(".")[0] for t, at_import in imports_of(name) if at_import}
        assert at_once & OPTIONAL == set(), name


def test_no_test_uses_mock_patch() -> None:
    """Clocks, ids and transports are arguments."""
    for path, text in texts("tests", "benchmarks", "example_app"):
        if path.suffix == ".py":
            assert not re.search(r"^\s*(?:from|import) unittest" + r"\b.*\bmock", text, re.M), path
            assert "mock" + ".patch" not in text, path


@pytest.mark.requirement("R105")
def test_an_app_loads_no_module_that_it_does_not_use() -> None:
    """Neither the emulator and the optional packages, nor ``requests`` before the first call."""
    program = """
import sys
from flask import Flask
from flask_openrouter import OpenRouterAuth
app = Flask("tested")
app.config["SECRET_KEY"] = "0123456789abcdef" * 2
OpenRouterAuth(app)
assert app.test_client().get("/openrouter/login", base_url="https://a.example").status_code == 303
print(*sorted(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "flask_openrouter.views" in loaded
    unused = {"requests", "urllib3", *OPTIONAL, "pytest", "unittest"}
    assert loaded & unused == set()
    for name in ("emulator", "testing", "storage.sqlalchemy", "storage.redis"):
        assert f"flask_openrouter.{name}" not in loaded


def test_the_public_names_are_exactly_these() -> None:
    names = {"OpenRouterAuth", "requires_openrouter_key", "current_openrouter", "OpenRouterClient"}
    assert set(flask_openrouter.__all__) == names | {"KeyStorage", "OpenRouterError"}
    assert len(flask_openrouter.__all__) == 6
    for name in flask_openrouter.__all__:
        assert getattr(flask_openrouter, name) is not None
    public = {name for name in vars(flask_openrouter) if name[0].isalpha()}
    assert public - names - set(MODULES) == {"KeyStorage", "OpenRouterError", "TYPE_CHECKING"} | (
        public & {"annotations"}
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+", flask_openrouter.__version__)


def test_the_all_of_a_module_is_exact() -> None:
    """``__all__`` names every public function and class, and only names that exist."""
    exact = 0
    for name, path in MODULES.items():
        tree = tree_of(path)
        named = [node for node in tree.body if _assigned(node) == "__all__"]
        if named and name:
            (listed,) = named
            assert isinstance(listed, (ast.Assign, ast.AnnAssign))
            offered = ast.literal_eval(listed.value) if listed.value else []
            assert len(offered) == len(set(offered)), name
            definitions = (ast.FunctionDef, ast.ClassDef)
            defined = {node.name for node in tree.body if isinstance(node, definitions)}
            assert {each for each in defined if not each.startswith("_")} <= set(offered), name
            module = importlib.import_module(f"flask_openrouter.{name}")
            assert {each for each in offered if not hasattr(module, each)} == set(), name
            exact += 1
    assert exact >= 8


def test_every_error_is_an_openrouter_error() -> None:
    for module in pkgutil.walk_packages([str(PACKAGE)], "flask_openrouter."):
        if module.name.startswith("flask_openrouter.emulator") or "__main__" in module.name:
            continue
        for name, kind in vars(importlib.import_module(module.name)).items():
            is_own = inspect.isclass(kind) and kind.__module__.startswith("flask_openrouter")
            if is_own and issubclass(kind, BaseException):
                assert issubclass(kind, OpenRouterError), (module.name, name)
    assert issubclass(errors.ConfigurationError, ValueError)


def test_the_docstring_of_errors_names_every_error() -> None:
    assert errors.__doc__ is not None
    for name, kind in vars(errors).items():
        if inspect.isclass(kind) and kind.__module__ == errors.__name__:
            assert re.search(rf"\b{name}\b", errors.__doc__), name
            assert kind.__doc__


def test_the_package_warns_by_its_logger_only() -> None:
    for path, text in texts("flask_openrouter"):
        if path.suffix == ".py":
            assert "warnings.warn" not in text, path
            names = set(re.findall(r"getLogger\(([^)]*)\)", text))
            assert names <= {'"flask_openrouter"', '"flask_openrouter.emulator"', '"werkzeug"'}, (
                path
            )
            calls = [node.func for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
            assert "print" not in {getattr(function, "id", None) for function in calls}, path


def test_no_file_names_a_path_of_the_machine_where_it_was_written() -> None:
    places = re.compile("|".join(["/work" + "/", "/tmp" + "/plan", "shared" + "/", r"/home/\w+/"]))
    notes = re.compile(
        "|".join(f"{name}[.]md" for name in ("DESIGN", "HOUSE", "PEERS", "OPENROUTER"))
    )
    for path, text in texts():
        assert not places.search(text), path
        assert not notes.search(text), path


def test_every_public_name_has_a_docstring() -> None:
    missing = [
        f"{name}.{which}" for name, path in MODULES.items() for which in _undocumented(name, path)
    ]
    assert missing == []


def _undocumented(name: str, path: Path) -> Iterator[str]:
    tree = tree_of(path)
    if not ast.get_docstring(tree):
        yield "(the module)"
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in tree.body:
        if not isinstance(node, (*functions, ast.ClassDef)) or node.name.startswith("_"):
            continue
        if not _is_documented(node):
            yield node.name
        # A base class of another package documents its methods. The tests of the storage contract
        # are documented by their names.
        is_plain = isinstance(node, ast.ClassDef) and not _bases_elsewhere(node)
        for method in node.body if is_plain and not name.endswith("contract") else []:
            is_public = isinstance(method, functions) and not method.name.startswith("_")
            if is_public and not _is_documented(method):
                yield f"{node.name}.{method.name}"


def _bases_elsewhere(node: ast.ClassDef) -> set[str]:
    bases = {ast.unparse(base).partition("[")[0] for base in node.bases}
    return bases - {"Protocol", "Exception", "KeyStorage", "Unpicklable"} - set(vars(errors))


def _is_documented(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    is_half = any(each == "overload" or each.endswith(".setter") for each in decorators)
    return is_half or bool(ast.get_docstring(node))


def test_no_secret_shows_in_a_repr() -> None:
    found = 0
    for name, path in MODULES.items():
        for node in ast.walk(tree_of(path)):
            is_record = isinstance(node, ast.ClassDef) and any(
                "dataclass" in ast.dump(decorator) for decorator in node.decorator_list
            )
            for field in node.body if is_record else []:
                where = f"{name}.{node.name}.{_assigned(field)}"
                if _assigned(field) in SECRETS and where not in NO_SECRETS:
                    assert "repr=False" in ast.unparse(field), where
                    found += 1
    assert found >= 3


def test_no_name_contains_a_misleading_word() -> None:
    """An API key is no token, and disconnecting deletes nothing at OpenRouter.

    The emulator plays OpenRouter, which does revoke keys and count tokens.
    """
    for name, path in MODULES.items():
        if not is_tool(name):
            for node in ast.walk(tree_of(path)):
                defined = [getattr(node, part, None) for part in ("name", "arg", "id")]
                wrong = [each for each in defined if each and WRONG_WORDS.search(str(each))]
                assert wrong == [], name


def _assigned(node: ast.AST) -> str | None:
    """Return the name that this statement assigns to, if it is one name."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else None
