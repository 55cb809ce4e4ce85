"""Callback hosts that resolve to this machine, with the switch for them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from cases import case
from protocol_steps import S256, ask, authorization_url

from flask_openrouter.emulator import Emulator
from flask_openrouter.emulator.loopback import resolves_to_loopback

ADDRESSES = {
    "app.example": ["127.0.0.1", "::1"],
    "app.localhost": ["127.0.0.1"],
    "two.example": ["127.0.0.1", "192.0.2.1"],
    "far.example": ["192.0.2.1"],
    "none.example": [],
}


@pytest.fixture(autouse=True)
def names(emulator: Emulator) -> Iterator[None]:
    """What a hosts file says of these names. It comes after the guard of the network."""
    real = socket.getaddrinfo

    def resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in ADDRESSES:
            if str(host).endswith(".example"):
                raise socket.gaierror(socket.EAI_NONAME, "not known")
            return real(host, *args, **kwargs)
        return [(0, 0, 0, "", (address, 0)) for address in ADDRESSES[host]]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", resolve)
        yield


@pytest.mark.requirement("E5", "R104")
def test_a_name_of_this_machine_is_a_callback_host_with_the_switch_only(
    emulator: Emulator, http: requests.Session
) -> None:
    url = authorization_url(emulator, callback_url="https://app.example/callback", **S256)
    page = ask(http, url)
    assert page.status_code == 400
    assert "--resolve-hosts" in page.text
    assert "every https address" in page.text
    with emulator.configured(resolve_hosts=True):
        page = ask(http, url)
        assert page.status_code == 200
        policy = page.headers["Content-Security-Policy"]
        assert policy.endswith("form-action 'self' https://app.example")
        assert emulator.approve(url).startswith("https://app.example/callback?code=")
        assert emulator.deny(url) == "https://app.example/callback"


def test_a_name_that_leads_elsewhere_too_is_refused(
    emulator: Emulator, http: requests.Session
) -> None:
    with emulator.configured(resolve_hosts=True):
        for host in ("two.example", "far.example", "none.example", "unknown.example"):
            with case(host):
                url = authorization_url(emulator, callback_url=f"https://{host}/", **S256)
                assert ask(http, url).status_code == 400
        plain = authorization_url(emulator, callback_url="http://app.example/", **S256)
        assert ask(http, plain).status_code == 400
    assert not resolves_to_loopback("x" * 300 + ".example")


def test_the_host_header_stays_loopback(emulator: Emulator, http: requests.Session) -> None:
    with emulator.configured(resolve_hosts=True):
        response = http.get(f"{emulator.url}/auth", headers={"Host": "app.example"})
    assert response.status_code == 400
    assert "loopback host names only" in response.text


def test_the_host_is_checked_again_when_the_visitor_decides(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = authorization_url(emulator, callback_url="https://app.example/callback", **S256)
    answers = [["127.0.0.1"], ["192.0.2.1"]]
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *args, **kwargs: [(0, 0, 0, "", (a, 0)) for a in answers.pop(0)],
    )
    with (
        emulator.configured(resolve_hosts=True),
        pytest.raises(ValueError, match="answered 400 instead"),
    ):
        emulator.approve(url)
