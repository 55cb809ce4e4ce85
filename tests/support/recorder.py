"""An emulator that keeps every request and answer byte for byte, secrets and all."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from werkzeug.serving import WSGIRequestHandler, make_server

from flask_openrouter.emulator import Emulator, create_emulator_app


@dataclass(frozen=True)
class Exchange:
    """One request and its answer. Header names are lower-case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    status: int
    answer_headers: Mapping[str, str]
    answer: bytes

    @property
    def media_type(self) -> str:
        """The content type of the answer, without parameters."""
        return self.answer_headers.get("content-type", "").partition(";")[0]

    def answers(self) -> list[Any]:
        """Return the JSON values of the answer: one, or one for each event of a stream."""
        if self.media_type != "text/event-stream":
            return [json.loads(self.answer)]
        lines = self.answer.decode().splitlines()
        data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        return [json.loads(item) for item in data if item != "[DONE]"]


class Recorder:
    """WSGI middleware that writes down what passes."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.exchanges: list[Exchange] = []
        self._app = app

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        request = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(request)
        started: list[Any] = []
        parts = self._app(environ, lambda *arguments: started.extend(arguments))
        answer = b"".join(parts)
        getattr(parts, "close", lambda: None)()
        start_response(*started)
        self.exchanges.append(
            Exchange(
                method=environ["REQUEST_METHOD"],
                path=environ["PATH_INFO"],
                query=dict(parse_qsl(environ["QUERY_STRING"])),
                headers={
                    name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
                    for name, value in environ.items()
                    if name.startswith("HTTP_")
                },
                body=request,
                status=int(started[0].split()[0]),
                answer_headers={name.lower(): value for name, value in started[1]},
                answer=answer,
            )
        )
        return [answer]


class _QuietHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def recorded_emulator() -> Iterator[tuple[Emulator, list[Exchange]]]:
    """Serve an emulator on a free port; yield its handle and the list of what passed."""
    app = create_emulator_app()
    emulator: Emulator = app.extensions["openrouter_emulator"]
    recorder = Recorder(app.wsgi_app)
    app.wsgi_app = recorder  # type: ignore[method-assign]
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_QuietHandler)
    emulator.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield emulator, recorder.exchanges
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
