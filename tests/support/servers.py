"""Real PostgreSQL, PgBouncer and Redis servers on free loopback ports, to be killed and restarted.

::

    with running_redis() as server:
        server.url       # "redis://127.0.0.1:40001/0"
        server.kill()    # SIGKILL, as a crash
        server.start()   # on the same port, with the same data folder
"""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import redis
from components import require
from polling import wait_until, wait_until_stopped
from ports import free_port

#: A file system in memory, where the tests' many new databases cost less.
MEMORY = Path("/dev/shm")
#: The bytes that it must have left: a database takes about 8 MB.
DATA_BYTES = 4 * 1024**3


class Server:
    """One server process with a data folder of its own. Started, stopped, killed, frozen."""

    def __init__(self, folder: Path, *, account: str | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self._account = account
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """The text of the server's log."""
        return (self.folder / "server.log").read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        """Whether the process exists."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers."""
        if self.is_running:
            return
        wait_until(self._start_once, failure=self._tail_of_log)

    def stop(self) -> None:
        """Stop it in an orderly way, cutting off its clients."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it at once, as a crash or the kernel would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Keep its sockets open and answer nothing."""
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)
            wait_until_stopped(pid)

    def thaw(self) -> None:
        """End :meth:`freeze`. The parent is last: it makes ended children vanish."""
        for pid in reversed([*self._pids()]):
            os.kill(pid, signal.SIGCONT)

    def command(self) -> list[str]:
        """Return the command line."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Whether it answers."""
        raise NotImplementedError

    def run(self, *command: str) -> None:
        """Run another program to its end, with the account of the server."""
        with (self.folder / "server.log").open("ab") as log:
            subprocess.run(command, stdout=log, stderr=log, check=True, **self._identity())

    def _start_once(self) -> bool:
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, **self._identity()
            )
        wait_until(lambda: not self.is_running or self.is_ready(), failure=self._tail_of_log)
        if not self.is_running:
            # Right after a crash, leftovers may still hold the port or the data folder: try again.
            self._process = None
            return False
        return True

    def _tail_of_log(self) -> str:
        return f"{type(self).__name__} did not start:\n{self.log[-2000:]}"

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        children = [*self._pids()][1:]
        self._process.send_signal(number)
        self._process.wait()
        self._process = None
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _pids(self) -> Iterator[int]:
        if self._process is not None and self.is_running:
            yield (pid := self._process.pid)
            # Read when it may be frozen already: then none begins or vanishes.
            with suppress(FileNotFoundError):
                yield from map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def _identity(self) -> dict[str, Any]:
        if self._account is None:
            return {"cwd": self.folder}
        environment = {**os.environ, "HOME": str(self.folder), "LC_ALL": "C"}
        return {
            "cwd": self.folder,
            "user": self._account,
            "group": pwd.getpwnam(self._account).pw_gid,
            "extra_groups": [],
            "env": environment,
        }


class PostgreSQLServer(Server):
    """PostgreSQL with a superuser ``tester``, whose password is ``url``'s, and no durability."""

    password = "p@ss:wörd/%41"
    _encoded_password = "p%40ss%3Aw%C3%B6rd%2F%2541"

    def __init__(self, folder: Path, programs: Path, *, account: str | None = None) -> None:
        super().__init__(folder, account=account)
        self.programs = programs
        self.data = folder / "data"
        self._databases = 0
        self.options: dict[str, str] = {}

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the database ``postgres``."""
        return self.database_url("postgres")

    def database_url(self, name: str) -> str:
        """Return the SQLAlchemy URL of a database of this server."""
        address = f"127.0.0.1:{self.port}"
        return f"postgresql+psycopg://tester:{self._encoded_password}@{address}/{name}"

    def create_database(self) -> str:
        """Create an empty database and return its SQLAlchemy URL."""
        self._databases += 1
        name = f"test{self._databases}"
        self.execute(f"CREATE DATABASE {name}")
        return self.database_url(name)

    def execute(self, statement: str, *, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement of the test's own, past the code under test, and return its rows."""
        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="tester",
            password=self.password,
            dbname=database,
            connect_timeout=5,
            autocommit=True,
        ) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def dump(self, database: str) -> str:
        """Return what ``pg_dump`` makes of a database."""
        dumped = subprocess.run(
            [str(self.programs / "pg_dump"), "-h", "127.0.0.1", "-U", "tester", database],
            env={**os.environ, "PGPORT": str(self.port), "PGPASSWORD": self.password},
            capture_output=True,
            text=True,
            check=True,
        )
        return dumped.stdout

    def initialize(self) -> None:
        """Make the data folder."""
        password_file = self.folder / "password"
        password_file.write_text(self.password, encoding="utf-8")
        options = ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        initdb = [str(self.programs / "initdb"), "-D", str(self.data), "-U", "tester"]
        self.run(*initdb, *options, f"--pwfile={password_file}")

    def command(self) -> list[str]:
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "16MB",
            "max_connections": "30",
            # A standby that is promoted looks for its primary once more, after so long.
            "wal_retrieve_retry_interval": "50ms",
            **self.options,
        }
        settings = [part for item in options.items() for part in ("-c", "=".join(item))]
        return [str(self.programs / "postgres"), "-D", str(self.data), *settings]

    def is_ready(self) -> bool:
        with suppress(psycopg.OperationalError):
            return self.execute("SELECT 1") == [(1,)]
        return False


