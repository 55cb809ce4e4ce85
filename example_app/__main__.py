"""How to run an app with the emulator: ``make demo``, with ``PORT``, ``LIVE=1`` and ``APP``."""

import os
import secrets
import signal
import sys
import tempfile
from contextlib import ExitStack

from werkzeug.serving import WSGIRequestHandler, make_server

from flask_openrouter.emulator import EmulatorConfig, run_in_thread
from flask_openrouter.errors import ConfigurationError

from . import create_app, minimal


class Handler(WSGIRequestHandler):
    """Logs addresses without their query, because the callback's contains a code."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        self.log("info", '"%s %s" %s', self.command, self.path.partition("?")[0], code)


def main() -> None:
    """Obey the environment."""
    env = os.environ.get
    port, name = env("PORT") or "3000", env("APP") or "chat"
    is_live = env("LIVE", "") not in ("", "0")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        sys.exit("PORT is the port, between 1 and 65535.")
    if name not in ("chat", "minimal"):
        sys.exit("APP is chat or minimal.")
    # Turned into an exception, so that the block below is left and cleans up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with ExitStack() as stack:
        # Against DNS rebinding: a foreign site may point its own name at 127.0.0.1.
        config: dict[str, object] = {"TRUSTED_HOSTS": ["localhost", "127.0.0.1"]}
        if not is_live:
            emulator = stack.enter_context(run_in_thread(EmulatorConfig(word_delay=0.02)))
            config |= {"OPENROUTER_BASE_URL": emulator.url, "OPENROUTER_EMULATOR": True}
            print(f"OpenRouter: emulated at {emulator.url}. No account, no network, no money.")
        if not env("FLASK_SECRET_KEY"):
            config["SECRET_KEY"] = secrets.token_hex()
            # The next run has another key, which makes these conversations unreachable.
            folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            config["CHAT_DATABASE"] = os.path.join(folder, "chat.db")
            print("SECRET_KEY: a random one for this run, which forgets everything at its end.")
        try:
            app = (minimal.create_app if name == "minimal" else create_app)(config)
        except ConfigurationError as error:
            sys.exit(f"The example app cannot start: {error}")
        url = app.extensions["openrouter"].settings.base_url
        if is_live and url == "https://openrouter.ai":
            print(f"OpenRouter: the real one, {url}. Answers cost money.")
        elif is_live:
            why = "because FLASK_OPENROUTER_BASE_URL is set"
            print(f"OpenRouter: not the real one, but {url}, {why}.")
        server = make_server("127.0.0.1", int(port), app, threaded=True, request_handler=Handler)
        print(f"\nOpen http://localhost:{port} (Ctrl+C stops it)\n", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
