"""The names that templates of the app see: the connection, and pieces for pages."""

from __future__ import annotations

import logging
from typing import Any, Final

from flask import Flask, url_for
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from ..connection import current_openrouter, get_connection, read_usage
from ..errors import KeyRejectedError, OpenRouterError
from ..languages import _
from ..pages.language import current_language
from ..pages.templates import render_piece
from ..pages.urls import checked_next, login_url_for, page_of_visitor
from ..pages.visit import is_script
from ..web import get_services
from .usage import Usage

logger: Final = logging.getLogger("flask_openrouter")

VARIANTS: Final = ("default", "minimal", "branded", "icon", "cta")
SIZES: Final = ("sm", "md", "lg", "xl")

CONNECT: Final = _("Connect OpenRouter")


def add_template_names(app: Flask) -> None:
    """Give every template of the app ``current_openrouter`` and the functions of this module."""

    @app.context_processor
    def names() -> dict[str, Any]:
        return {
            "current_openrouter": current_openrouter,
            "openrouter_button": openrouter_button,
            "openrouter_disconnect_button": openrouter_disconnect_button,
            "openrouter_styles": openrouter_styles,
            "openrouter_usage": openrouter_usage,
        }


@pass_context
def openrouter_button(
    context: Context,
    variant: str = "default",
    size: str = "md",
    label: str | None = None,
    next: str | None = None,
) -> Markup:
    """Return a link to the login that looks like a button.

    ``variant``: one of :data:`VARIANTS`; of ``icon`` only the picture is seen, and the label is
    read out. ``size``: one of :data:`SIZES`. ``next``: the path on which the login ends; by
    default ``OPENROUTER_LOGIN_REDIRECT_URL``, else this page.

    Raises ValueError for an unknown variant or size.
    """
    _check("variant", variant, VARIANTS)
    _check("size", size, SIZES)
    if next is None and get_services().settings.login_redirect_url is None:
        next = _this_page()
    return render_piece(
        context,
        "button",
        variant=variant,
        size=size,
        url=_login_url(next),
        **_in_words(label, CONNECT),
    )


@pass_context
def openrouter_disconnect_button(
    context: Context, label: str | None = None, next: str | None = None
) -> Markup:
    """Return a form with one button that lets this app forget the visitor's key.

    ``next``: the path of the page to show then; by default as without this button. The form has
    Flask-WTF's ``csrf_token`` where the app uses it.
    """
    return render_piece(
        context,
        "disconnect_button",
        url=url_for("openrouter.disconnect"),
        next_url=checked_next(next),
        **_in_words(label, _("Disconnect")),
    )


@pass_context
def openrouter_usage(context: Context) -> Markup:
    """Return what is left on the visitor's key, or what was spent with it, and a meter.

    Nothing for a visitor without a key, and when OpenRouter does not answer quickly. For a dead
    key, which is forgotten, a link to connect again: a page that shows this must not fail.
    """
    usage = None
    try:
        if connection := get_connection():
            reading = read_usage(connection)
            if reading.info is not None and not reading.has_failed:
                usage = Usage.from_key_info(reading.info)
    except KeyRejectedError:
        url = _login_url(_this_page())
        words = _in_words(None, _("Connect OpenRouter again"))
        return render_piece(context, "connect_again", url=url, **words)
    except OpenRouterError as error:
        logger.info("The usage of a key could not be shown (%s).", type(error).__name__)
    if usage is None:
        return Markup()
    return render_piece(context, "usage", usage=usage, language=current_language())


@pass_context
def openrouter_styles(context: Context) -> Markup:
    """Return the link to the style sheet of these pieces, for the head of a page."""
    url = url_for("openrouter.static", filename="pieces.css")
    return render_piece(context, "styles", url=url)


def _check(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}. It must be one of: {', '.join(allowed)}.")


def _in_words(label: str | None, default: str) -> dict[str, Any]:
    """Return the label of a piece, and its language: None for the app's own label."""
    language = None if label else current_language()
    return {"label": language.gettext(default) if language else label, "language": language}


def _login_url(next_url: str | None) -> str:
    return login_url_for(checked_next(next_url))


def _this_page() -> str | None:
    return page_of_visitor(from_script=is_script())
