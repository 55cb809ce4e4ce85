"""``flask openrouter …``: the commands. None of them ever prints a key of a visitor."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext

from .client.pkce import create_code_challenge, create_code_verifier
from .errors import KeyStorageError
from .services import get_services


class _Commands(AppGroup):
    """The group. It imports the emulator only when the emulator is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "emulator"])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name != "emulator":
            return super().get_command(ctx, name)
        from .emulator.__main__ import emulator_command

        return click.Command(
            name,
            callback=with_appcontext(_in_development_only(emulator_command.callback)),
            params=emulator_command.params,
            help=emulator_command.help,
        )


def _in_development_only(command: Callable[..., None] | None) -> Callable[..., None]:
    def run(**options: Any) -> None:
        settings = get_services().settings
        if not (current_app.debug or current_app.testing or settings.emulator):
            raise click.ClickException(
                "This app runs as in production. The emulator is for development: start it with"
                " flask --debug, set OPENROUTER_EMULATOR = True, or run it without an app:"
                " python -m flask_openrouter.emulator"
            )
        if command is not None:
            command(**options)

    return run


def create_commands() -> AppGroup:
    """Return a new ``openrouter`` command group for an app."""
    group = _Commands("openrouter", help="Connect visitors' OpenRouter accounts.")
    group.command("generate-key", with_appcontext=False)(generate_key)
    group.command("pkce", with_appcontext=False)(pkce)
    group.command("forget")(click.argument("owner_id")(forget))
    return group


def generate_key() -> None:
    """Print a new value for OPENROUTER_ENCRYPTION_KEY."""
    click.echo(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())


def pkce() -> None:
    """Print a new code_verifier and its S256 code_challenge, for trying the API by hand."""
    code_verifier = create_code_verifier()
    click.echo(f"code_verifier   {code_verifier}")
    click.echo(f"code_challenge  {create_code_challenge(code_verifier)}")


def forget(owner_id: str) -> None:
    """Delete what is stored for OWNER_ID. The key lives on at OpenRouter."""
    try:
        get_services().vault.forget(owner_id)
    except KeyStorageError as error:
        raise click.ClickException(str(error)) from error
    click.echo("Forgotten. The key itself can only be deleted by its owner, at OpenRouter.")
