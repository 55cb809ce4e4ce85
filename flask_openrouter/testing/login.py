"""An app under test at the emulator, and visitors of it who are connected by its own routes."""

from __future__ import annotations

import html
import re
import secrets
from contextlib import ExitStack
from urllib.parse import urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ..connection import current_openrouter
from ..emulator import Emulator


def app_config(emulator: Emulator) -> dict[str, object]:
    """Return the settings that put an app under test at this emulator.

    They must be in ``app.config`` before ``OpenRouterAuth(app)`` or ``init_app`` reads them. The
    ``SECRET_KEY`` is a new one; the callback address follows the test client's.
    """
    return {
        "TESTING": True,
        "SECRET_KEY": secrets.token_hex(),
        "OPENROUTER_BASE_URL": emulator.url,
        "OPENROUTER_EMULATOR": True,
        # A public address is nothing that an emulator would send a visitor to.
        "OPENROUTER_CALLBACK_URL": None,
    }


def log_in(
    client: FlaskClient,
    emulator: Emulator,
    next_url: str | None = None,
    *,
    base_url: str | None = None,
    check: bool = True,
) -> TestResponse:
    """Connect this client by the app's real routes; return the answer of the callback.

    ``next_url``: the path where the login shall end. ``base_url``: where the client finds the app,
    such as ``https://localhost``; by default as Flask's test client has it. ``check``: False
    returns the answer of a callback that failed, too.

    Raises AssertionError, which says at which step and what to do, when the client is not connected
    in the end, and ValueError when the emulator refuses what the app asks for.
    """
    app = client.application
    login = client.get(_path(app, "openrouter.login", next=next_url), base_url=base_url)
    if login.status_code != 303:
        raise AssertionError(f"The login did not begin: {_told_by(login)}")
    if not login.location.startswith(f"{emulator.url}/auth?"):
        raise AssertionError(_wrong_provider(login.location))
    callback = urlsplit(emulator.approve(login.location))
    # The client adds it again.
    root = _script_root(app, base_url)
    answer = client.get(
        f"{callback.path.removeprefix(root)}?{callback.query}",
        base_url=f"{callback.scheme}://{callback.netloc}{root}",
    )
    if check and answer.status_code != 303:
        raise AssertionError(f"The login failed: {_told_by(answer)}")
    return answer


def api_key_of(client: FlaskClient, *, base_url: str | None = None) -> str:
    """Return the key that the app holds for this client: to revoke it at the emulator, say.

    ``base_url``: where the client finds the app, as for :func:`log_in`.

    Raises :class:`~flask_openrouter.errors.NotConnectedError` when it holds none.
    """
    with ExitStack() as stack:
        # In a "with client:" block the context of the last request is there already.
        if not client.preserve_context:
            stack.enter_context(client)
        client.get(_path(client.application, "openrouter.status"), base_url=base_url)
        return current_openrouter.api_key


def _path(app: Flask, endpoint: str, **values: str | None) -> str:
    if endpoint not in app.view_functions:
        raise AssertionError(
            "This app has no OpenRouter extension: call OpenRouterAuth(app) or init_app(app)."
        )
    # Without the script root, which the test client adds by itself.
    return app.url_map.bind("localhost").build(endpoint, values)


def _script_root(app: Flask, base_url: str | None) -> str:
    root: str = app.config["APPLICATION_ROOT"] if base_url is None else urlsplit(base_url).path
    return root.rstrip("/")


def _wrong_provider(location: str) -> str:
    parts = urlsplit(location)
    return (
        f"The app sends visitors to {parts.scheme}://{parts.netloc}, not to the emulator. Settings"
        " are read once: put those of openrouter_app_config into app.config before"
        " OpenRouterAuth(app) or init_app(app) is called. An app factory that takes settings makes"
        " that easy."
    )


def _told_by(answer: TestResponse) -> str:
    shown = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())
    place = f" (to {answer.location})" if answer.location else ""
    return f"{answer.request.path} answered {answer.status}{place}: {shown[:500]}"
