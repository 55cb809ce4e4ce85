"""Misbehaviour: the hooks that apply the queued faults to requests and responses."""

from __future__ import annotations

import socket
import struct
from typing import Any, NoReturn

from flask import Response, g, jsonify, request

from .chunks import to_json
from .emulator import CONTROL_PREFIX, get_emulator
from .errors import APIError, parse_json
from .faults import Fault
from .rewrites import REWRITES, Rewrite, rewritten_stream


def misbehave() -> Response | None:
    """Return the faulty response to the current request, or ``None`` to serve it."""
    if request.path.startswith(CONTROL_PREFIX):
        return None
    emulator = get_emulator()
    fault = emulator.fault_queue.take(request.method, request.path, emulator.now())
    if fault is None:
        return None
    if fault.processed or fault.mid_stream or fault.rewrite is not None:
        g.fault = fault
        return None
    emulator.pause(fault.delay)
    return _faulty_response(fault)


def misbehave_afterwards(response: Response) -> Response:
    """Replace or rewrite the response to a request whose fault lets it take effect first."""
    fault: Fault | None = g.get("fault")
    if fault is None or fault.mid_stream:
        return response
    get_emulator().pause(fault.delay)
    if fault.rewrite is not None:
        return _rewritten(response, REWRITES[fault.rewrite])
    faulty = _faulty_response(fault)
    if faulty is None:
        return response
    response.close()
    return faulty


def mid_stream_fault() -> Fault | None:
    """Return the fault that breaks the current request's stream, if any."""
    fault: Fault | None = g.get("fault")
    return fault if fault is not None and fault.mid_stream else None


def break_off(environ: dict[str, Any]) -> NoReturn:
    """Drop the connection in the middle of the body.

    :raises ConnectionResetError: always; the server handles it as a client that disconnected.
    """
    connection: socket.socket | None = environ.get("werkzeug.socket")
    if connection is not None:
        # Lingering for zero seconds turns the close into a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionResetError("a fault asked for it")


def _faulty_response(fault: Fault) -> Response | None:
    if fault.reset:
        g.pop("record", None)  # A response that is never sent has no status.
        environ = request.environ
        # The server reads the first piece outside of Flask, and there the connection breaks.
        return Response(iter(lambda: break_off(environ), b""))
    if fault.status is None:
        return None
    if fault.stream_body is not None and _wants_stream():
        response = Response(fault.stream_body, mimetype="text/event-stream")
    elif fault.body is None:
        response = jsonify(APIError(fault.status).as_json())
    elif isinstance(fault.body, (str, bytes)):
        response = Response(fault.body, mimetype="text/plain")
    else:
        response = jsonify(fault.body)
    response.status_code = fault.status
    for name, value in fault.headers.items():
        response.headers[name] = value
    return response


def _wants_stream() -> bool:
    body = parse_json(request.get_data())
    return isinstance(body, dict) and body.get("stream") is True


def _rewritten(response: Response, rewrite: Rewrite) -> Response:
    """Return the response as the rewrite changes it. An error stays as it is."""
    if response.status_code >= 400:
        return response
    if rewrite.location is not None and "Location" in response.headers:
        response.headers["Location"] = rewrite.location(response.headers["Location"])
    elif rewrite.stream is not None and response.mimetype == "text/event-stream":
        response.response = rewritten_stream(response.response, rewrite.stream)  # type: ignore[arg-type]
    elif rewrite.body is not None and response.mimetype == "application/json":
        response.set_data(to_json(rewrite.body(response.get_json())))
    return response
