"""Flask-Dance, as its documentation has it for a provider of one's own, with ``use_pkce``.

The token is in Flask's session, signed but not encrypted: its default storage. Its answer's
``key`` is renamed by the hook for such things, as Flask-Dance's own Slack blueprint does.
"""

from __future__ import annotations

import json
import os
from typing import Any

from flask import Flask, redirect, url_for
from flask_dance.consumer import OAuth2ConsumerBlueprint  # type: ignore[import-untyped]
from werkzeug.wrappers import Response

from . import SECRET_KEY

NAME = "Flask-Dance"
IMPORTS = "from flask_dance.consumer import OAuth2ConsumerBlueprint"
LOGIN = "/login/openrouter"


class OpenRouterBlueprint(OAuth2ConsumerBlueprint):  # type: ignore[misc]
    """A consumer whose provider calls the access token ``key``."""

    def session_created(self, session: Any) -> Any:
        """Rename what OpenRouter names otherwise."""
        session.register_compliance_hook("access_token_response", _rename_key)
        return session


def _rename_key(answer: Any) -> Any:
    values = answer.json()
    values["access_token"] = values.pop("key", None)
    answer._content = json.dumps(values).encode()
    return answer


def create_app(provider_url: str) -> Flask:
    """Return an app with Flask-Dance's two routes and a view that asks it for its token."""
    if provider_url.startswith("http:"):
        # Documented: without it, plain http is refused even on this machine.
        os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    app = Flask("flask_dance_app")
    app.config["SECRET_KEY"] = SECRET_KEY
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

    @app.get("/spend")
    def spend() -> str | Response:
        if not openrouter.session.authorized:
            return redirect(url_for("openrouter.login"))
        seen: str = openrouter.session.get("/api/v1/key").json()["key"]
        return seen

    return app
