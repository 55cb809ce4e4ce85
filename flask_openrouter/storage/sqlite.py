"""SQLite: where its file is, who may read it, and readers that never wait for a writer."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

_URI: Final = "file:"


def is_memory(url: URL) -> bool:
    """Return whether this URL names an SQLite database in memory."""
    return url.get_backend_name() == "sqlite" and (
        url.database in (None, "", ":memory:", "file::memory:") or url.query.get("mode") == "memory"
    )


def is_file(url: URL) -> bool:
    """Return whether this URL names an SQLite database in a file."""
    return url.get_backend_name() == "sqlite" and not is_memory(url)


def file_of(url: URL) -> Path:
    """Return the file that a URL of an SQLite file names, perhaps as a relative path."""
    return Path((url.database or "").removeprefix(_URI))


def anchored(url: URL, folder: str) -> URL:
    """Return the URL of a file with a relative path made absolute, below the instance folder.

    Otherwise each working directory would have a file of its own, and a command that is run
    elsewhere would find no keys. Raises ConfigurationError when there is a file in the working
    directory and none in the instance folder.
    """
    file, stray = Path(folder, file_of(url)), file_of(url).absolute()
    if stray.is_file() and not file.exists():
        raise ConfigurationError(
            "A relative path of an SQLite file begins in the app's instance folder, where"
            f" {str(file)!r} does not exist. There is {str(stray)!r} in the working directory. Move"
            f" that file, or name it with its full path: sqlite:///{stray}"
        )
    prefix = _URI if (url.database or "").startswith(_URI) else ""
    return url.set(database=f"{prefix}{file}")


def check_folder(url: URL, instance_folder: str | None) -> None:
    """Raise ConfigurationError when the folder of a file with a full path does not exist.

    ``instance_folder``: it may be missing, and is made when it is needed.
    """
    folder = file_of(url).parent
    may_be_missing = instance_folder is not None and folder == Path(instance_folder)
    is_checked = folder.is_absolute() and not (url.database or "").startswith(_URI)
    if is_checked and not may_be_missing and not folder.is_dir():
        raise ConfigurationError(
            f"The folder {str(folder)!r} of the SQLite database does not exist. Create it, or name"
            " another file."
        )


def prepare_file(engine: Engine, instance_folder: str | None) -> None:
    """Let this engine create its file so that only its account can read it."""
    from sqlalchemy import event

    file = file_of(engine.url)
    creates = engine.url.query.get("mode", "rwc") == "rwc"

    def create(*_: Any) -> None:
        # What fails here is reported by SQLite, which tries the same.
        with suppress(OSError):
            if instance_folder is not None and file.parent == Path(instance_folder):
                os.makedirs(instance_folder, mode=0o700, exist_ok=True)
            os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))

    if creates:
        event.listen(engine, "do_connect", create)
    event.listen(engine, "connect", _use_write_ahead_log)


def _use_write_ahead_log(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    from sqlite3 import OperationalError

    # Readers then never wait for a writer, not even for one that holds its lock for long.
    cursor = connection.cursor()
    # Refused while another program writes or does the same. The next connection tries again.
    with suppress(OperationalError):
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.close()
