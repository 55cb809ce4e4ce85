"""``flask openrouter …``: the commands. No command prints a visitor's key."""

from __future__ import annotations

import base64
import json
import secrets
import shlex
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any, Final, TypeVar

import click
from flask import current_app
from flask.cli import AppGroup, ScriptInfo, with_appcontext

from .client.credentials import create_code_challenge, create_code_verifier
from .errors import ConfigurationError, KeyStorageError
from .misplaced import names_of_misplaced
from .storage.cookie import CookieStorage
from .storage.listing import Listing
from .storage.namespace import NAMESPACE
from .storage.outcomes import Age, Outcome
from .storage.pruning import Pruning
from .storage.rotation import Rotation
from .web import get_services

#: Records between two updates of the progress bar.
_PROGRESS_STEPS: Final = 100
#: Records between two lines about the progress, where no terminal shows a bar.
_PROGRESS_LINE_STEPS: Final = 1000

Item = TypeVar("Item")


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
    dry_run = click.Option(["--dry-run"], is_flag=True, help="Delete nothing.")
    group.command("prune", params=[dry_run])(prune)
    live = click.Option(["--live"], is_flag=True, help="Also send requests to OpenRouter.")
    as_json = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON for programs.")
    group.command("owners", params=[as_json])(owners)
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
    if owner_id.startswith(NAMESPACE):
        raise click.ClickException(
            "This is the name of an entry in a namespace. Name its owner, and set"
            " OPENROUTER_NAMESPACE."
        )
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

    Exit status: 1 if a record does not open or the command was interrupted, else 0.
    """
    rotation = Rotation(get_services().vault)
    last = after
    try:
        with _terminated_like_interrupted():
            walk = rotation.run(after)
            for owner_id in _show_progress(walk, rotation.count_owners(), "Re-encrypting"):
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
    _report_nothing_found(rotation.counts.values(), after)
    if rotation.counts[Outcome.UNREADABLE]:
        click.echo(
            "Unreadable records were left unchanged: they were altered, or encrypted with another"
            " key or for another base URL. Their owners must connect again."
        )
        click.get_current_context().exit(1)


def prune(dry_run: bool) -> None:
    """Delete the stored keys that are past OPENROUTER_KEY_MAX_AGE.

    Such a key counts as deleted already, but its record stays in a database. A record that does not
    open is named and never deleted. Repeat the command whenever you like, such as once a day.
    """
    pruning = Pruning(get_services().vault)
    try:
        with _terminated_like_interrupted():
            walk = pruning.run(dry_run=dry_run)
            for owner_id, age in _show_progress(walk, pruning.count_owners(), "Pruning"):
                if age is Age.UNREADABLE:
                    click.echo(f"unreadable: {_printable(owner_id)}")
    except KeyboardInterrupt as error:
        raise click.ClickException("Interrupted. Run the command again.") from error
    finally:
        texts = {age: age.value for age in Age}
        texts[Age.PAST] = "to be deleted" if dry_run else "deleted"
        counts = (f"{count} {texts[age]}" for age, count in pruning.counts.items())
        click.echo(f"{', '.join(counts)}.")
    _report_nothing_found(pruning.counts.values())
    if dry_run:
        click.echo("Nothing was deleted, because of --dry-run.")


def owners(as_json: bool) -> None:
    """List the owners that have a key, and since when. No key is printed."""
    listing = Listing(get_services().vault)
    listed = listing.connected_owners()
    if as_json:
        entries = [
            {"owner_id": owner.owner_id, "connected_at": owner.connected_at.isoformat()}
            for owner in listed
        ]
        click.echo(json.dumps(entries, indent=2))
    else:
        count = 0
        for owner_id, connected_at in listed:
            click.echo(f"{connected_at:%Y-%m-%dT%H:%M:%SZ}  {_printable(owner_id)}")
            count += 1
        _report_nothing_found([count, len(listing.unreadable)])
    if listing.unreadable:
        click.echo(
            f"Stored keys that do not open: {len(listing.unreadable)}. Add the"
            " OPENROUTER_ENCRYPTION_KEY or SECRET_KEY that encrypted them to the fallbacks, and"
            " check OPENROUTER_BASE_URL. See their owners with: flask openrouter prune --dry-run",
            err=True,
        )


def _printable(owner_id: str) -> str:
    # An id may hold a line end or a control character of the terminal.
    return owner_id if owner_id.isprintable() else ascii(owner_id)


def _report_nothing_found(counts: Iterable[int], after: str | None = None) -> None:
    if not any(counts):
        found = "was found" if after is None else f"follows the owner {_printable(after)}"
        storage = get_services().vault.storage
        location = getattr(storage, "location", type(storage).__name__)
        click.echo(f"No key {found}. Looked in {location}.", err=True)


def _show_progress(walk: Iterator[Item], length: int, label: str) -> Iterator[Item]:
    """Yield from a walk over ``length`` records, and show how far it is."""
    if sys.stderr.isatty():
        with click.progressbar(
            walk, length=length, label=label, file=sys.stderr, update_min_steps=_PROGRESS_STEPS
        ) as items:
            yield from items
        return
    for number, item in enumerate(walk, 1):
        yield item
        if number % _PROGRESS_LINE_STEPS == 0:
            click.echo(f"{label}: {number} of about {length}", err=True)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Raise KeyboardInterrupt at SIGTERM, with which containers and systemd end a command."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if current_thread() is not main_thread():
        # Only the main thread receives signals.
        yield
        return
    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


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
    examined = Doctor(info.load_app, workers, live=live, find_misplaced=names_of_misplaced)
    context.exit(print_report(examined.run(), as_json=as_json))


#: The entry point for the ``flask`` program, which works even when the app cannot be created.
commands: Final = create_commands()
