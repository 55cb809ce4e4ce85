"""docs/api.md has every public name, and every member that it shows is documented."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from dataclasses import fields, is_dataclass
from functools import cached_property
from typing import Any

from blinker import NamedSignal
from project_files import ROOT

import flask_openrouter
from flask_openrouter import (
    OpenRouterError,
    client,
    emulator,
    errors,
    signals,
    storage,
    testing,
)
from flask_openrouter.cli import create_commands
from flask_openrouter.client.session import APISession, SessionResponse
from flask_openrouter.connection import Connection
from flask_openrouter.problems import Problem

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
#: Classes that an app reaches through public names, without importing them.
REACHED = {
    "flask_openrouter.connection.Connection": Connection,
    "flask_openrouter.client.session.APISession": APISession,
    "flask_openrouter.client.session.SessionResponse": SessionResponse,
    "flask_openrouter.problems.Problem": Problem,
}
#: Public methods that only the package calls.
MAKERS = {"from_json", "as_json", "matches", "changed"}


def resolve(name: str) -> Any:
    """Return the object with this dotted name."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def documented() -> dict[str, Any]:
    """Return what the directives of the page document, by name."""
    kinds = "autoclass|autofunction|autodata|autodecorator|py:data"
    found = re.findall(rf"^\.\. (?:{kinds}):: ([\w.]+)", PAGE, re.M)
    names = [name for name in found if name != "flask_openrouter.guard.R"]
    assert len(names) == len(set(names))
    assert ".. automodule:: flask_openrouter.errors\n   :members:\n" in PAGE
    names += [f"{errors.__name__}.{name}" for name in _errors()]
    return {name: resolve(name) for name in names}


def _errors() -> list[str]:
    return [name for name, cls in vars(errors).items() if inspect.isclass(cls)]


def public() -> dict[str, Any]:
    """Return every public object by a name of its own."""
    modules = [
        flask_openrouter,
        client,
        emulator,
        testing,
        storage,
        *(
            importlib.import_module(module.name)
            for module in pkgutil.iter_modules(storage.__path__, "flask_openrouter.storage.")
        ),
    ]
    found = {
        f"{module.__name__}.{name}": getattr(module, name)
        for module in modules
        for name in getattr(module, "__all__", ())
    }
    for name in ("key_connected", "key_disconnected", "login_failed", "budget_low"):
        found[f"{signals.__name__}.{name}"] = getattr(signals, name)
    found |= {f"{errors.__name__}.{name}": getattr(errors, name) for name in _errors()}
    return found | REACHED


DOCUMENTED = documented()


def test_every_public_name_is_documented() -> None:
    there = {id(value) for value in DOCUMENTED.values()}
    assert [name for name, value in public().items() if id(value) not in there] == []


def test_nothing_else_is_documented() -> None:
    there = {id(value) for value in public().values()}
    assert [name for name, value in DOCUMENTED.items() if id(value) not in there] == []


def test_every_signal_is_public() -> None:
    found = {name for name, value in vars(signals).items() if isinstance(value, NamedSignal)}
    assert {f"{signals.__name__}.{name}" for name in found} <= set(public())


def test_the_names_of_the_package_are_listed() -> None:
    names = PAGE.partition("The package `flask_openrouter` has ")[2].partition(".")[0]
    assert sorted(re.findall(r"`(\w+)`", names)) == sorted(flask_openrouter.__all__)


CLASSES = {name: value for name, value in DOCUMENTED.items() if inspect.isclass(value)}


def test_every_member_is_documented() -> None:
    for name, cls in CLASSES.items():
        for member, value in vars(cls).items():
            if member.startswith("_") or member in MAKERS or _is_test(cls, member):
                continue
            if callable(value) or isinstance(value, (property, staticmethod, cached_property)):
                assert inspect.getdoc(value), (name, member)
            else:
                assert _is_described(cls, member), (name, member)


def test_every_field_is_documented() -> None:
    silent = {
        (name, field.name)
        for name, cls in CLASSES.items()
        if is_dataclass(cls)
        for field in fields(cls)
        if not _is_described(cls, field.name)
    }
    assert silent == set()


def test_every_parameter_is_described() -> None:
    """Functions and constructors, except for parameters whose type says enough."""
    plain = {"args", "kwargs", "client", "emulator", "config", "view", "uri"}
    for name, value in DOCUMENTED.items():
        is_error = inspect.isclass(value) and issubclass(value, OpenRouterError)
        if name in REACHED or is_error or not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        for parameter in set(inspect.signature(value).parameters) - plain:
            assert _is_described(value, parameter), (name, parameter)


def test_signatures_written_by_hand_are_true() -> None:
    for name, value in DOCUMENTED.items():
        directive = re.search(rf"^\.\. auto\w+:: {re.escape(name)}\((.+)\)$", PAGE, re.M)
        if directive is not None:
            written = re.sub(r'=("[^"]*"|[^,]+)', "", directive[1]).replace("*, ", "").split(", ")
            assert written == list(inspect.signature(value).parameters), name


def _is_described(value: Any, name: str) -> bool:
    """Whether the docstring or a ``#:`` comment describes this name."""
    parents = [p for p in getattr(value, "__mro__", [value]) if p.__module__ != "builtins"]
    text = " ".join(parent.__doc__ or "" for parent in parents)
    if name.startswith("byok_"):
        name = "byok_"
    if f"``{name}``" in text or f":param {name}:" in text:
        return True
    return any(re.search(rf"#: [^\n]*\n\s+{name}\b", inspect.getsource(p)) for p in parents)


def _is_test(cls: type, member: str) -> bool:
    return cls is testing.KeyStorageContract and member.startswith("test_")


# -- commands -----------------------------------------------------------------------------------


def _rows(head: str) -> list[list[str]]:
    lines = PAGE.partition(f"\n{head}\n")[2].partition("\n\n")[0].splitlines()[1:]
    assert lines, head
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_command_is_in_the_table_with_its_help() -> None:
    group = create_commands()
    rows = {row[0].strip("`"): row[1] for row in _rows("| command | does |")}
    context = group.make_context("openrouter", ["pkce"])
    assert sorted(name.split()[0] for name in rows) == group.list_commands(context)
    for name, text in rows.items():
        command = group.get_command(context, name.split()[0])
        assert command is not None
        first = (command.help or "").partition(".\n")[0].partition(":")[0].replace("\n", " ")
        assert first.rstrip(".") in text, name
        if name == "emulator":
            # Its options have a page of their own.
            continue
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                assert name.split()[1:] == [parameter.human_readable_name]
            elif parameter.name != "help":
                assert f"`{parameter.opts[0]}`: {parameter.help.rstrip('.')}" in text  # type: ignore[attr-defined]
