"""Faults of OpenRouter, and of the network between it and the app."""

from __future__ import annotations

import datetime
import gzip
import socket
import ssl
import warnings
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from certificates import CertificateAuthority
from faults.fault_rows import Row, fault
from faults.fault_site import FaultSite, describe
from misbehaving import (
    Act,
    MisbehavingProvider,
    answer,
    drip,
    endless_body,
    flood_of_informational_answers,
    gzip_bomb,
    hang,
    http_answer,
    raw,
    redirect_to,
    reset,
)
from page_checks import assert_explains

from flask_openrouter.client import deadline

KEY = "sk-or-v1-" + "5" * 64
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
DAY = datetime.timedelta(days=1)
#: Words that no visitor must see.
TECHNICAL = b"<h1>Traceback</h1>nginx/1.2 /usr/lib/python3"


def error(status: int, message: str = "", **headers: str) -> Act:
    """Answer as OpenRouter does when it refuses."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return answer(status, {"error": {"code": status, "message": message}}, names)


def _come_back(
    site: FaultSite, fault: AbstractContextManager[Any], timeout: float | None = None
) -> Row:
    """Finish a login while the fault lasts, with a request timeout for this time only."""
    scene = site.scene()
    services = scene.app.extensions["openrouter"]
    if timeout is not None:
        hasty = site.app(OPENROUTER_REQUEST_TIMEOUT=timeout).extensions["openrouter"].client
        scene.app.extensions["openrouter"] = replace(services, client=hasty)
    with fault:
        page = scene.go()
    assert_explains(page)
    scene.app.extensions["openrouter"] = services
    return scene.row(page)


def _answering(*fault_options: str, variants: dict[str, Act], **options: Any) -> None:
    """Register a fault that is an answer to the exchange."""

    def run(site: FaultSite, act: Act) -> Row:
        return _come_back(site, site.upstream.acting(act), timeout)

    timeout = options.pop("timeout", None)
    fault(*fault_options, exchanges=1, variants=variants, **options)(run)


_answering(
    "F3", "code expired at OpenRouter", "400 OpenRouter refused this login",
    variants={"403": error(403, "Authorization code expired")},
)  # fmt: skip
_answering(
    "F4", "wrong code or code_verifier", "400 OpenRouter refused this login",
    variants={"403": error(403, "Invalid code or code_verifier"), "400": error(400, "Bad code")},
)  # fmt: skip
_answering(
    "F5", "code_challenge_method refused", "400 OpenRouter refused this login",
    variants={"400": error(400, "Invalid code_challenge_method")},
    remark="OpenRouter's words are logged; PKCE is never left out",
)  # fmt: skip
_answering(
    "F6", "method not allowed", "502 OpenRouter has trouble", variants={"405": error(405)}
)  # fmt: skip
_answering(
    "F7", "OpenRouter asks to wait", "502 OpenRouter is busy",
    variants={"409": error(409), "429": error(429, Retry_After="60")},
    remark="no worker waits",
)  # fmt: skip
_answering(
    "F8", "OpenRouter fails", "502 OpenRouter has trouble",
    variants={str(status): answer(status, TECHNICAL) for status in (500, 502, 503, 504)},
)  # fmt: skip


@fault("F9", "name not found", "502 OpenRouter cannot be reached")
def _name_not_found(site: FaultSite, _: None) -> Row:
    scene = site.scene()
    site.upstream.stop()
    site.upstream.start()
    with site.monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", _find_nobody)
        page = scene.go()
    assert "resolver-text" not in page.text
    return scene.row(page)


def _find_nobody(*arguments: object, **options: object) -> None:
    raise socket.gaierror(-2, "resolver-text")


@fault("F10", "connection refused", "502 OpenRouter cannot be reached")
def _refused(site: FaultSite, _: None) -> Row:
    return _come_back(site, site.upstream.stopped())


@fault("F11", "packets vanish", "502 OpenRouter cannot be reached", remark="within 5 s")
def _packets_vanish(site: FaultSite, _: None) -> Row:
    scene = site.scene()
    with site.upstream.swallowing_packets(), site.monkeypatch.context() as patch:
        patch.setattr(deadline, "CONNECT_SECONDS", 0.3)
        page = scene.go()
    return scene.row(page)


def _old_tls(authority: CertificateAuthority) -> ssl.SSLContext:
    context = authority.server_context("localhost")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    return context


CERTIFICATES: dict[str, Any] = {
    "self-signed": lambda ca: ca.server_context("localhost", self_signed=True),
    "expired": lambda ca: ca.server_context("localhost", valid_from=-2 * DAY, valid_until=-DAY),
    "wrong name": lambda ca: ca.server_context("elsewhere.example"),
}


@fault(
    "F12",
    "untrusted certificate",
    "502 OpenRouter cannot be reached",
    upstream="https",
    variants=CERTIFICATES,
    remark="the log names it",
)
def _certificate(site: FaultSite, make: Any) -> Row:
    bad = make(site.upstream.authority)
    row = _come_back(site, site.upstream.presenting(bad))
    assert "certificate" in site.log()
    return row


@fault("F12", "TLS 1.0", "502 OpenRouter cannot be reached", upstream="https")
def _outdated_tls(site: FaultSite, _: None) -> Row:
    scene = site.scene()
    with site.upstream.presenting(_old_tls(site.upstream.authority)):
        page = scene.go()
    return scene.row(page)


_answering(
    "F13", "no response", "502 The connection to OpenRouter was lost",
    variants={"reset": reset(), "closed": raw(b"")},
    remark="a key may exist; the page links to the visitor's keys",
)  # fmt: skip
_answering(
    "F14", "reset inside the body", "502 The connection to OpenRouter was lost",
    variants={"after 10 bytes": reset(HEAD + b'{"key":"sk')}, remark="as F13",
)  # fmt: skip
_answering(
    "F15", "too slow", "504 OpenRouter did not answer in time",
    variants={
        "no answer": hang(5),
        "headers": drip(HEAD, 0.1),
        "body": drip(b"{" * 100, 0.1, after=HEAD),
        "1xx for ever": flood_of_informational_answers(),
    },
    timeout=2,
    remark="as F13; within 15 s",
)  # fmt: skip
_answering(
    "F16", "huge body", "502 Unexpected answer from OpenRouter",
    variants={
        "endless": endless_body(),
        "gzip bomb": gzip_bomb(300),
        "bomb in a bomb": gzip_bomb(300, layers=2),
        "1 TB announced": raw(http_answer(200, b"{", length=10**12)),
    },
    remark="at most 64 KiB are read",
)  # fmt: skip


@fault(
    "F17",
    "redirect elsewhere",
    "502 Unexpected answer from OpenRouter",
    exchanges=1,
    variants={str(status): status for status in (301, 302, 303, 307, 308)},
    remark="not followed",
)
def _redirect(site: FaultSite, status: int) -> Row:
    with MisbehavingProvider(answer(200, {"key": KEY})) as elsewhere:
        act = redirect_to(f"{elsewhere.url}/api/v1/auth/keys", status)
        row = _come_back(site, site.upstream.acting(act))
        assert elsewhere.connections == 0
    return row


def _bodies() -> dict[str, Act]:
    keys = {
        "null": None, "number": 7, "list": [KEY], "object": {"k": KEY}, "empty": "", "blank": " ",
        "line end": KEY + "\n", "header": KEY + "\r\nX: y", "NUL": KEY + "\0", "é": KEY + "é",
        "surrogate": KEY + "\ud800", "10 kB": KEY * 150, "short": "sk-or",
    }  # fmt: skip
    text = f'{{"key": "{KEY}"}}'
    bodies: dict[str, Any] = {
        "no key": {"user_id": "user_1"},
        "error with 200": {"error": {"code": 500, "message": KEY}},
        "JSON null": b"null", "JSON list": f'["{KEY}"]'.encode(), "JSON text": f'"{KEY}"'.encode(),
        "nothing": b"", "NaN": text[:-1].encode() + b', "x": NaN}',
        "two keys": text[:-1].encode() + f', "key": "{KEY}"}}'.encode(),
        "more behind": (text + text).encode(), "BOM": b"\xef\xbb\xbf" + text.encode(),
        "UTF-16": text.encode("utf-16"), "bad UTF-8": text[:-1].encode() + b', "x": "\xff"}',
        "deep nesting": text[:-1].encode() + b', "x": ' + b"[" * 60_000,
        "5,000 digits": text[:-1].encode() + b', "x": ' + b"9" * 5000 + b"}",
        "gzip that is none": text.encode(),
    }  # fmt: skip
    acts = {name: answer(200, {"key": key}) for name, key in keys.items()}
    acts |= {name: answer(200, body) for name, body in bodies.items()}
    acts["gzip that is none"] = answer(200, text, {"Content-Encoding": "gzip"})
    acts["unknown encoding"] = answer(200, gzip.compress(b"{}"), {"Content-Encoding": "br"})
    acts["204"] = raw(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    acts["not HTTP"] = raw(f"{KEY}\r\n\r\n".encode())
    return acts


BODIES = _bodies()


@fault(
    "F18",
    f"no usable key ({len(BODIES)} ways)",
    "502 Unexpected answer from OpenRouter",
    exchanges=1,
    remark="nothing is stored, logged or shown",
)
def _bad_body(site: FaultSite, _: None) -> Row:
    site.canaries["key of the bad answers"] = KEY
    scene = site.scene()
    pages = {}
    for name, act in BODIES.items():
        address = scene.visitor.begin("/first")
        with site.upstream.acting(act):
            pages[name] = describe(scene.go(address))
        assert scene.counts == (1, 1), name
    (page,) = set(pages.values())
    return scene.row(page)


_answering(
    "F19", "a captive portal answers", "502 Unexpected answer from OpenRouter",
    variants={"200": answer(200, b"<html>Sign in", {"Content-Type": "text/html"})},
)  # fmt: skip


@fault(
    "F20",
    "proxy down",
    "502 OpenRouter cannot be reached",
    upstream="proxy",
    remark="not bypassed",
)
def _proxy_down(site: FaultSite, _: None) -> Row:
    looked_up: list[object] = []
    find = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        looked_up.append(host)
        return find(host, *arguments, **options)

    site.monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    row = _come_back(site, site.upstream.without_proxy())
    assert looked_up
    assert set(looked_up) <= {"127.0.0.1", b"127.0.0.1"}, looked_up
    return row


@fault(
    "F21",
    "`.netrc` on the server",
    "303 to `/first`",
    exchanges=1,
    key="replaced",
    remark="ignored",
)
def _netrc(site: FaultSite, _: None) -> Row:
    netrc = site.folder / "netrc"
    netrc.write_text("machine localhost login somebody password something\n")
    site.monkeypatch.setenv("NETRC", str(netrc))
    scene = site.scene()
    row = scene.row(scene.go())
    assert not [r for r in site.upstream.requests if "authorization" in r.headers]
    return row


@fault(
    "F43",
    "key dead at OpenRouter",
    "303 to `/openrouter/login?next=/use`",
    key="gone",
    remark="402, 403, 429, 5xx leave it alone",
)
def _key_dead(site: FaultSite, _: None) -> Row:
    scene = site.scene()
    for status in (400, 403, 404, 408, 429, 500, 503):
        with site.upstream.acting(error(status)):
            assert scene.go("/use").text == str(status)
        assert scene.visitor.key == scene.old_key
    with site.upstream.acting(error(401, "User not found")):
        page = scene.go("/use")
    return scene.row(page)


@fault(
    "F44",
    "no credit left",
    "402 No credit left",
    variants={"402": error(402), "403": error(403, "Insufficient credits")},
    remark="links to credits",
)
def _no_credit(site: FaultSite, act: Act) -> Row:
    scene = site.scene()
    with site.upstream.acting(act):
        page = scene.go("/use")
    assert "/settings/credits" in page.text
    return scene.row(page)


@fault("F50", "emulator stopped during a login", "502 OpenRouter cannot be reached")
def _emulator_stopped(site: FaultSite, _: None) -> Row:
    return _come_back(site, site.upstream.stopped())
