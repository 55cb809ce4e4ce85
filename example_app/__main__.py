"""How to run an app with the emulator: ``python -m example_app [--app minimal] [--live]``."""

import argparse
import contextlib
import os
import secrets
import signal
import sys
import tempfile

from werkzeug.serving import WSGIRequestHandler, make_server

from flask_openrouter.emulator import EmulatorConfig, run_in_thread
from flask_openrouter.errors import ConfigurationError

from . import create_app, minimal


def main() -> None:
    """Obey the command line and the environment (``PORT``, ``LIVE=1``, ``APP``)."""
    options = _options()
    # Turned into an exception, so that the block below is left and cleans up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with contextlib.ExitStack() as stack:
        # Against DNS rebinding: a foreign site may point its own name at 127.0.0.1.
        config: dict[str, object] = {"TRUSTED_HOSTS": ["localhost", "127.0.0.1"]}
        if not options.live:
            emulator = stack.enter_context(run_in_thread(EmulatorConfig(word_delay=0.02)))
            config |= {"OPENROUTER_BASE_URL": emulator.url, "OPENROUTER_EMULATOR": True}
            print(f"OpenRouter: emulated at {emulator.url}. No account, no network, no money.")
        if not os.environ.get("FLASK_SECRET_KEY"):
            config["SECRET_KEY"] = secrets.token_hex()
            # The next run has another key, which makes these conversations unreachable.
            folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            config["CHAT_DATABASE"] = os.path.join(folder, "chat.db")
            print("SECRET_KEY: a random one for this run, which forgets everything at its end.")
        try:
            app = (minimal.create_app if options.app == "minimal" else create_app)(config)
        except ConfigurationError as error:
            sys.exit(f"The example app cannot start: {error}")
        if options.live:
            print(_live_provider(app.extensions["openrouter"].settings.base_url))
        server = make_server(
            "127.0.0.1", options.port, app, threaded=True, request_handler=_Handler
        )
        print(f"\nOpen http://localhost:{options.port} (Ctrl+C stops it)\n", flush=True)
        server.serve_forever()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m example_app", description=__doc__)
    add, env = parser.add_argument, os.environ.get
    add("--port", type=int, default=env("PORT") or "3000", help="default: PORT, or 3000")
    add("--live", action="store_true", help="use OpenRouter, not the emulator; also LIVE=1")
    add("--app", default=env("APP") or "chat", help="chat or minimal; default: APP, or chat")
    options = parser.parse_args()
    options.live = options.live or env("LIVE", "") not in ("", "0")
    if options.app not in ("chat", "minimal"):
        parser.error("the app must be chat or minimal")
    if not 0 < options.port < 65536:
        parser.error("the port must be between 1 and 65535")
    return options


def _live_provider(base_url: str) -> str:
    if base_url == "https://openrouter.ai":
        return f"OpenRouter: the real one, {base_url}. Answers cost money."
    return (
        f"OpenRouter: not the real one, but {base_url}, because FLASK_OPENROUTER_BASE_URL is set."
        " Your browser is sent there to connect."
    )


class _Handler(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        # Without the query, because the callback's query contains the authorization code.
        self.log("info", '"%s %s" %s', self.command, self.path.partition("?")[0], code)


if __name__ == "__main__":
    main()
