"""The guard that refuses every connection from a test to another machine."""

from __future__ import annotations

import socket

import network_guard
import pytest
from visitor import Visitor

from flask_openrouter.emulator import Emulator


@pytest.mark.requirement("R112")
def test_nothing_leaves_this_machine(visitor: Visitor, emulator: Emulator) -> None:
    """The guard has been on since the first test, and has noted every attempt."""
    visitor.connect(emulator)
    assert visitor.key is not None
    assert network_guard.attempts == []


@pytest.mark.requirement("R112")
def test_the_guard_refuses_names_and_addresses_of_other_machines() -> None:
    with pytest.raises(OSError, match="tests look up nobody"):
        socket.create_connection(("203.0.113.7", 443), timeout=1)
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("openrouter.ai", 443)
    with socket.socket() as connection, pytest.raises(OSError, match="this machine only"):
        connection.connect(("8.8.8.8", 53))
    assert len(network_guard.attempts[-3:]) == 3
    del network_guard.attempts[-3:]
