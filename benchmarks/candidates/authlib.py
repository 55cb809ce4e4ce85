"""Authlib's Flask client, as its documentation describes it, with ``code_challenge_method`` S256.

It leaves the token to the app, which stores it in Flask's session, signed but not encrypted. It
has no guard. A compliance fix renames the response's ``key``, as for Slack in its documentation.
"""

from __future__ import annotations

import json
from typing import Any

from authlib.integrations.flask_client import OAuth  # type: ignore[import-untyped]
from flask import Flask, redirect, session, url_for
from werkzeug.wrappers import Response

from . import new_app

IMPORTS = "from authlib.integrations.flask_client import OAuth"
LOGIN = "/login"


def _fix(client: Any) -> None:
    def rename_key(response: Any) -> Any:
        response.raise_for_status()
        values = response.json()
        values["access_token"] = values.pop("key")
        values["token_type"] = "Bearer"
        response._content = json.dumps(values).encode()
        return response

    client.register_compliance_hook("access_token_response", rename_key)


def create_app(provider_url: str) -> Flask:
    """Return an app with a login route, a callback, and a view that looks into the session."""
    app = new_app("authlib_app")
    oauth = OAuth(app)
    openrouter = oauth.register(
        "openrouter",
        client_id="app",
        authorize_url=f"{provider_url}/auth",
        access_token_url=f"{provider_url}/api/v1/auth/keys",
        client_kwargs={"code_challenge_method": "S256", "token_endpoint_auth_method": "none"},
        compliance_fix=_fix,
    )

    @app.get("/login")
    def login() -> Response:
        response: Response = openrouter.authorize_redirect(url_for("callback", _external=True))
        return response

    @app.get("/callback")
    def callback() -> Response:
        session["token"] = openrouter.authorize_access_token()
        return redirect("/guarded")

    @app.get("/guarded")
    def guarded() -> str | Response:
        if "token" not in session:
            return redirect(url_for("login"))
        key: str = session["token"]["access_token"]
        return key

    return app
