"""A PostgreSQL server and a hot standby, which is promoted when the server is killed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from polling import wait_until
from servers import PostgreSQLServer, running_postgresql


class PostgreSQLPair:
    """A primary, and a standby that has every commit before the client learns of it."""

    def __init__(self, primary: PostgreSQLServer, standby: PostgreSQLServer) -> None:
        self.primary = primary
        self.standby = standby
        self._databases = 0
        self._follow()

    @property
    def processes(self) -> list[PostgreSQLServer]:
        """All servers."""
        return [self.primary, self.standby]

    def create_database(self) -> str:
        """Create an empty database; return a URL that names both servers and wants a primary."""
        self._databases += 1
        name = f"pair{self._databases}"
        self.primary.execute(f"CREATE DATABASE {name}")
        account, _, _ = self.primary.database_url(name).rpartition("@")
        hosts = "&".join(f"host=127.0.0.1:{server.port}" for server in self.processes)
        return f"{account}@/{name}?{hosts}&target_session_attrs=read-write"

    def kill(self) -> None:
        """Kill the primary."""
        self.primary.kill()

    def start(self) -> None:
        """Promote the standby, and make the former primary its standby. First after a kill."""
        if self.primary.is_running:
            return
        self.standby.execute("SELECT pg_promote()")
        self.primary, self.standby = self.standby, self.primary
        self._follow()

    def _follow(self) -> None:
        # A primary without its standby must not wait for it.
        self._wait_for_standby("")
        self._copy()
        self.standby.start()
        self._wait_for_standby("*")
        states = "SELECT sync_state FROM pg_stat_replication"
        wait_until(lambda: self.primary.execute(states) == [("sync",)])

    def _copy(self) -> None:
        folder, password = self.standby.data, self.primary.password
        shutil.rmtree(folder, ignore_errors=True)
        source = f"host=127.0.0.1 port={self.primary.port} user=tester password='{password}'"
        program = str(self.standby.programs / "pg_basebackup")
        self.standby.run(program, "-d", source, "-D", str(folder), "-R", "-c", "fast", "--no-sync")

    def _wait_for_standby(self, names: str) -> None:
        self.primary.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        self.primary.execute("SELECT pg_reload_conf()")


@contextmanager
def running_postgresql_pair() -> Iterator[PostgreSQLPair]:
    """Start a primary and a standby, and end them afterwards."""
    with (
        running_postgresql(in_memory=True) as primary,
        running_postgresql(in_memory=True, is_standby=True) as standby,
    ):
        yield PostgreSQLPair(primary, standby)
