"""How to run an app with the emulator: ``python -m example_app [--app minimal] [--live]``."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from flask_openrouter.errors import ConfigurationError

from . import create_app, minimal

#: "localhost" can be either of these. A browser may try either first.
LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


def main() -> None:
    """Parse the command line and the environment (``PORT``, ``LIVE=1``, ``APP``), then serve."""
    options = _parse_options()
    # Turned into an exception, so that the block below is left and cleans up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with contextlib.ExitStack() as stack:
        listeners = _listen(options.port)
        for listener in listeners:
            stack.enter_context(listener)
        config: dict[str, object] = {}
        if not options.live:
            url = options.emulator_url or stack.enter_context(_emulator())
            config = {"OPENROUTER_BASE_URL": url, "OPENROUTER_EMULATOR": True}
            print(f"OpenRouter: emulated at {url}. No account, no network, no money.")
        try:
            create = minimal.create_app if options.app == "minimal" else create_app
            app = create({**config, **_demo_settings(stack, options.app)})
        except ConfigurationError as error:
            sys.exit(f"The example app cannot start: {error}")
        if options.live:
            # The environment may name another one.
            print(_live_provider(app.extensions["openrouter"].settings.base_url))
        servers = [
            make_server(
                host, options.port, app, threaded=True, request_handler=_Handler, fd=sock.fileno()
            )
            for sock, (_, host) in zip(listeners, LOOPBACK, strict=False)
        ]
        print(f"\nOpen http://localhost:{options.port} (Ctrl+C stops it)\n", flush=True)
        _serve(servers)


def _live_provider(base_url: str) -> str:
    if base_url == "https://openrouter.ai":
        return f"OpenRouter: the real one, {base_url}. Answers cost money."
    return (
        f"OpenRouter: not the real one, but {base_url}, because FLASK_OPENROUTER_BASE_URL is set."
        " Your browser is sent there to connect."
    )


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m example_app", description=__doc__)
    parser.add_argument(
        "--port",
        type=int,
        default=os.environ.get("PORT") or "3000",
        help="port to serve on, also from the environment as PORT (default: 3000)",
    )
    parser.add_argument(
        "--live",
        action="store_true",
        default=os.environ.get("LIVE", "") not in ("", "0"),
        help="use OpenRouter itself instead of the emulator, also as LIVE=1",
    )
    parser.add_argument(
        "--app",
        choices=("chat", "minimal"),
        default=os.environ.get("APP") or "chat",
        help="the chat, or the one in a single file, also as APP (default: chat)",
    )
    parser.add_argument("--emulator-url", help="use an emulator that is already running")
    options = parser.parse_args()
    if options.app not in ("chat", "minimal"):
        parser.error("APP must be chat or minimal")
    if not 0 < options.port < 65536:
        parser.error("PORT must be between 1 and 65535")
    return options


def _listen(port: int) -> list[socket.socket]:
    """Bind every loopback address before anything else starts. Exit if the port is in use."""
    listeners: list[socket.socket] = []
    for family, host in LOOPBACK:
        try:
            listeners.append(socket.create_server((host, port), family=family))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                message = f"Port {port} is in use. Choose another: make demo PORT={port + 1}"
            elif not listeners:
                message = f"Cannot serve on port {port}: {error.strerror}. Try make demo PORT=4000"
            else:
                continue  # This machine has no IPv6.
            for listener in listeners:
                listener.close()
            sys.exit(message)
    return listeners


@contextlib.contextmanager
def _emulator() -> Iterator[str]:
    from flask_openrouter.emulator import EmulatorConfig, run_in_thread

    with run_in_thread(EmulatorConfig(word_delay=0.02)) as emulator:
        yield emulator.url


def _demo_settings(stack: contextlib.ExitStack, app: str) -> Mapping[str, object]:
    # Against DNS rebinding: a foreign site may point its own name at 127.0.0.1.
    settings: dict[str, object] = {"TRUSTED_HOSTS": ["localhost", "127.0.0.1"]}
    if not os.environ.get("FLASK_SECRET_KEY"):
        settings["SECRET_KEY"] = secrets.token_hex()
        print("SECRET_KEY: a random one for this run. Set FLASK_SECRET_KEY to keep one.")
        if app != "minimal":
            # The next run has another key, which makes these conversations unreachable.
            folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            settings["CHAT_DATABASE"] = os.path.join(folder, "chat.db")
            print("Conversations: kept until the end of this run.")
    return settings


def _serve(servers: list[BaseWSGIServer]) -> None:
    first, *others = servers
    for server in others:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    # On Ctrl+C serve_forever returns and closes its own socket.
    first.serve_forever()
    for server in others:
        server.shutdown()


class _Handler(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        # Without the query, because the callback's query contains the authorization code.
        self.log("info", '"%s %s" %s', self.command, self.path.partition("?")[0], code)


if __name__ == "__main__":
    main()
