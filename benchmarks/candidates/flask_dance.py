"""Flask-Dance, as its documentation describes a custom provider, with ``use_pkce``.

The token is in its default storage: Flask's session, signed but not encrypted. A compliance hook
renames the response's ``key``, as in Flask-Dance's own Slack blueprint.
"""

from __future__ import annotations

import json
from typing import Any

from flask import Flask, redirect, url_for
from flask_dance.consumer import OAuth2ConsumerBlueprint  # type: ignore[import-untyped]
from werkzeug.wrappers import Response

from . import new_app

IMPORTS = "from flask_dance.consumer import OAuth2ConsumerBlueprint"
LOGIN = "/login/openrouter"


class OpenRouterBlueprint(OAuth2ConsumerBlueprint):  # type: ignore[misc]
    """A consumer whose provider calls the access token ``key``."""

    def session_created(self, session: Any) -> Any:
        """Install the hook."""
        session.register_compliance_hook("access_token_response", _rename_key)
        return session


def _rename_key(response: Any) -> Any:
    values = response.json()
    values["access_token"] = values.pop("key", None)
    response._content = json.dumps(values).encode()
    return response


def create_app(provider_url: str) -> Flask:
    """Return an app with Flask-Dance's two routes and a view that asks it for its token."""
    app = new_app("flask_dance_app")
    openrouter = OpenRouterBlueprint(
        "openrouter",
        __name__,
        client_id="app",
        base_url=provider_url,
        authorization_url=f"{provider_url}/auth",
        token_url=f"{provider_url}/api/v1/auth/keys",
        redirect_url="/guarded",
        use_pkce=True,
        code_challenge_method="S256",
    )
    app.register_blueprint(openrouter, url_prefix="/login")

    @app.get("/guarded")
    def guarded() -> str | Response:
        if not openrouter.session.authorized:
            return redirect(url_for("openrouter.login"))
        # The key that openrouter.session.get(...) would send.
        key: str = openrouter.session.access_token
        return key

    return app
