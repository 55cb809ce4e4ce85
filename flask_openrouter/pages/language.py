"""The visitor's language: Flask-Babel's, the app's setting, or what the browser asks for."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from typing import Any, Final

from flask import Flask, has_app_context, has_request_context

from ..languages import ENGLISH, Language, load_language, match_language
from ..problems import Problem
from ..web import get_services, request_state, this_app, this_request

logger: Final = logging.getLogger("flask_openrouter")


def current_language() -> Language:
    """Return the language for this visitor; English outside of a request.

    In an app with Flask-Babel it is Flask-Babel's locale; else ``OPENROUTER_LANGUAGE``; else the
    first of our languages in ``Accept-Language`` (RFC 9110 §12.5.4). Only then does the response
    depend on that header.
    """
    if not has_app_context():
        return ENGLISH
    locale = _babel_locale(this_app())
    if locale is not None:
        folders = tuple(this_app().extensions["babel"].translation_directories)
        return load_language(str(locale), folders, locale.text_direction)
    fixed = get_services().settings.language
    if fixed is not None:
        return load_language(fixed)
    if not has_request_context():
        return ENGLISH
    request_state().varies_by_language = True
    for tag, quality in this_request().accept_languages:
        name = match_language(tag) if quality else None
        if name is not None:
            return load_language(name)
    return ENGLISH


def _babel_locale(app: Flask) -> Any:
    """Return Flask-Babel's locale of this request; None if the app does not use Flask-Babel."""
    # An app that uses it has imported it. Other extensions use the name "babel" as well.
    flask_babel = sys.modules.get("flask_babel")
    if flask_babel is None or "babel" not in app.extensions:
        return None
    state = request_state() if has_request_context() else None
    if state is not None and state.has_no_locale:
        return None
    try:
        return flask_babel.get_locale()
    except Exception:
        # A page about a failure must not fail, too: the selector may read a database that is down.
        logger.exception("Flask-Babel's locale selector failed.")
    if state is not None:
        # A page has many texts. It waits for the database once, and the log has one entry.
        state.has_no_locale = True
    return None


def gettext(message: str) -> str:
    """Return this English text in the visitor's language."""
    return current_language().gettext(message)


def translated(problem: Problem) -> Problem:
    """Return the problem with its texts in the visitor's language."""
    language = current_language()
    return replace(
        problem,
        title=language.gettext(problem.title),
        message=language.gettext(problem.message),
        hints=tuple(map(language.gettext, problem.hints)),
    )
