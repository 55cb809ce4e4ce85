"""Why a server of keys cannot be used, told from the error of its driver."""

from __future__ import annotations

import re
from typing import Final

# Drivers have no common errors, but each has few words for these. The first that fits counts.
_CAUSES: Final = (
    (
        r"read.?only|25006",
        "It takes no writes, because it is a replica or is set to read-only.",
        "Let the app's address lead to the primary.",
    ),
    (
        r"master found",
        "The sentinels know no master of this name that is up.",
        "Check the name that master_for() gets, and that a replica can be promoted.",
    ),
    (
        r"CLUSTERDOWN|cluster cannot be connected",
        "The cluster is down, or a part of it has no master.",
        "Start its servers. Each master needs a replica.",
    ),
    (
        r"NOPERM|no permissions",
        "Its account may not run a command that the storage needs.",
        "Grant it +get +set +del +eval +ping, and +scan for the commands, for the keys with the"
        " storage's prefix.",
    ),
    (
        r"refused|can.t connect to (local |mysql )?server|\(2002,|\(2003,",
        "Nothing listens at its address.",
        "Start the server. Check host and port, as in OPENROUTER_STORAGE_URI.",
    ),
    (
        r"resolve|translate host|name or service|getaddrinfo|unknown .*host",
        "Its host name is not known here.",
        "Correct the host. In a container, check its network.",
    ),
    (
        r"authentication|access denied|wrongpass|invalid username|28P01|28000",
        "It refuses the account or its password.",
        "Correct account and password, with special characters percent-encoded in a URL.",
    ),
    (
        r"database .* does not exist|unknown database|3D000",
        "It has no database of this name.",
        "Create the database, or correct its name.",
    ),
    (
        r"too many (clients|connections)|connection slots|max number of clients|53300",
        "It has no free connection.",
        "Raise its limit, or run fewer workers; for PostgreSQL put PgBouncer in between.",
    ),
    (
        r"out of memory|OOM|no space left|disk.{1,9}full|table .* is full",
        "It is full.",
        "Give it more memory or disk.",
    ),
    (
        r"time.{0,4}out|in time|max_statement_time|lock wait",
        "It did not answer in time.",
        "Find out whether it hangs, is overloaded or has a locked table, and whether a firewall"
        " drops what is sent to it.",
    ),
)


def cause_of(error: BaseException | None) -> tuple[str, str] | None:
    """Return a sentence about the cause and the remedy, or None if the error is unknown.

    Neither quotes the error, which may hold a password.
    """
    words = ""
    while error is not None:
        words += f" {type(error).__name__} {error}"
        error = error.__cause__
    for pattern, cause, remedy in _CAUSES:
        if re.search(pattern, words, re.IGNORECASE):
            return cause, remedy
    return None
