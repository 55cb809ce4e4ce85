"""A login and a guarded page through every web server that the documentation names."""

from __future__ import annotations

import http.client
import json
import re
import secrets
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests
from certificates import CertificateAuthority
from doc_blocks import blocks
from live_app import PATIENCE, Browser, LiveAnswer
from ports import free_port
from web_servers import COMMANDS, running_nginx, running_web_server

from flask_openrouter.emulator import Emulator

#: nginx as it is without any settings for buffers.
NGINX = """
    server {
        listen 127.0.0.1:{port};
        location / {
            proxy_pass %s;
            proxy_set_header Host $http_host;
        }
    }
"""
#: Besides ours, a browser sends about as much as this.
CHROME = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/142.0.0.0 Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    "image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "sec-ch-ua": '"Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"',
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"Linux"',
    "Referer": "https://openrouter.ai/",
    "Upgrade-Insecure-Requests": "1",
}
#: The logins that a browser may have open, and one that replaces the oldest.
LOGINS = 9
SERVERS = ["nginx", *(kind for kind in COMMANDS if not kind.endswith("preload"))]


class Chrome(Browser):
    """A browser whose requests are as long as Chrome's."""

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: str = ""
    ) -> LiveAnswer:
        return super().send(method, url, headers={**CHROME, **(headers or {})}, body=body)


@contextmanager
def serving(server: str, emulator: Emulator) -> Iterator[str]:
    settings = {
        "SECRET_KEY": secrets.token_hex(),
        "OPENROUTER_BASE_URL": emulator.url,
        "OPENROUTER_EMULATOR": "true",
    }
    with ExitStack() as stack:
        kind = "gunicorn gthread" if server == "nginx" else server
        url = stack.enter_context(running_web_server(kind, **settings)).url
        if server == "nginx":
            url = stack.enter_context(running_nginx(NGINX % url)).url
        yield url


@pytest.mark.requirement("W11")
@pytest.mark.parametrize("server", SERVERS)
def test_logins_work_through_every_server_with_its_default_buffers(
    server: str, emulator: Emulator
) -> None:
    """Also with as many open logins as a browser may have, each with a long address to go to."""
    with serving(server, emulator) as url:
        browser = Chrome(url, {"session": "s" * 250})
        for number in range(LOGINS):
            next_url = f"/guarded?{number}={secrets.token_urlsafe(330)}"
            authorization_url = browser.start(next_url)
        landed = browser.get(emulator.approve(authorization_url))
        assert (landed.status, landed.location) == (303, next_url)
        assert browser.get(next_url).status == 200
        assert browser.post("/openrouter/disconnect").status == 303
        assert browser.key is None


class RemoteBrowser(Chrome):
    """A browser that reaches the site ``app.example`` on a port of this machine, with https."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__("https://app.example", {"session": "s" * 250})
        self._port = port
        self._context = context

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPSConnection("app.example", timeout=PATIENCE)
        connection.sock = self._context.wrap_socket(
            socket.create_connection(("127.0.0.1", self._port), PATIENCE),
            server_hostname="app.example",
        )
        return connection


def nginx_of_the_documentation(folder: Path, backend: str, log: Path) -> str:
    """Return the block of docs/deployment.md with the addresses and files of this test."""
    (block,) = blocks("nginx")
    directives = block.code
    for pattern, value in {
        r"listen 443 ssl": "listen 127.0.0.1:{port} ssl",
        r"listen 80": f"listen 127.0.0.1:{free_port()}",
        r"/etc/ssl/app\.example\.(pem|key)": f"{folder}/server.pem",
        r"/var/log/nginx/app\.log": str(log),
        r"127\.0\.0\.1:8000": backend.removeprefix("http://"),
    }.items():
        directives, times = re.subn(pattern, value, directives)
        assert times, pattern
    return directives


@pytest.mark.requirement("P11", "P12", "W11")
def test_a_rehearsal_under_the_real_name_with_the_documented_nginx(
    tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = CertificateAuthority(tmp_path)
    authority.server_context("app.example")
    log = tmp_path / "access.log"
    resolve = socket.getaddrinfo
    # As a line in /etc/hosts.
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *args, **kwargs: resolve(
            "127.0.0.1" if host == "app.example" else host, *args, **kwargs
        ),
    )
    settings = {
        "SECRET_KEY": secrets.token_hex(),
        "TRUSTED_HOSTS": json.dumps(["app.example"]),
        "SESSION_COOKIE_NAME": "__Host-session",
        "SESSION_COOKIE_SECURE": "true",
        "OPENROUTER_CALLBACK_URL": "https://app.example/openrouter/callback",
        "OPENROUTER_STORAGE_URI": f"sqlite:///{tmp_path}/keys.db",
        "OPENROUTER_BASE_URL": emulator.url,
        "OPENROUTER_EMULATOR": "true",
        "PROXIES": "1",
    }
    with (
        emulator.configured(resolve_hosts=True),
        running_web_server("gunicorn gthread, preload", 2, **settings) as server,
        running_nginx(nginx_of_the_documentation(tmp_path, server.url, log)) as nginx,
    ):
        browser = RemoteBrowser(nginx.port, ssl.create_default_context(cafile=authority.bundle))
        for number in range(LOGINS):
            next_url = f"/guarded?{number}={secrets.token_urlsafe(330)}"
            authorization_url = browser.start(next_url)
        callback = emulator.approve(authorization_url)
        assert callback.startswith("https://app.example/openrouter/callback?")
        landed = browser.get(callback)
        assert (landed.status, landed.location) == (303, next_url)
        assert all(name.startswith("__Host-") for name in browser.jar if "openrouter" in name)
        assert browser.get(next_url).status == 200
        assert browser.post("/openrouter/disconnect").status == 303
        assert browser.key is None
        connected = re.search(r"A key was connected\. \[owner \w{12}, request (\w+)\]", server.log)
    (line,) = [line for line in log.read_text().splitlines() if "/openrouter/callback" in line]
    assert connected is not None
    assert line.endswith(f" {connected[1]}")
    assert "code=" not in line


@pytest.mark.requirement("A15")
def test_the_documented_nginx_limits_an_ipv6_network_like_one_address() -> None:
    (block,) = blocks("nginx")
    zone = block.code.partition("upstream app")[0].replace("rate=30r/m", "rate=1r/m")
    server = """server {
        listen 127.0.0.1:{port};
        set_real_ip_from 127.0.0.1;
        real_ip_header X-Real-IP;
        limit_req zone=logins burst=1 nodelay;
        limit_req_status 429;
        root /nonexistent;
    }"""
    with running_nginx(zone + server) as nginx:

        def is_limited(address: str) -> bool:
            answers = [
                requests.get(nginx.url, headers={"X-Real-IP": address % n}, timeout=PATIENCE)
                for n in range(1, 10)
            ]
            assert {answer.status_code for answer in answers} <= {404, 429}
            return 429 in {answer.status_code for answer in answers}

        assert is_limited("2001:db8:0:1::%d")
        assert is_limited("2001:db8:0a0a:a0a:%d:a0a:a0a:a0a"), "bytes that are line feeds"
        assert not is_limited("2001:db8:0:%d0::1")
        assert is_limited("192.0.2.1%.0s")
        assert not is_limited("192.0.2.10%d")
        assert not is_limited("::ffff:198.51.100.%d")
