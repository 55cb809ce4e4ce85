"""The login of a test client: through the routes of the app under test, at the emulator."""

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
    """Return the settings that point an app under test to this emulator.

    They must be in ``app.config`` before ``OpenRouterAuth(app)`` or ``init_app`` reads them. The
    ``SECRET_KEY`` is new each time. The callback URL is built from the address of the test client.
    """
    return {
        "TESTING": True,
        "SECRET_KEY": secrets.token_hex(),
        "OPENROUTER_BASE_URL": emulator.url,
        "OPENROUTER_EMULATOR": True,
        # The emulator sends visitors to loopback addresses only.
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
    """Connect this client through the app's real routes, and return the response of the callback.

    ``next_url``: the path to which the login shall redirect. ``base_url``: the address of the app
    for the client, such as ``https://localhost``; the default is that of Flask's test client.
    ``check``: whether a failed callback raises; with False its response is returned.

    Raises AssertionError with the failed step and a remedy if the client is not connected, and
    ValueError if the emulator refuses the request of the app.
    """
    app = client.application
    login = client.get(_path(app, "openrouter.login", next=next_url), base_url=base_url)
    if login.status_code != 303:
        raise AssertionError(f"The login did not begin: {_summary_of(login)}")
    if not login.location.startswith(f"{emulator.url}/auth?"):
        raise AssertionError(_wrong_provider(login.location))
    callback = urlsplit(emulator.approve(login.location))
    # The client adds the script root again.
    root = _script_root(app, base_url)
    response = client.get(
        f"{callback.path.removeprefix(root)}?{callback.query}",
        base_url=f"{callback.scheme}://{callback.netloc}{root}",
    )
    if check and response.status_code != 303:
        raise AssertionError(f"The login failed: {_summary_of(response)}")
    return response


def api_key_of(client: FlaskClient, *, base_url: str | None = None) -> str:
    """Return the key that the app holds for this client, for example to revoke it.

    ``base_url``: the address of the app for the client, as for :func:`log_in`.

    Raises :class:`~flask_openrouter.errors.NotConnectedError` if the app holds no key.
    """
    with ExitStack() as stack:
        # In a "with client:" block the context of the last request already exists.
        if not client.preserve_context:
            stack.enter_context(client)
        client.get(_path(client.application, "openrouter.status"), base_url=base_url)
        return current_openrouter.api_key


def _path(app: Flask, endpoint: str, **values: str | None) -> str:
    if endpoint not in app.view_functions:
        raise AssertionError(
            "This app has no OpenRouter extension: call OpenRouterAuth(app) or init_app(app)."
        )
    # Without the script root: the test client adds it.
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


def _summary_of(response: TestResponse) -> str:
    shown = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", response.text)).split())
    place = f" (to {response.location})" if response.location else ""
    return f"{response.request.path} answered {response.status}{place}: {shown[:500]}"
