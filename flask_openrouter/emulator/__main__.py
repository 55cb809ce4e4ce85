"""``python -m flask_openrouter.emulator``: serve an emulator from the command line."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from functools import partial
from typing import Any

import click

from .config import DEFAULT_USER_ID, EmulatorConfig
from .emulator import Emulator
from .named_faults import NAMED_FAULTS
from .server import run_in_thread

DEFAULT_PORT = 18080


# No option takes its value from the environment: many platforms set HOST and PORT.
_option = partial(click.option, show_default=True, allow_from_autoenv=False)
_STYLES = click.Choice(["live", "documented"])


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
    type=_STYLES,
    default="live",
    help="Unknown codes: 400 as seen live, or 403 as documented.",
)
@_option(
    "--bad-body-style",
    type=_STYLES,
    default="live",
    help="Invalid bodies of the exchange: a ZodError as seen live, or the documented error.",
)
@_option(
    "--credits-style",
    type=_STYLES,
    default="live",
    help="/credits for ordinary keys: 200 as seen live, or 403 as documented.",
)
@_option(
    "--exchange-get-status",
    type=click.Choice(["405", "404"]),
    default="405",
    help="GET /api/v1/auth/keys: 405 as in the guide, or 404 as seen live.",
)
@_option(
    "--spent-limit-status",
    type=click.Choice(["403", "402"]),
    default="403",
    help="Keys with a spent limit: 403 as seen live, or 402 as documented.",
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
@_option("--echo-state/--no-echo-state", default=True, help="Return a top-level state on approval.")
@_option("--echo-state-on-denial", is_flag=True, help="Return a top-level state on denial, too.")
@_option(
    "--workspace-id",
    "workspace_ids",
    multiple=True,
    help="A workspace of the account, a UUID. By default it has every one that an app asks for.",
)
@_option(
    "--resolve-hosts",
    is_flag=True,
    help="Send visitors back to hosts that resolve to this machine, such as by /etc/hosts.",
)
@_option(
    "--lenient-pkce",
    is_flag=True,
    help="Accept any code_verifier for a code without code_challenge.",
)
@_option(
    "--bind",
    help="Listen on this address instead, such as 0.0.0.0 in a container. Every machine that "
    "reaches it can use the emulator; the Host header of requests must stay loopback.",
)
@_option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[:TIMES]",
    help="Start with a named fault. TIMES is a number or 'all'.",
)
@click.option("--list-faults", is_flag=True, help="List the named faults and stop.")
def emulator_command(
    host: str,
    port: int,
    bind: str | None,
    faults: tuple[str, ...],
    list_faults: bool,
    **settings: Any,
) -> None:
    """Run a local OpenRouter for development: fake keys, made-up answers, loopback only."""
    if list_faults:
        click.echo("\n".join(f"{name}: {text}" for name, text in NAMED_FAULTS.items()))
        return
    try:
        config = EmulatorConfig(**_parsed(settings))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        with ExitStack() as stack:
            emulator = stack.enter_context(run_in_thread(config, host=host, port=port, bind=bind))
            for fault in faults:
                _add_fault(emulator, fault)
            click.echo("OpenRouter emulator, for development and tests. Its keys are fake, and")
            click.echo("nothing leaves this machine. Point an app at it with this setting:")
            click.echo(f'\n    app.config["OPENROUTER_BASE_URL"] = "{emulator.url}"\n')
            click.echo(
                "or, where the app calls app.config.from_prefixed_env(), in the environment:"
            )
            click.echo(f"\n    FLASK_OPENROUTER_BASE_URL={emulator.url}\n")
            if bind is not None:
                click.echo(f"It listens on {bind}: every machine that reaches this address can use")
                click.echo("it and its control API. Requests must name a loopback host.\n")
            click.echo("Press Ctrl+C to stop.")
            _wait()
    except ValueError as error:
        raise click.BadParameter(
            str(error), param_hint="--host" if bind is None else "--host / --bind"
        ) from None
    except OSError as error:
        raise click.ClickException(
            f"Cannot listen on port {port}: {error.strerror}. Choose another with --port."
        ) from None


def _parsed(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with the types of :class:`EmulatorConfig`."""
    for name in ("exchange_get_status", "spent_limit_status"):
        settings[name] = int(settings[name])
    return {**settings, "workspace_ids": settings["workspace_ids"] or None}


def _add_fault(emulator: Emulator, text: str) -> None:
    name, separator, times = text.partition(":")
    values: dict[str, Any] = {}
    if separator:
        # 0 is refused like every other text that is no number of requests.
        number = int(times) if times.isascii() and times.isdigit() else 0
        values["times"] = None if times == "all" else number
    try:
        emulator.add_fault(name, **values)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--fault") from None


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
