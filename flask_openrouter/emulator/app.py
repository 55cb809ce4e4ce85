"""The emulator as a Flask app, with the hooks for every request and every response."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Final

from flask import Flask, Response, abort, g, jsonify, request, send_file
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from . import (
    billing,
    chat,
    completions,
    consent,
    control,
    embeddings,
    listings,
    oauth,
    openapi,
    responses,
)
from .config import EmulatorConfig
from .cors import allow_any_origin, answer_preflight
from .emulator import CONTROL_PREFIX, EXTENSION_KEY, Emulator, get_emulator
from .errors import MAX_BODY_LENGTH, APIError, MalformedJSON
from .loopback import is_loopback_host_header
from .misbehaviour import misbehave, misbehave_afterwards

_STATIC_FILES: Final = {
    **{path.name: path for path in (Path(__file__).parent / "static").iterdir()},
    # One look from the app's login over the consent page to its error pages.
    "openrouter.css": Path(__file__).parents[1] / "static" / "openrouter" / "openrouter.css",
}


def create_emulator_app(config: EmulatorConfig | None = None) -> Flask:
    """Return a WSGI app that behaves as OpenRouter does, for development and tests.

    Its handle is ``app.extensions["openrouter_emulator"]``. Serve it on loopback only, as
    :func:`~flask_openrouter.emulator.run_in_thread` does.
    """
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_LENGTH
    app.json.sort_keys = False  # type: ignore[attr-defined]
    emulator = app.extensions[EXTENSION_KEY] = Emulator(config)
    emulator.wsgi_app = app.wsgi_app
    for module in (consent, oauth, billing, listings, openapi, control):
        app.register_blueprint(module.bp)
    for module in (chat, completions, responses, embeddings):
        app.register_blueprint(module.bp)
    app.add_url_rule(f"{CONTROL_PREFIX}static/<name>", "static", _static_file)
    app.before_request(_refuse_foreign_host)
    app.before_request(_record)
    app.before_request(answer_preflight)
    app.before_request(misbehave)
    # Flask runs the last one registered first.
    app.after_request(_finish)
    app.after_request(misbehave_afterwards)
    app.register_error_handler(APIError, _api_error_response)
    app.register_error_handler(HTTPException, _http_error_response)
    return app


def _static_file(name: str) -> Response:
    if name not in _STATIC_FILES:
        abort(404)
    # From memory: Werkzeug's server leaves a file open when the browser goes away.
    content = BytesIO(_STATIC_FILES[name].read_bytes())
    return send_file(content, download_name=name)


def _refuse_foreign_host() -> ResponseReturnValue | None:
    """Refuse other host names, which would point here by DNS rebinding."""
    if is_loopback_host_header(request.environ.get("HTTP_HOST", "")):
        return None
    return _api_error_response(APIError(400, "The emulator answers to loopback host names only"))


def _record() -> None:
    if request.path.startswith(CONTROL_PREFIX):
        return
    emulator = get_emulator()
    too_large = None
    try:
        request.get_data()
        # A body without a length is cut off at the limit. Only reading on raises the error.
        request.stream.read(1)
    except RequestEntityTooLarge as error:
        too_large = error
    g.record = emulator.journal.record(
        request,
        api_key=oauth.bearer_key(),
        now=emulator.now(),
        with_body=too_large is None,
    )
    if too_large is not None:
        raise too_large


def _finish(response: Response) -> Response:
    if "record" in g:
        get_emulator().journal.finish(g.record, response.status_code)
    response.headers["X-OpenRouter-Emulator"] = "1"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("Content-Security-Policy", consent.content_security_policy())
    response.headers["X-Frame-Options"] = "DENY"
    # "no-referrer" would turn the Origin of the consent form into "null".
    response.headers["Referrer-Policy"] = "same-origin"
    allow_any_origin(response)
    return response


def _api_error_response(error: APIError) -> ResponseReturnValue:
    if isinstance(error, MalformedJSON):
        return Response(error.message, error.status, mimetype="text/plain")
    return jsonify(error.as_json()), error.status


def _http_error_response(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if status == 405 and (request.method, request.path) == ("GET", oauth.EXCHANGE_PATH):
        status = get_emulator().config.exchange_get_status
    is_page = not request.path.startswith(("/api/", CONTROL_PREFIX))
    if is_page:
        response = consent.message_page(status, error.name, error.description or "")
    else:
        response = jsonify(APIError(status).as_json())
        response.status_code = status
    if status == 405:
        response.headers["Allow"] = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
    return response
