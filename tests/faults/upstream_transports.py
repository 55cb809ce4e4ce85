"""Upstreams that an app reaches by https, or through a proxy."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from certificates import CertificateAuthority
from faults.faulty_upstream import Upstream
from misbehaving import MisbehavingProvider, tunnel_to
from ports import free_port

from flask_openrouter.client.environment import CA_VARIABLES

#: A name that does not exist (RFC 6761 §6.4). Only the proxy connects it.
HOST = "gateway.invalid"


class TLSUpstream(Upstream):
    """Reached by https; ``authority`` is trusted by the app."""

    def __init__(self, authority: CertificateAuthority, tls: ssl.SSLContext) -> None:
        super().__init__(tls=tls)
        self.authority = authority


class ProxiedUpstream(Upstream):
    """Reached by https through a proxy."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__(tls=tls, base_url=f"https://{HOST}")
        self.proxy_port = free_port()
        self._proxy: MisbehavingProvider | None = None

    def start(self, tls: ssl.SSLContext | None = None) -> None:
        super().start(tls)
        self._start_proxy()

    def stop(self) -> None:
        self._stop_proxy()
        super().stop()

    @contextmanager
    def without_proxy(self) -> Iterator[None]:
        """Close the port of the proxy in this block."""
        self._stop_proxy()
        yield
        self._start_proxy()

    def _start_proxy(self) -> None:
        self._proxy = MisbehavingProvider(tunnel_to(self.port), port=self.proxy_port)
        self._proxy.__enter__()

    def _stop_proxy(self) -> None:
        if self._proxy is not None:
            self._proxy.__exit__(None, None, None)
        self._proxy = None


def make_upstream(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    """Return an upstream for "http", "https" or "proxy", and set the environment of the app."""
    if kind == "http":
        return Upstream()
    authority = CertificateAuthority(folder)
    for variable in CA_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    if kind == "https":
        return TLSUpstream(authority, authority.server_context("localhost"))
    upstream = ProxiedUpstream(authority.server_context(HOST))
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{upstream.proxy_port}")
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    return upstream
