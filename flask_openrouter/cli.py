"""``flask openrouter …``: the commands. No command prints a visitor's key."""

from __future__ import annotations

import base64
import secrets
import shlex
import sys
from typing import Any, Final

import click
from flask import current_app
from flask.cli import AppGroup, ScriptInfo, with_appcontext

from .client.pkce import create_code_challenge, create_code_verifier
from .errors import ConfigurationError, KeyStorageError
from .storage.cookie import CookieStorage
from .storage.rotation import Rotation
from .storage.vault import Outcome
from .web import get_services

#: Records between two updates of the progress bar.
_PROGRESS_STEPS: Final = 100


class _Commands(AppGroup):
    """The command group. It imports the emulator for the emulator's command only."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ConfigurationError, KeyStorageError) as error:
            # Also raised while the app is created. The message explains itself without a traceback.
            failure = click.ClickException(str(error))
        raise failure

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "emulator"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name != "emulator":
            return super().get_command(ctx, cmd_name)
        from .emulator.__main__ import emulator_command

        def run(**options: Any) -> None:
            _require_development()
            click.get_current_context().invoke(emulator_command, **options)

        return click.Command(
            cmd_name,
            callback=with_appcontext(run),
            params=emulator_command.params,
            help=emulator_command.help,
        )


def _require_development() -> None:
    settings = get_services().settings
    if not (current_app.debug or current_app.testing or settings.emulator):
        raise click.ClickException(
            "This app runs in production mode, and the emulator is for development. Start it with"
            " flask --debug, set OPENROUTER_EMULATOR = True, or run it without an app:"
            " python -m flask_openrouter.emulator"
        )


def create_commands() -> AppGroup:
    """Return a new ``openrouter`` command group for an app."""
    group = _Commands("openrouter", help="Connect visitors' OpenRouter accounts.")
    group.command("generate-key", with_appcontext=False)(generate_key)
    group.command("pkce", with_appcontext=False)(pkce)
    # Not as decorators: each call would add the parameters to these functions again.
    group.command("forget", params=[click.Argument(["owner_id"])])(forget)
    after = click.Option(["--after"], metavar="OWNER", help="Continue after this owner.")
    group.command("rotate", params=[after])(rotate)
    live = click.Option(["--live"], is_flag=True, help="Also send requests to OpenRouter.")
    as_json = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON for programs.")
    # The doctor loads the app itself, because loading may fail.
    group.command("doctor", params=[live, as_json], with_appcontext=False)(doctor)
    return group


def generate_key() -> None:
    """Print a new value for OPENROUTER_ENCRYPTION_KEY."""
    click.echo(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())


def pkce() -> None:
    """Print a new code_verifier and its S256 code_challenge, for testing the API by hand."""
    code_verifier = create_code_verifier()
    click.echo(f"code_verifier   {code_verifier}")
    click.echo(f"code_challenge  {create_code_challenge(code_verifier)}")


def forget(owner_id: str) -> None:
    """Delete what is stored for OWNER_ID. The key lives on at OpenRouter."""
    vault = get_services().vault
    if isinstance(vault.storage, CookieStorage):
        raise click.ClickException(
            "Keys live in the visitors' browsers. Only a visitor's own browser can forget its key."
        )
    is_stored = vault.probe(owner_id)
    vault.forget(owner_id)
    if is_stored:
        click.echo("Forgotten. The key itself can only be deleted by its owner, at OpenRouter.")
    else:
        click.echo("Nothing is stored for this owner.")


def rotate(after: str | None) -> None:
    """Encrypt every stored key with the newest encryption key.

    Run it once after you have replaced OPENROUTER_ENCRYPTION_KEY or SECRET_KEY and added the older
    one to the fallbacks. You can interrupt and repeat it. Visitors notice nothing.
    """
    rotation = Rotation(get_services().vault)
    last = after
    try:
        with click.progressbar(
            rotation.run(after),
            length=rotation.count_owners(),
            label="Re-encrypting",
            file=sys.stderr,
            update_min_steps=_PROGRESS_STEPS,
        ) as owner_ids:
            for owner_id in owner_ids:
                # Only a printable id is suggested. Resuming a little earlier is harmless.
                last = owner_id if owner_id.isprintable() else last
    except (KeyStorageError, KeyboardInterrupt) as error:
        resume = "" if last is None else f" --after {shlex.quote(last)}"
        raise click.ClickException(
            f"{str(error) or 'Interrupted.'} Continue with: flask openrouter rotate{resume}"
        ) from error
    finally:
        counts = (f"{count} {outcome.value}" for outcome, count in rotation.counts.items())
        click.echo(f"{', '.join(counts)}.")
    if rotation.counts[Outcome.UNREADABLE]:
        click.echo(
            "Unreadable records were left unchanged. They were encrypted with a key that is not"
            " configured here or for another base URL, or were altered. Their owners are asked to"
            " connect again."
        )


def doctor(live: bool, as_json: bool) -> None:
    """Find what breaks or endangers logins, and name the remedy.

    Exit status: 0 if there is no problem, 1 if there is one. Warnings do not count.
    """
    from .doctor import Doctor
    from .doctor.report import print_report
    from .doctor.workers import Workers

    context = click.get_current_context()
    info = context.ensure_object(ScriptInfo)
    workers = Workers(info.app_import_path, can_repeat=info.create_app is None)
    context.exit(print_report(Doctor(info.load_app, workers, live=live).run(), as_json=as_json))


#: The entry point for the ``flask`` program, which works even when the app cannot be created.
commands: Final = create_commands()
