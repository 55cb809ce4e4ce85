"""The headers that name the app to OpenRouter (OpenRouter guide "App attribution")."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import ConfigurationError
from .authorization import check_web_url

#: Every category that OpenRouter knows; it ignores any other without an error.
CATEGORIES = frozenset(
    {
        "cli-agent",
        "ide-extension",
        "cloud-agent",
        "programming-app",
        "native-app-builder",
        "creative-writing",
        "video-gen",
        "image-gen",
        "audio-gen",
        "writing-assistant",
        "general-chat",
        "personal-agent",
        "legal",
        "roleplay",
        "game",
    }
)
MAX_CATEGORIES = 2
_TITLE = re.compile(r"[!-~](?:[ -~]{0,198}[!-~])?")


def attribution_headers(
    app_url: str | None, app_title: str | None, app_categories: Sequence[str]
) -> dict[str, str]:
    """Return the attribution headers; empty for an app that gives no values.

    :param app_url: the app's address, its identity on OpenRouter: an absolute http(s) URL.
    :param app_title: its name: 1 to 200 printable ASCII characters, as a header requires.
    :param app_categories: at most two of :data:`CATEGORIES`.
    :raises ConfigurationError: if a value breaks these rules.
    """
    headers = {}
    if app_url is not None:
        if problem := check_web_url(app_url):
            raise ConfigurationError(f"app_url {problem}")
        headers["HTTP-Referer"] = app_url
    if app_title is not None:
        if not (isinstance(app_title, str) and _TITLE.fullmatch(app_title)):
            raise ConfigurationError("app_title must be 1 to 200 printable ASCII characters")
        headers["X-OpenRouter-Title"] = app_title
    if app_categories:
        headers["X-OpenRouter-Categories"] = _checked_categories(app_categories)
    return headers


def _checked_categories(categories: Sequence[str]) -> str:
    if isinstance(categories, str):
        raise ConfigurationError("app_categories must be a list of names, not one string")
    unknown = [name for name in categories if name not in CATEGORIES]
    if unknown:
        raise ConfigurationError(
            f"app_categories: OpenRouter does not know {unknown[0]!r}; choose from "
            + ", ".join(sorted(CATEGORIES))
        )
    if len(categories) > MAX_CATEGORIES:
        raise ConfigurationError(f"app_categories: OpenRouter takes at most {MAX_CATEGORIES}")
    return ",".join(categories)
