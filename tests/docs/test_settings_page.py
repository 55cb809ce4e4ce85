"""docs/settings.md has every setting, every argument and every default of the code."""

from __future__ import annotations

import ast
import inspect
import re
from datetime import timedelta
from typing import Any

from flask import Flask
from settings_page import PAGE, default_of, names_in_the_code, rows_of

from flask_openrouter import OpenRouterAuth

GROUPS = (
    "Keys and where they live",
    "The login",
    "The key that is asked for",
    "How the app appears at OpenRouter",
    "Which OpenRouter",
)
SETTINGS = [row for group in GROUPS for row in rows_of(group)]
#: Defaults that the page describes in words, and their values in the code.
IN_WORDS = {
    "none": (None, []),
    "derived": (None,),
    "the visitor's cookie": (None,),
    "from the request": (None,),
    # Where the app's root is, only a request tells.
    "`/`": (None,),
    "a page of the extension": (None,),
}


def value_of(text: str) -> Any:
    """Return the value that the page writes in Python."""
    return eval(text, {"timedelta": timedelta})  # noqa: S307 - our own documentation


def test_every_setting_has_one_row() -> None:
    assert sorted(row[0].strip("`") for row in SETTINGS) == sorted(names_in_the_code())


def test_the_defaults_are_those_of_the_code() -> None:
    for name, shown, _ in SETTINGS:
        default = default_of(name.strip("`"))
        if shown in IN_WORDS:
            assert default in IN_WORDS[shown], name
        elif isinstance(default, str):
            assert shown == f"`{default}`", name
        else:
            assert ast.literal_eval(shown.strip("`")) == default, name


def test_a_setting_has_at_most_two_sentences() -> None:
    for name, _, meaning in SETTINGS:
        assert len(re.findall(r"\. (?=[A-Z])", meaning)) <= 1, name


def test_the_table_of_flask_settings_is_true() -> None:
    config = Flask("documented").config
    for name, default, meaning in rows_of("Flask's own settings"):
        name = name.strip("`")
        if default != "required":
            assert value_of(default.strip("`")) == config[name], name
        assert meaning


def test_every_argument_is_in_the_table_with_its_default() -> None:
    parameters = dict(inspect.signature(OpenRouterAuth).parameters)
    clock = parameters["clock"].default
    assert abs(clock() - value_of("__import__('time').time()")) < 5
    rows = rows_of("Arguments of OpenRouterAuth")
    documented = {name.strip("`"): default.strip("`") for name, default, _ in rows}
    assert documented.pop("clock") == "time.time"
    del parameters["clock"]
    assert {name: value_of(default) for name, default in documented.items()} == {
        name: parameter.default for name, parameter in parameters.items()
    }


def test_the_decorators_that_are_named_exist() -> None:
    for name in ("owner_loader", "unauthorized_handler", "key_options", "fallback_key"):
        assert f"`@auth.{name}`" in PAGE
        assert callable(getattr(OpenRouterAuth, name))
