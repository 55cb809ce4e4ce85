"""An app that shows every button and the usage, under the strictest Content-Security-Policy."""

from __future__ import annotations

import secrets
from typing import Any

from flask import Flask, Response, render_template_string

from flask_openrouter import OpenRouterAuth

PAGE = """<!doctype html>
<html lang="en"{% if theme %} data-openrouter-theme="{{ theme }}"{% endif %}>
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  {% if not theme %}<meta name="color-scheme" content="light dark">{% endif %}
  <title>Gallery</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="/gallery.css">
  {{ openrouter_styles() }}
</head>
<body>
<main>
  <h1>Gallery</h1>
{% block pieces %}{% endblock %}
</main>
</body>
</html>
"""
BUTTONS = """{% extends page %}{% block pieces %}
{% for size in ("sm", "md", "lg", "xl") %}
<p id="{{ size }}">
{% for variant in ("default", "minimal", "branded", "icon", "cta") %}
{{ openrouter_button(variant, size) }}
{% endfor %}
</p>
{% endfor %}
{{ openrouter_disconnect_button() }}
{% endblock %}"""
USAGE = """{% extends page %}{% block pieces %}
<p id="usage">{{ openrouter_usage() }}</p>
{{ openrouter_button() if not current_openrouter }}
{{ openrouter_disconnect_button(next="/usage") if current_openrouter }}
{% endblock %}"""
STYLE = """
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; }
main { padding: 1rem; }
p { display: flex; align-items: center; gap: 1rem; margin: 0; padding: 1rem; width: max-content; }
a { color: #c00; }
a:hover { color: #c00; text-decoration: underline; }
"""


def create_gallery(emulator_url: str, **extension: Any) -> Flask:
    """Build the app: ``/``, ``/theme/<theme>``, ``/usage``. ``extension`` is for OpenRouterAuth."""
    app = Flask("gallery")
    app.config.update(
        SECRET_KEY=secrets.token_hex(),
        OPENROUTER_BASE_URL=emulator_url,
        OPENROUTER_EMULATOR=True,
        OPENROUTER_KEY_LIMIT=20,
    )
    OpenRouterAuth(app, **extension)
    page = app.jinja_env.from_string(PAGE)

    @app.get("/")
    @app.get("/theme/<theme>")
    def buttons(theme: str = "") -> str:
        return render_template_string(BUTTONS, page=page, theme=theme)

    @app.get("/usage")
    def usage() -> str:
        return render_template_string(USAGE, page=page)

    @app.get("/gallery.css")
    def style() -> Response:
        return Response(STYLE, mimetype="text/css")

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers.setdefault(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'",
        )
        return response

    return app
