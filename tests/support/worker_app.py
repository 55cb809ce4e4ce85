"""The app that real web servers run in tests, as each of them wants it.

Its settings come from the environment, each with ``SHARED_`` before it.
"""

from __future__ import annotations

import base64
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

from flask import Flask, Response
from visitor import fingerprint
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Request
from werkzeug.wrappers import Response as WSGIResponse

from flask_openrouter import OpenRouterAuth, current_openrouter, requires_openrouter_key

# The asynchronous half of redis-py imports it before Python 3.11.3. uWSGI is Debian's, with 3.11.2,
# and the tests' own Python may be newer, so that it is not installed.
if sys.version_info < (3, 11, 3):
    sys.modules.setdefault("async_timeout", ModuleType("async_timeout")).timeout = None  # type: ignore[attr-defined]


def create_app() -> Flask:
    """Return the app. It has used its storage, so a worker that is forked now inherits sockets."""
    logging.basicConfig(level=logging.INFO)
    app = Flask("shared")
    app.config.from_prefixed_env("SHARED")
    auth = OpenRouterAuth(app)
    if app.config.get("PROXIES"):
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
    if "OPENROUTER_STORAGE_URI" in app.config:
        with app.app_context():
            bool(auth.for_owner("nobody"))

    @app.get("/guarded")
    @requires_openrouter_key
    def guarded() -> str:
        return fingerprint(current_openrouter.api_key)

    @app.get("/hold")
    def hold() -> Response:
        def breathe() -> Iterator[str]:
            while True:
                yield "."
                time.sleep(0.02)  # time: holds the worker, and notices when the visitor leaves

        return Response(breathe())

    @app.after_request
    def sign(response: Response) -> Response:
        response.headers["X-Worker"] = str(os.getpid())
        return response

    return app


def create_asgi_app() -> Any:
    """Return the app for ASGI servers."""
    from a2wsgi import WSGIMiddleware

    return WSGIMiddleware(create_app())


def create_gateway() -> Callable[..., Iterable[bytes]]:
    """Return a WSGI app that is AWS's API Gateway before a Lambda function with the app.

    ``GATEWAY_FORMAT``: the version of the events, ``1.0`` or ``2.0``.
    """
    from apig_wsgi import make_lambda_handler

    handler = make_lambda_handler(create_app())
    version = os.environ["GATEWAY_FORMAT"]

    @Request.application
    def gateway(request: Request) -> WSGIResponse:
        event = (_event_1 if version == "1.0" else _event_2)(request)
        answer = handler(event, None)
        body = answer["body"]
        if answer["isBase64Encoded"]:
            body = base64.b64decode(body)
        response = WSGIResponse(body, answer["statusCode"])
        for name, values in answer.get("multiValueHeaders", {}).items():
            response.headers.setlist(name, values)
        for name, value in answer.get("headers", {}).items():
            response.headers[name] = value
        for line in answer.get("cookies", []):
            response.headers.add("Set-Cookie", line)
        return response

    return gateway  # type: ignore[no-any-return]


def _event_1(request: Request) -> dict[str, Any]:
    return {
        "version": "1.0",
        "httpMethod": request.method,
        "path": request.path,
        "headers": dict(request.headers),
        "multiValueHeaders": {name: [value] for name, value in request.headers},
        "queryStringParameters": request.args.to_dict(),
        "multiValueQueryStringParameters": request.args.to_dict(flat=False),
        "requestContext": {"identity": {"sourceIp": "127.0.0.1"}},
        "body": base64.b64encode(request.get_data()).decode(),
        "isBase64Encoded": True,
    }


def _event_2(request: Request) -> dict[str, Any]:
    cookies = request.headers.get("Cookie", "")
    return {
        "version": "2.0",
        "rawPath": request.path,
        "rawQueryString": request.query_string.decode(),
        "cookies": cookies.split("; ") if cookies else [],
        "headers": {n.lower(): value for n, value in request.headers if n != "Cookie"},
        "requestContext": {
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
            }
        },
        "body": base64.b64encode(request.get_data()).decode(),
        "isBase64Encoded": True,
    }
