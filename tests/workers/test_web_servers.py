"""A login and a guarded page through every web server that the documentation names."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest
from live_app import Browser, LiveAnswer
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
