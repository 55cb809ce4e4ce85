"""CORS: scripts of any web page may call the API, as measured at OpenRouter on 2026-10-02."""

from __future__ import annotations

from flask import Response, request

API_PREFIX = "/api/v1/"

_METHODS = "GET,OPTIONS,PATCH,DELETE,POST,PUT"
# Neither Retry-After nor X-RateLimit-*: scripts cannot read those.
_EXPOSED = "X-Generation-Id,X-Provider-Name,request-id,cf-ray"
_REQUEST_HEADERS = (
    "Authorization,User-Agent,X-Api-Key,X-CSRF-Token,X-Requested-With,Accept,Accept-Version,"
    "Content-Length,Content-MD5,Content-Type,Date,X-Api-Version,HTTP-Referer,X-Windowai-Title,"
    "X-Openrouter-Title,X-Title,X-Openrouter-Categories,X-Openrouter-App-Visibility,X-Session-Id,"
    "X-Stainless-Lang,X-Stainless-Package-Version,X-Stainless-OS,X-Stainless-Arch,"
    "X-Stainless-Runtime,X-Stainless-Runtime-Version,X-Stainless-Retry-Count,X-Stainless-Timeout,"
    "X-Stainless-Helper-Method,Protection-Key,Idempotency-Key,traceparent,tracestate,b3"
)


def answer_preflight() -> Response | None:
    """Return the response to a preflight request (Fetch standard, section 3.3), or ``None``."""
    if request.method != "OPTIONS" or not request.path.startswith(API_PREFIX):
        return None
    response = Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = _METHODS
    response.headers["Access-Control-Allow-Headers"] = _REQUEST_HEADERS
    response.headers["Vary"] = "Access-Control-Request-Headers"
    return response


def allow_any_origin(response: Response) -> None:
    """Let scripts of any origin read a response of the API."""
    if request.path.startswith(API_PREFIX):
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED
