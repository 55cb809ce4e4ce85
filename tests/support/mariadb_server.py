"""A real MariaDB server on a free loopback port, with an account that is no administrator."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from components import require
from servers import Server, server_folder

#: What an app may do. It is not among them to write to a server that is read-only.
_SET_UP = """
CREATE USER IF NOT EXISTS tester@'127.0.0.1' IDENTIFIED BY 'p@ss:word/%41';
GRANT ALL ON `test%`.* TO tester@'127.0.0.1';
"""


class MariaDBServer(Server):
    """MariaDB, which keeps what it acknowledged when it is killed."""

    # Not more than ASCII: the drivers disagree about the encoding of the rest.
    _encoded_password = "p%40ss%3Aword%2F%2541"

    def __init__(self, folder: Path, program: str, *, account: str | None) -> None:
        super().__init__(folder, account=account)
        self._program = program
        self._databases = 0

    def create_database(self) -> str:
        """Create an empty database and return its SQLAlchemy URL, without a driver."""
        self._databases += 1
        self.execute(f"CREATE DATABASE test{self._databases}")
        address = f"127.0.0.1:{self.port}"
        return f"mysql://tester:{self._encoded_password}@{address}/test{self._databases}"

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement as the administrator, past the code under test; return its rows."""
        import pymysql

        with (
            pymysql.connect(
                host="127.0.0.1", port=self.port, user="root", connect_timeout=5, autocommit=True
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
            return list(cursor.fetchall())

    def initialize(self) -> None:
        """Make the data folder."""
        (self.folder / "set-up.sql").write_text(_SET_UP, encoding="utf-8")
        self.run(
            *("mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data"),
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
            *("--skip-name-resolve", *self._sizes()),
        )

    def command(self) -> list[str]:
        return [
            *(self._program, "--no-defaults", f"--datadir={self.folder}/data"),
            *(f"--port={self.port}", "--bind-address=127.0.0.1", "--skip-name-resolve"),
            *(f"--socket={self.folder}/socket", f"--pid-file={self.folder}/pid"),
            *(f"--init-file={self.folder}/set-up.sql", "--character-set-server=utf8mb4"),
            *self._sizes(),
        ]

    def is_ready(self) -> bool:
        from pymysql import OperationalError

        try:
            return self.execute("SELECT 1") == [(1,)]
        except OperationalError:
            return False

    @staticmethod
    def _sizes() -> list[str]:
        return [
            *("--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M"),
            # Several servers at once would use up what the kernel has of it.
            "--innodb-use-native-aio=0",
        ]


@contextmanager
def running_mariadb() -> Iterator[MariaDBServer]:
    """Start a new MariaDB server and end it afterwards. Skips (in CI: fails) without one."""
    program = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
    if program is None:
        require("mariadb-server", "mariadbd is neither on PATH nor in /usr/sbin")
    if find_spec("pymysql") is None:
        require("PyMySQL", "not installed (pip install --group test)")
    # As root it refuses to run.
    account = None if os.getuid() else "mysql"
    with server_folder(account, in_memory=True) as folder:
        server = MariaDBServer(folder, program, account=account)
        server.initialize()
        try:
            server.start()
            yield server
        finally:
            server.kill()
