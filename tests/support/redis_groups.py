"""Redis with a sentinel, and Redis Cluster: another server takes over from one that is killed.

Redis answers before it replicates, so a crash may lose the keys of that instant, as docs/storage.md
says. Here a master that is killed has replicated what it has answered.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import redis
from components import require
from polling import wait_until
from ports import free_port
from servers import RedisServer, running_redis

#: Milliseconds without an answer until a server counts as down. In production these are seconds.
DOWN_AFTER = 400
#: A new replica gets what it misses at once.
OPTIONS = {"repl_diskless_sync": "no"}


class RedisGroup:
    """Masters and their replicas. ``kill`` ends a master, ``start`` waits for its successor."""

    def __init__(self, processes: list[RedisServer]) -> None:
        self.processes = processes
        self._killed: RedisServer | None = None

    def kill(self) -> None:
        """Kill a master which has replicated all that it has answered."""
        master, replica = self.pair()
        # Writes that arrive from now on are never answered.
        master.execute("CLIENT", "PAUSE", "60000", "WRITE")
        wait_until(lambda: _offset(replica) == _offset(master))
        master.kill()
        self._killed = master

    def start(self) -> None:
        """Wait until a replica has taken over, and start the killed server as its replica."""
        if self._killed is None:
            return
        killed, self._killed = self._killed, None
        wait_until(lambda: self.has_successor(killed))
        killed.start()
        self.rejoin(killed)
        wait_until(self.is_whole)

    def clear(self) -> None:
        """Delete all entries."""
        for server in self.processes:
            if _role(server) == "master":
                server.execute("FLUSHALL")

    def pair(self) -> tuple[RedisServer, RedisServer]:
        """Return the master to kill next, and its replica."""
        raise NotImplementedError

    def has_successor(self, killed: RedisServer) -> bool:
        """Whether clients find another master in place of this one."""
        raise NotImplementedError

    def rejoin(self, killed: RedisServer) -> None:
        """Make this server a replica."""

    def is_whole(self) -> bool:
        """Whether every master has a replica that can take over."""
        raise NotImplementedError


class SentinelGroup(RedisGroup):
    """A master, its replica, and one sentinel, which decides alone."""

    #: The master's name for the sentinel.
    name = "keys"

    def __init__(self, processes: list[RedisServer], sentinel: RedisServer) -> None:
        super().__init__(processes)
        self.sentinel = sentinel
        self.rejoin(processes[1])
        sentinel.execute("SENTINEL", "MONITOR", self.name, "127.0.0.1", str(processes[0].port), "1")
        for option, value in {
            "down-after-milliseconds": str(DOWN_AFTER),
            "failover-timeout": "1000",
        }.items():
            sentinel.execute("SENTINEL", "SET", self.name, option, value)
        # It looks more often than in production. To be promoted, a replica must have answered
        # within five pings, and is asked once a second then.
        for period in ("INFO", "PING", "PUBLISH", "MIN-LINK-RECONNECT"):
            sentinel.execute("SENTINEL", "DEBUG", f"{period}-PERIOD", "250")
        wait_until(self.is_whole)

    def pair(self) -> tuple[RedisServer, RedisServer]:
        master = self._master()
        return master, next(server for server in self.processes if server is not master)

    def has_successor(self, killed: RedisServer) -> bool:
        master = self._master()
        return master is not killed and _role(master) == "master"

    def rejoin(self, killed: RedisServer) -> None:
        master = next(server for server in self.processes if server is not killed)
        killed.execute("REPLICAOF", "127.0.0.1", str(master.port))

    def is_whole(self) -> bool:
        replicas: Any = self.sentinel.execute("SENTINEL", "REPLICAS", self.name)
        return [(each["flags"], each["master-link-status"]) for each in replicas] == [
            ("slave", "ok")
        ]

    def _master(self) -> RedisServer:
        answer: Any = self.sentinel.execute("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)
        return next(server for server in self.processes if server.port == int(answer[1]))


class ClusterGroup(RedisGroup):
    """Three masters and a replica of each. Each kill meets the next master."""

    def __init__(self, processes: list[RedisServer], program: str) -> None:
        super().__init__(processes)
        self._kills = 0
        subprocess.run(
            [
                *(program, "--cluster", "create"),
                *(f"127.0.0.1:{server.port}" for server in processes),
                *("--cluster-replicas", "1", "--cluster-yes"),
            ],
            check=True,
            capture_output=True,
        )
        wait_until(self.is_whole)

    def pair(self) -> tuple[RedisServer, RedisServer]:
        masters = [server for server in self.processes if _role(server) == "master"]
        master = masters[self._kills % len(masters)]
        self._kills += 1
        replica = next(s for s in self.processes if _info(s).get("master_port") == master.port)
        return master, replica

    def has_successor(self, killed: RedisServer) -> bool:
        alive = [server for server in self.processes if server is not killed]
        return all(map(_is_ok, alive)) and sum(_role(each) == "master" for each in alive) == 3

    def is_whole(self) -> bool:
        linked = [s for s in self.processes if _info(s).get("master_link_status") == "up"]
        return len(linked) == 3 and all(map(_is_ok, self.processes))


@contextmanager
def running_sentinel() -> Iterator[SentinelGroup]:
    """Start a master, a replica and a sentinel, and end them afterwards."""
    with (
        running_redis(**OPTIONS) as master,
        running_redis(**OPTIONS) as replica,
        running_redis(is_sentinel=True) as sentinel,
    ):
        yield SentinelGroup([master, replica], sentinel)


@contextmanager
def running_cluster() -> Iterator[ClusterGroup]:
    """Start three masters and three replicas, and end them afterwards."""
    program = shutil.which("redis-cli")
    if program is None:
        require("redis-cli", "not on PATH")
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                running_redis(
                    **OPTIONS,
                    cluster_enabled="yes",
                    cluster_port=str(free_port()),
                    cluster_node_timeout=str(DOWN_AFTER),
                )
            )
            for _ in range(6)
        ]
        yield ClusterGroup(processes, program)


def _info(server: RedisServer) -> dict[str, Any]:
    with suppress(redis.RedisError):
        answer: Any = server.execute("INFO", "replication")
        return dict(answer)
    return {}


def _role(server: RedisServer) -> object:
    return _info(server).get("role")


def _offset(server: RedisServer) -> object:
    return _info(server).get("master_repl_offset")


def _is_ok(server: RedisServer) -> bool:
    answer = str(server.execute("CLUSTER", "INFO"))
    return "cluster_state:ok" in answer and "cluster_slots_fail:0" in answer
