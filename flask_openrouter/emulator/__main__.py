"""``python -m flask_openrouter.emulator``: serve an emulator from the command line."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import click

from .config import DEFAULT_USER_ID, EmulatorConfig
from .server import run_in_thread

DEFAULT_PORT = 18080


# No option takes its value from the environment: many platforms set HOST and PORT.
_option = partial(click.option, show_default=True, allow_from_autoenv=False)


@click.command("emulator")
@_option("--host", default="127.0.0.1", help="Loopback address to listen on.")
@_option("--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, help="0 takes a free one.")
@_option(
    "--user-id", "openrouter_user_id", default=DEFAULT_USER_ID, help="The account that approves."
)
@_option(
    "--deny-style",
    type=click.Choice(["bare", "error"]),
    default="bare",
    help="What a denial adds to the callback.",
)
@_option(
    "--bad-code-style",
    type=click.Choice(["live", "documented"]),
    default="live",
    help="Unknown codes: 400 as seen live, or 403 as documented.",
)
@_option(
    "--code-max-age",
    type=click.FloatRange(0),
    default=600.0,
    help="Lifetime of a code in seconds.",
)
@_option(
    "--word-delay",
    type=click.FloatRange(0),
    default=0.02,
    help="Seconds between the words of a streamed answer.",
)
@_option(
    "--model",
    "models",
    multiple=True,
    metavar="ID",
    help="One more model, such as acme/large. Several are possible.",
)
@_option("--any-model", is_flag=True, help="Serve every model id of the form author/name.")
@_option("--echo-state", is_flag=True, help="Return a top-level state on approval.")
@_option(
    "--lenient-pkce",
    is_flag=True,
    help="Accept any code_verifier for a code without code_challenge.",
)
def emulator_command(host: str, port: int, **settings: Any) -> None:
    """Run a local OpenRouter for development: fake keys, made-up answers, loopback only."""
    try:
        with run_in_thread(EmulatorConfig(**settings), host=host, port=port) as emulator:
            click.echo("OpenRouter emulator, for development and tests. Its keys are fake, and")
            click.echo("nothing leaves this machine. Point an app at it with this setting:")
            click.echo(f'\n    app.config["OPENROUTER_BASE_URL"] = "{emulator.url}"\n')
            click.echo(
                "or, where the app calls app.config.from_prefixed_env(), in the environment:"
            )
            click.echo(f"\n    FLASK_OPENROUTER_BASE_URL={emulator.url}\n")
            click.echo("Press Ctrl+C to stop.")
            _wait()
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--host") from None
    except OSError as error:
        raise click.ClickException(
            f"Cannot listen on port {port}: {error.strerror}. Choose another with --port."
        ) from None


def _wait() -> None:
    """Wait for Ctrl+C."""
    never = threading.Event()
    try:
        while True:
            never.wait(1)
    except KeyboardInterrupt:
        click.echo("Stopped.")


def main() -> None:
    """Run :func:`emulator_command` with the arguments of the process."""
    emulator_command(prog_name="python -m flask_openrouter.emulator")


if __name__ == "__main__":  # pragma: no cover - tests run it in a subprocess
    main()
