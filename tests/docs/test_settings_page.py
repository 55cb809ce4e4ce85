"""docs/settings.md says what the code does: names, defaults, and each message word for word."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from settings_page import (
    PAGE,
    SECRET,
    Entry,
    default_of,
    entries,
    names_in_the_code,
    refusals,
    rows_of,
)

from flask_openrouter import OpenRouterAuth
from flask_openrouter.errors import ConfigurationError

ENTRIES = entries()
FLASK = rows_of("Flask's own settings")
ARGUMENTS = rows_of("Arguments of OpenRouterAuth")


def value_of(text: str) -> Any:
    """Return the value that the page writes in Python."""
    return eval(text, {"timedelta": timedelta})  # noqa: S307 - our own documentation


def refused(config: dict[str, Any], arguments: dict[str, Any] | None = None) -> str:
    """Return the message with which an app in production is refused."""
    app = Flask("documented")
    app.config.update({"SECRET_KEY": SECRET, **config})
    with pytest.raises(ConfigurationError) as raised:
        OpenRouterAuth(app, **(arguments or {}))
    return str(raised.value)


def test_every_setting_has_one_entry() -> None:
    assert sorted(entry.name for entry in ENTRIES) == sorted(names_in_the_code())


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_default_is_the_code_s(entry: Entry) -> None:
    if entry.default == "derived from `SECRET_KEY`":
        assert default_of(entry.name) is None
    else:
        assert value_of(entry.default.strip("`")) == default_of(entry.name)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [(entry.name, *row) for entry in ENTRIES for row in refusals(entry.text)],
)
def test_a_value_is_refused_in_these_words(name: str, value: str, message: str) -> None:
    assert refused({name: value_of(value)}) == message


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_entry_shows_what_is_refused(entry: Entry) -> None:
    assert refusals(entry.text)


# -- Flask's own ------------------------------------------------------------------------------


def test_the_settings_of_flask_are_flask_s() -> None:
    config = Flask("documented").config
    for name, default, meaning in FLASK:
        name = name.strip("`")
        if default != "required":
            assert value_of(default.strip("`")) == config[name], name
        assert meaning
    named = {row[0].strip("`") for row in FLASK}
    cookie = {name for name in config if name.startswith("SESSION_COOKIE_")}
    assert named >= cookie - {"SESSION_COOKIE_PARTITIONED"}


@pytest.mark.parametrize(
    ("assignment", "message"), refusals(PAGE.partition("\n## Flask's own settings\n")[2])[:5]
)
def test_a_secret_key_is_refused_in_these_words(assignment: str, message: str) -> None:
    name, _, value = assignment.partition(" = ")
    assert name in ("SECRET_KEY", "SECRET_KEY_FALLBACKS")
    assert refused({name: value_of(value)}) == message


# -- arguments --------------------------------------------------------------------------------


def test_every_argument_is_in_the_table_with_its_default() -> None:
    parameters = dict(inspect.signature(OpenRouterAuth).parameters)
    clock = parameters["clock"].default
    assert abs(clock() - value_of("__import__('time').time()")) < 5
    documented = {name.strip("`"): default.strip("`") for name, default, _ in ARGUMENTS}
    assert documented.pop("clock") == "time.time"
    del parameters["clock"]
    assert {name: value_of(default) for name, default in documented.items()} == {
        name: parameter.default for name, parameter in parameters.items()
    }


@pytest.mark.parametrize(
    ("argument", "message"), refusals(PAGE.partition("\n## Arguments of OpenRouterAuth\n")[2])
)
def test_an_argument_is_refused_in_these_words(argument: str, message: str) -> None:
    name, _, value = argument.partition("=")
    assert refused({}, {name: value_of(value)}) == message


def test_the_decorators_that_are_named_exist() -> None:
    for name in ("owner_loader", "unauthorized_handler", "key_options"):
        assert f"`@auth.{name}`" in PAGE
        assert callable(getattr(OpenRouterAuth, name))
