"""Doing to requests what the faults say."""

from __future__ import annotations

import socket
import struct
from typing import Any, NoReturn

from flask import Response, g, jsonify, request

from .emulator import CONTROL_PREFIX, get_emulator
from .errors import APIError
from .faults import Fault


def misbehave() -> Response | None:
    """Answer the current request as its fault says, or not at all yet."""
    if request.path.startswith(CONTROL_PREFIX):
        return None
    emulator = get_emulator()
    fault = emulator.fault_queue.take(request.method, request.path)
    if fault is None:
        return None
    if fault.processed or fault.mid_stream:
        g.fault = fault
        return None
    emulator.pause(fault.delay)
    return _answer_of(fault)


def misbehave_afterwards(response: Response) -> Response:
    """Replace the answer to a request that was to take effect first."""
    fault: Fault | None = g.get("fault")
    if fault is None or not fault.processed:
        return response
    get_emulator().pause(fault.delay)
    answer = _answer_of(fault)
    if answer is None:
        return response
    response.close()
    return answer


def mid_stream_fault() -> Fault | None:
    """Return the fault that is to break the current request's stream, if any."""
    fault: Fault | None = g.get("fault")
    return fault if fault is not None and fault.mid_stream else None


def break_off(environ: dict[str, Any]) -> NoReturn:
    """Break the connection off where the body should go on.

    :raises ConnectionResetError: always; the server takes it for the client's leaving.
    """
    connection: socket.socket | None = environ.get("werkzeug.socket")
    if connection is not None:
        # Lingering for zero seconds turns the close into a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionResetError("a fault asked for it")


def _answer_of(fault: Fault) -> Response | None:
    if fault.reset:
        g.pop("record", None)  # An answer that never comes has no status.
        environ = request.environ
        # The break comes when the server asks for the first piece, outside of Flask.
        return Response(iter(lambda: break_off(environ), b""))
    if fault.status is None:
        return None
    if fault.body is None:
        answer = jsonify(APIError(fault.status).as_json())
    elif isinstance(fault.body, (str, bytes)):
        answer = Response(fault.body, mimetype="text/plain")
    else:
        answer = jsonify(fault.body)
    answer.status_code = fault.status
    for name, value in fault.headers.items():
        answer.headers[name] = value
    return answer