class PgBouncerServer(Server):
    """PgBouncer in front of every database of a PostgreSQL server, for the same account.

    ``pool_mode``: ``session`` or ``transaction``. ``size``: connections to the server per database.
    """

    def __init__(
        self,
        folder: Path,
        program: str,
        behind: PostgreSQLServer,
        *,
        pool_mode: str,
        size: int,
        account: str | None = None,
    ) -> None:
        super().__init__(folder, account=account)
        self._program = program
        self._behind = behind
        accounts = folder / "accounts"
        accounts.write_text(f'"tester" "{behind.password}"', encoding="utf-8")
        self._settings = folder / "pgbouncer.ini"
        self._settings.write_text(
            f"""
            [databases]
            * = host=127.0.0.1 port={behind.port}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {self.port}
            unix_socket_dir =
            auth_type = scram-sha-256
            auth_file = {accounts}
            pool_mode = {pool_mode}
            default_pool_size = {size}
            """
        )

    def through(self, url: str) -> str:
        """Return the URL of a database of the PostgreSQL server, as it is reached through here."""
        return url.replace(f":{self._behind.port}/", f":{self.port}/")

    def command(self) -> list[str]:
        return [self._program, str(self._settings)]

    def is_ready(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True
        return False


class RedisServer(Server):
    """Redis without persistence, unless ``options`` say otherwise."""

    def __init__(self, folder: Path, program: str, *, is_sentinel: bool = False) -> None:
        super().__init__(folder)
        self._program = program
        self._is_sentinel = is_sentinel
        self.options: dict[str, str] = {}

    @property
    def url(self) -> str:
        """The URL of database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    def execute(self, *command: str) -> object:
        """Run one command of the test's own, past the code under test, and return its answer."""
        with redis.Redis(port=self.port, socket_timeout=5, decode_responses=True) as client:
            return client.execute_command(*command)

    def command(self) -> list[str]:
        if self._is_sentinel:
            file = self.folder / "sentinel.conf"
            file.write_text(f"port {self.port}\nbind 127.0.0.1\n")
            return [self._program, str(file), "--sentinel"]
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "save": "",
            "appendonly": "no",
            "dir": str(self.folder),
            **self.options,
        }
        settings = [part for name, value in options.items() for part in (f"--{name}", value)]
        return [self._program, *settings]

    def is_ready(self) -> bool:
        with suppress(redis.RedisError):
            return self.execute("PING") is True
        return False


@contextmanager
def running_postgresql(
    *, in_memory: bool = False, is_standby: bool = False
) -> Iterator[PostgreSQLServer]:
    """Start a new PostgreSQL server and end it afterwards. Skips (in CI: fails) without one.

    ``in_memory``: keep the data in memory if there is enough. ``is_standby``: start nothing yet.
    """
    programs = _find_postgresql()
    # As root it refuses to run, and the folder must be one that its account can reach.
    account = None if os.getuid() else "postgres"
    with server_folder(account, in_memory=in_memory) as folder:
        server = PostgreSQLServer(folder, programs, account=account)
        try:
            if not is_standby:
                server.initialize()
                server.start()
            yield server
        finally:
            server.kill()


@contextmanager
def running_pgbouncer(
    behind: PostgreSQLServer, *, pool_mode: str, size: int
) -> Iterator[PgBouncerServer]:
    """Start a new PgBouncer and end it afterwards. Skips (in CI: fails) without one."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        require("pgbouncer", "neither on PATH nor in /usr/sbin")
    account = None if os.getuid() else "postgres"
    with server_folder(account) as folder:
        server = PgBouncerServer(
            folder, program, behind, pool_mode=pool_mode, size=size, account=account
        )
        try:
            server.start()
            yield server
        finally:
            server.kill()


@contextmanager
def running_redis(*, is_sentinel: bool = False, **options: str) -> Iterator[RedisServer]:
    """Start a new Redis server and end it afterwards. Skips (in CI: fails) without one.

    ``options``: of redis.conf, with ``_`` for ``-``, such as ``maxmemory="1mb"``.
    ``is_sentinel``: a sentinel that watches nothing yet.
    """
    program = shutil.which("redis-server")
    if program is None:
        require("redis-server", "not on PATH")
    with server_folder(None) as folder:
        server = RedisServer(folder, program, is_sentinel=is_sentinel)
        server.options = {name.replace("_", "-"): value for name, value in options.items()}
        try:
            server.start()
            yield server
        finally:
            server.kill()


def _find_postgresql() -> Path:
    folders = [Path(found) for found in sorted(glob.glob("/usr/lib/postgresql/*/bin"))[::-1]]
    config = shutil.which("pg_config")
    if config is not None:
        answer = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True)
        folders.insert(0, Path(answer.stdout.strip()))
    complete = [folder for folder in folders if (folder / "initdb").exists()]
    if not complete:
        require("postgresql", "no initdb beside pg_config or in /usr/lib/postgresql")
    return complete[0]


@contextmanager
def server_folder(account: str | None, *, in_memory: bool = False) -> Iterator[Path]:
    """Make a folder that belongs to this account, and delete it afterwards."""
    fits = in_memory and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > DATA_BYTES
    folder = Path(tempfile.mkdtemp(prefix="openrouter-", dir=MEMORY if fits else None))
    if account is not None:
        shutil.chown(folder, account)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
