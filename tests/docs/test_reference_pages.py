"""The tables of docs/client.md and docs/emulator.md agree with the code."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields

from doc_blocks import ROOT

from flask_openrouter import OpenRouterClient, errors
from flask_openrouter.client import KeyInfo
from flask_openrouter.client.responses import error_from
from flask_openrouter.emulator import KEY_MARKER, EmulatorConfig, Fault, RecordedRequest
from flask_openrouter.emulator.__main__ import emulator_command
from flask_openrouter.emulator.catalogue import MODELS
from flask_openrouter.emulator.control import __doc__ as CONTROL

CLIENT = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
EMULATOR = (ROOT / "docs" / "emulator.md").read_text(encoding="utf-8")


def _table(page: str, head: str) -> list[list[str]]:
    """Return the cells of the table that begins with this line, row by row."""
    lines = page.partition(f"\n{head}\n")[2].splitlines()[1:]
    assert lines, f"no table {head}"
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def _names(cell: str) -> list[str]:
    return re.findall(r"`([A-Za-z_]+)`", cell)


# -- the client -------------------------------------------------------------------------------

ERRORS = _table(CLIENT, "| status | class | `is_retryable`, or what to do |")


def test_the_table_of_errors_is_true() -> None:
    for statuses, names, retry in ERRORS:
        classes = [getattr(errors, name) for name in _names(names)]
        assert {cls.is_retryable for cls in classes} == {retry.startswith("yes")}, names
        if "exchange" not in statuses:
            found = re.findall(r"(?<!other )(?<!to )\b\d{3}\b", statuses)
            made = [type(error_from(int(status), {}, None)) for status in found]
            assert made[: len(classes)] == classes[: len(made)], statuses


def test_the_table_of_errors_is_complete() -> None:
    """It has every error that a call may raise. The others belong to the extension."""
    named = {name for row in ERRORS for name in _names(row[1])}
    known = {
        name
        for name, cls in vars(errors).items()
        if inspect.isclass(cls)
        and issubclass(cls, errors.APIError | errors.TransportError | errors.InvalidAnswerError)
    }
    assert named == known


def test_every_method_is_in_the_table_with_its_first_parameters() -> None:
    public = {
        name: method
        for name, method in inspect.getmembers(OpenRouterClient, inspect.isfunction)
        if not name.startswith("_") and name != "preload"
    }
    assert "`client.preload()`" in CLIENT
    shown = dict(
        re.fullmatch(r"`(\w+)\((.*)\)`", row[0]).groups()  # type: ignore[union-attr]
        for row in _table(CLIENT, "| method | returns |")
    )
    assert set(shown) == set(public)
    for name, method in public.items():
        parameters = [p for p in inspect.signature(method).parameters if p != "self"]
        first = shown[name].removesuffix(", …").split(", ") if shown[name] else []
        assert first == parameters[: len(first)], name


def test_every_argument_of_the_client_is_in_the_table() -> None:
    rows = _table(CLIENT, "| parameter | default | meaning |")
    named = {name for row in rows for name in _names(row[0])}
    assert named == set(inspect.signature(OpenRouterClient).parameters)


def test_the_fields_of_a_key_that_are_named_exist() -> None:
    section = CLIENT.partition("\n### Limit and usage\n")[2].partition("###")[0]
    prose = section.partition("```")[0]
    named = set(_names(prose.partition("\n\n`get_key_info`")[0]))
    named -= {"KeyInfo", "byok_", "spent_this_period"}
    assert len(named) > 8
    assert named <= {field.name for field in fields(KeyInfo)}
    assert isinstance(KeyInfo.spent_this_period, property)


# -- the emulator -----------------------------------------------------------------------------


SWITCHES = "| switch | default | meaning |"


def test_every_switch_is_in_the_table_and_most_are_options() -> None:
    names = {field.name for field in fields(EmulatorConfig)}
    assert {_names(row[0])[0] for row in _table(EMULATOR, SWITCHES)} == names
    options = {str(option.name): option.opts[0] for option in emulator_command.params}
    for other in ("host", "port", "bind", "faults", "list_faults"):
        assert options.pop(other) in EMULATOR
    assert len(names) / 2 < len(options)
    assert options.keys() < names


def test_the_defaults_of_the_switches_are_true() -> None:
    config = EmulatorConfig()
    for row in _table(EMULATOR, SWITCHES):
        (name,) = _names(row[0])
        stated = row[1].strip("`")
        value = getattr(config, name)
        if name == "clock":
            assert stated == f"{value.__module__}.{value.__name__}"
        elif isinstance(value, float):
            assert float(stated) == value
        else:
            assert stated == (f'"{value}"' if isinstance(value, str) else str(value))


def test_every_argument_of_a_fault_is_in_the_table() -> None:
    rows = _table(EMULATOR, "| argument | meaning |")
    named = {name for row in rows for name in _names(row[0])}
    assert named == {field.name for field in fields(Fault)} | {"times"}


def test_every_field_of_a_recorded_request_is_named() -> None:
    section = EMULATOR.partition("### Recorded requests")[2].partition("```")[0]
    assert {field.name for field in fields(RecordedRequest)} == set(
        _names(section.partition(". ")[0])
    )


def test_every_address_of_the_control_api_is_shown() -> None:
    assert CONTROL is not None
    addresses = set(re.findall(r"/_emulator/([a-z]+)", CONTROL))
    assert addresses == set(re.findall(r":18080/_emulator/([a-z]+)", EMULATOR))


def test_the_keys_and_models_are_as_described() -> None:
    assert f"`sk-or-v1-{KEY_MARKER}`" in EMULATOR
    assert f"`{KEY_MARKER}`" in EMULATOR
    assert len(MODELS) == 44
    assert "has 44 models" in EMULATOR
