"""Settings that were accepted, and are wrong all the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, Final

from ..client.base_url import is_loopback_url, is_openrouter
from ..config import Settings
from ..errors import ConfigurationError
from .case import Case
from .finding import Finding, problem, warning

#: Read together with OPENROUTER_ENCRYPTION_KEY, into the same field.
_FALLBACKS: Final = "OPENROUTER_ENCRYPTION_KEY_FALLBACKS"


def check_settings(case: Case) -> Iterator[Finding]:
    """Find settings that have no effect: misspelt ones, and those that were changed too late."""
    yield from _check_names(case.app.config)
    error, now = _read({**case.app.config, "DEBUG": True})
    if error is not None:
        yield problem(
            "settings_changed",
            f"A setting was changed after OpenRouterAuth had read it, to a wrong value: {error}",
            "Set everything before OpenRouterAuth(app) or auth.init_app(app).",
        )
        return
    names = [
        setting_name(field.name)
        for field in fields(Settings)
        if getattr(now, field.name) != getattr(case.settings, field.name)
    ]
    if "SECRET_KEY" in names and not case.app.config.get("OPENROUTER_ENCRYPTION_KEY"):
        names = [name for name in names if name != "OPENROUTER_ENCRYPTION_KEY"]
    if names:
        yield problem(
            "settings_changed",
            f"Changed after OpenRouterAuth had read it, without effect: {', '.join(names)}.",
            "Set everything before OpenRouterAuth(app) or auth.init_app(app).",
        )


def check_secret_key(case: Case) -> Iterator[Finding]:
    """Find a SECRET_KEY that development mode puts up with."""
    # Only what these checks are about: the address of an emulator is right in development.
    names = ("SECRET_KEY", "SECRET_KEY_FALLBACKS")
    error, _ = _read({name: case.app.config.get(name) for name in names})
    if error is None or not str(error).startswith("SECRET_KEY"):
        return
    title, _, remedy = str(error).partition(". ")
    found = warning if case.is_development else problem
    yield found(
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
                "OPENROUTER_BASE_URL or OPENROUTER_EMULATOR names an emulator, and the app runs as"
                " in production: visitors would be sent to an address of their own machine.",
                "Remove both settings; or, on a developer's machine, run the app in debug mode.",
            )
    elif not is_openrouter(base_url):
        yield warning(
            "other_provider",
            f"OPENROUTER_BASE_URL is {base_url}, not OpenRouter: visitors are sent there to"
            " connect, and their keys come from there.",
            "Remove OPENROUTER_BASE_URL, unless this is a gateway of yours.",
        )


def setting_name(field: str) -> str:
    """Return the setting behind a field of :class:`~flask_openrouter.config.Settings`."""
    names = {"secret_keys": "SECRET_KEY", "encryption_keys": "OPENROUTER_ENCRYPTION_KEY"}
    return names.get(field, f"OPENROUTER_{field.upper()}")


def _check_names(config: Mapping[str, Any]) -> Iterator[Finding]:
    known = {setting_name(field.name) for field in fields(Settings)} | {_FALLBACKS}
    for name in config:
        if not name.startswith("OPENROUTER_") or name in known:
            continue
        # An app has names of its own, such as OPENROUTER_MODEL: only what is nearly one of ours.
        for meant in get_close_matches(name, known, n=1, cutoff=0.9):
            yield warning(
                "setting_unknown",
                f"{name} is no setting of this extension, and has no effect on it.",
                f"If you mean {meant}, correct the name.",
            )


def _read(config: Mapping[str, Any]) -> tuple[ConfigurationError | None, Settings | None]:
    try:
        return None, Settings.from_config(config)
    except ConfigurationError as error:
        return error, None
