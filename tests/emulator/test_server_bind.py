"""``bind``: another address to listen on, for containers."""

from __future__ import annotations

import re
import socket
import subprocess

import pytest
import requests
from cases import case
from click.testing import CliRunner
from protocol_steps import approved_code

from flask_openrouter.emulator import run_in_thread
from flask_openrouter.emulator.__main__ import emulator_command


def listening(port: int) -> list[str]:
    """Return the IPv4 addresses that listen on a port, as the kernel writes them."""
    lines = subprocess.run(
        ["cat", "/proc/net/tcp"], check=True, capture_output=True, text=True
    ).stdout
    return re.findall(rf": ([0-9A-F]{{8}}):{port:04X} 00000000:0000 0A", lines)


@pytest.mark.requirement("E5")
def test_every_address_can_be_listened_on(http: requests.Session) -> None:
    with run_in_thread(bind="0.0.0.0") as emulator:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", emulator.url)
        assert listening(int(emulator.url.rpartition(":")[2])) == ["00000000"]
        assert http.get(f"{emulator.url}/api/v1/models").status_code == 200
        assert approved_code(emulator)
        for host in ("0.0.0.0", "openrouter", "192.168.1.5", "evil.example"):
            with case(host):
                response = http.get(emulator.url, headers={"Host": host})
                assert response.status_code == 400


@pytest.mark.requirement("E5")
def test_every_address_of_ipv6_includes_those_of_ipv4(http: requests.Session) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 on this machine")
    with run_in_thread(bind="::") as emulator:
        assert http.get(f"{emulator.url}/api/v1/models").status_code == 200


def test_a_host_that_is_not_loopback_is_refused_with_bind_too() -> None:
    for host, bind in [("0.0.0.0", "0.0.0.0"), ("127.0.0.1", "localhost"), ("127.0.0.1", "x")]:
        with (
            case(host, bind),
            pytest.raises(ValueError, match=r"loopback only|an IP address"),
            run_in_thread(host=host, bind=bind),
        ):
            pass
    result = CliRunner().invoke(emulator_command, ["--bind", "all", "--port", "0"])
    assert result.exit_code == 2
    assert "bind must be an IP address such as 0.0.0.0, not 'all'" in result.output
