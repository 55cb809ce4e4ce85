"""Our templates, rendered whatever Jinja options the app has chosen.

Our templates use Jinja's default syntax. An app may have other delimiters (a page with Vue), line
statements, extensions that rewrite the source, ``enable_async`` or no autoescaping. So ours are
compiled with Jinja's defaults and the app's with the app's options, and all run in one environment:
an app can override any of ours in its own syntax, and an override can extend the app's templates.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from functools import lru_cache, partial
from pathlib import Path
from types import CodeType
from typing import Any, Final

from flask import Flask, render_template
from jinja2 import BaseLoader, Environment, FileSystemLoader, Template, TemplateNotFound
from jinja2.runtime import Context
from markupsafe import Markup

from ..web import this_app
from ..web.awaiting import run_without_loop
from .language import current_language

_FOLDER: Final = Path(__file__).resolve().parents[1] / "templates"
_OURS: Final = "openrouter/"
#: The attribute of the app's environment that holds ours.
_NAME: Final = "flask_openrouter_environments"


def render_page(name: str, **values: object) -> str:
    """Render one of our pages, or the app's own template of this name, for the current app.

    Not as ``_``, which in templates of the app may be Flask-Babel's.
    """
    environments = _environments(this_app())
    template = environments.for_pages.get_template(name)
    language = current_language()
    page = partial(
        render_template,
        template,
        openrouter_language=language,
        openrouter_text=language.markup,
        **values,
    )
    # An async template starts an event loop, which fails where one runs already.
    return run_without_loop(page) if environments.for_pages.is_async else page()


def render_piece(context: Context, name: str, **values: object) -> Markup:
    """Render a macro of ``openrouter/macros.html`` for the page with this context."""
    # Not render_template: a piece of a page is no page, and sends no signals of one.
    macros = _environments(this_app()).for_pieces.get_template("openrouter/macros.html")
    piece: Markup = getattr(macros.make_module(context.get_all()), name)(**values)
    return piece


class _Environments:
    """The environments in which our templates run, made of the app's. One per app.

    ``for_pieces`` is never async: a piece is used inside of a page that renders already.
    """

    def __init__(self, app: Flask) -> None:
        self.for_pieces = _overlay(app, is_async=False)
        self.for_pages = _overlay(app, is_async=True) if app.jinja_env.is_async else self.for_pieces


def _environments(app: Flask) -> _Environments:
    # Made late: the app may change its options until its first template is rendered. And kept by
    # the app's environment, which the app may replace.
    if _NAME not in vars(app.jinja_env):
        app.jinja_env.extend(**{_NAME: _Environments(app)})
    environments: _Environments = getattr(app.jinja_env, _NAME)
    return environments


def _overlay(app: Flask, *, is_async: bool) -> Environment:
    """Return an environment with the app's syntax, filters, globals and tests, and our loader."""
    theirs = app.jinja_env
    environment = theirs.overlay(
        autoescape=_autoescape(theirs.autoescape), loader=_Loader(theirs, is_async=is_async)
    )
    environment.is_async = is_async
    # Its entries do not say for which of the environments they were compiled.
    environment.bytecode_cache = None
    return environment


def _autoescape(theirs: bool | Callable[[str | None], bool]) -> Callable[[str | None], bool]:
    def autoescape(name: str | None) -> bool:
        if name is not None and name.startswith(_OURS):
            return True
        return theirs(name) if callable(theirs) else theirs

    return autoescape


class _Loader(BaseLoader):
    """Loads the app's templates in the app's syntax, and ours in Jinja's default syntax."""

    def __init__(self, theirs: Environment, *, is_async: bool) -> None:
        self._theirs = theirs
        self._ours = FileSystemLoader(_FOLDER)
        self._is_async = is_async

    def load(
        self,
        environment: Environment,
        name: str,
        globals: MutableMapping[str, Any] | None = None,
    ) -> Template:
        """Return the app's template of this name, or else ours."""
        values = {} if globals is None else globals
        loader = self._theirs.loader
        try:
            if loader is None:
                raise TemplateNotFound(name)
            if not loader.has_source_access:
                # Templates that were compiled in advance.
                return loader.load(environment, name, values)
            source, filename, is_current = loader.get_source(environment, name)
        except TemplateNotFound:
            is_ours = True
        else:
            is_ours = _is_ours(filename)
        if is_ours:
            source, filename, is_current = self._ours.get_source(environment, name)
            code = _compile(source, name, filename, is_async=self._is_async)
        else:
            code = environment.compile(source, name, filename)
        return environment.template_class.from_code(environment, code, values, is_current)


@lru_cache
def _compile(source: str, name: str, filename: str, *, is_async: bool) -> CodeType:
    """Compile one of ours, once for all apps: it takes longer than to render it.

    Filters and tests are looked up when the template runs, so those of the app are meant.
    """
    return Environment(autoescape=True, enable_async=is_async).compile(source, name, filename)


def _is_ours(filename: str | None) -> bool:
    return filename is not None and _FOLDER in Path(filename).resolve().parents
