"""Settings that were accepted but are wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, Final

from ..client.base_url import is_loopback_url, is_openrouter
from ..config import Settings
from ..errors import ConfigurationError
from ..login.fallback import may_use_fallback
from .case import Case
from .finding import Finding, problem, warning

#: Stored in the same field as OPENROUTER_ENCRYPTION_KEY.
_FALLBACKS: Final = "OPENROUTER_ENCRYPTION_KEY_FALLBACKS"
_SET_EARLIER: Final = "Set everything before OpenRouterAuth(app) or auth.init_app(app)."


def check_settings(case: Case) -> Iterator[Finding]:
    """Find what has no effect: misspelt settings, late ones, views without their function."""
    yield from _check_names(case.app.config)
    yield from _check_environment(case.app.config)
    yield from _check_fallback(case)
    error, now = _read({**case.app.config, "DEBUG": True})
    if error is not None:
        yield problem(
            "settings_changed",
            f"A setting was changed to a wrong value after OpenRouterAuth had read it: {error}",
            _SET_EARLIER,
        )
        return
    names = [
        _setting_name(field.name)
        for field in fields(Settings)
        if getattr(now, field.name) != getattr(case.settings, field.name)
    ]
    if "SECRET_KEY" in names and not case.app.config.get("OPENROUTER_ENCRYPTION_KEY"):
        names = [name for name in names if name != "OPENROUTER_ENCRYPTION_KEY"]
    if names:
        yield problem(
            "settings_changed",
            f"Changed after OpenRouterAuth had read it, without effect: {', '.join(names)}.",
            _SET_EARLIER,
        )


def check_secret_key(case: Case) -> Iterator[Finding]:
    """Find a SECRET_KEY that is only accepted in development mode."""
    # Read these two only: other settings, such as an emulator's URL, are right in development.
    names = ("SECRET_KEY", "SECRET_KEY_FALLBACKS")
    error, _ = _read({name: case.app.config.get(name) for name in names})
    if error is None or not str(error).startswith("SECRET_KEY"):
        return
    title, _, remedy = str(error).partition(". ")
    report = warning if case.is_development else problem
    yield report(
        "secret_key_weak",
        f"{title}. The app will not start with it in production.",
        remedy,
    )


def check_provider(case: Case) -> Iterator[Finding]:
    """Find a base URL that is not OpenRouter's."""
    base_url = case.settings.base_url
    if is_loopback_url(base_url) or case.settings.emulator:
        if not case.is_development:
            yield problem(
                "emulator_in_production",
                "OPENROUTER_BASE_URL or OPENROUTER_EMULATOR names an emulator, but the app runs in"
                " production mode. Visitors would be sent to an address on their own machine.",
                "Remove both settings. On a developer's machine, use debug mode instead.",
            )
    elif not is_openrouter(base_url):
        yield warning(
            "other_provider",
            f"OPENROUTER_BASE_URL is {base_url}, not OpenRouter. Visitors are sent there to"
            " connect, and their keys come from there.",
            "Remove OPENROUTER_BASE_URL, unless this is your own gateway.",
        )


def _check_names(config: Mapping[str, Any]) -> Iterator[Finding]:
    for name in config:
        if not name.startswith("OPENROUTER_") or name in _NAMES:
            continue
        # Apps define settings of their own, such as OPENROUTER_MODEL. Only near matches count.
        for meant in get_close_matches(name, _NAMES, n=1, cutoff=0.9):
            yield warning(
                "setting_unknown",
                f"{name} is not a setting of this extension and has no effect on it.",
                f"If you mean {meant}, correct the name.",
            )


def _check_fallback(case: Case) -> Iterator[Finding]:
    """Find views for the app's own key in an app without a function that returns one."""
    views = [name for name, view in case.app.view_functions.items() if may_use_fallback(view)]
    if views and case.services.app_functions.fallback_key is None:
        yield problem(
            "fallback_missing",
            f"Views with fallback=True, but no function for the app's own key: {', '.join(views)}."
            " A visitor without a key gets an error 500.",
            "Register a function with @auth.fallback_key.",
        )


def _check_environment(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Find variables that the app did not read. Flask reads none by itself."""
    for variable in sorted(os.environ):
        name = variable.removeprefix("FLASK_")
        # Other programs have variables of OpenRouter, too. With FLASK_, all are meant for
        # the app. Flask reads "__" as a nested setting.
        is_for_app = variable.startswith("FLASK_OPENROUTER_") and "__" not in name
        if not (name in _NAMES or is_for_app) or _is_read(os.environ[variable], config.get(name)):
            continue
        yield warning(
            "variable_not_read",
            f"{variable} is set in the environment, but the app does not use its value.",
            "Call app.config.from_prefixed_env() before OpenRouterAuth(app), which reads variables"
            f" that begin with FLASK_, or set app.config[{name!r}] = os.environ[{variable!r}].",
        )


def _is_read(text: str, value: object) -> bool:
    """Whether a setting can be the value of a variable, as a text or as JSON."""
    if not text.strip() or text == value:
        return True
    try:
        parsed = json.loads(text)
    except ValueError:
        # An app may convert it: "yes" to True, "10 min" to seconds, "a, b" to a list.
        if isinstance(value, list | tuple):
            return bool(value) and all(str(each) in text for each in value)
        return value is not None and not isinstance(value, str | bytes)
    return bool(parsed == value)


def _setting_name(field: str) -> str:
    """Return the name of the setting behind a field of ``Settings``."""
    names = {"secret_keys": "SECRET_KEY", "encryption_keys": "OPENROUTER_ENCRYPTION_KEY"}
    return names.get(field, f"OPENROUTER_{field.upper()}")


def _read(config: Mapping[str, Any]) -> tuple[ConfigurationError | None, Settings | None]:
    try:
        return None, Settings.from_config(config)
    except ConfigurationError as error:
        return error, None


#: The settings of this extension.
_NAMES: Final = {
    name
    for name in (*(_setting_name(field.name) for field in fields(Settings)), _FALLBACKS)
    if name.startswith("OPENROUTER_")
}
