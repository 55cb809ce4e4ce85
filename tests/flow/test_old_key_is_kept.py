"""A new login that fails in any way keeps the old key (OWASP ASVS 5.0, 2.3.3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attack import load_jar, save_jar, state_of
from certificates import CertificateAuthority
from misbehaving import (
    Act,
    MisbehavingProvider,
    answer,
    drip,
    endless_body,
    gzip_bomb,
    hang,
    issue_key,
    redirect_to,
    reset,
)
from visitor import Visitor, fingerprint

from flask_openrouter.storage.memory import MemoryStorage
from flask_openrouter.storage.record import KeyRecord

OLD_KEY = "sk-or-v1-" + "1" * 64
NEW_KEY = "sk-or-v1-" + "2" * 64
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"


def refusal(status: int, message: str = "", **headers: str) -> Act:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return answer(status, {"error": {"code": status, "message": message}}, names)


FAULTS: dict[str, tuple[Act, int]] = {
    "F3 the code is too old": (refusal(403, "Authorization code expired"), 400),
    "F4 the code is wrong": (refusal(400, "Invalid code"), 400),
    "F5 the method is wrong": (refusal(400, "Invalid code_challenge_method"), 400),
    "F6 405": (refusal(405), 502),
    "F7 409": (refusal(409), 502),
    "F7 429": (refusal(429, Retry_After="60"), 502),
    "401": (refusal(401, "User not found"), 502),
    "402": (refusal(402), 502),
    **{f"F8 {status}": (answer(status, b"<h1>Oops"), 502) for status in (500, 502, 503, 504)},
    "F13 reset before the answer": (reset(), 502),
    "F14 reset inside the body": (reset(HEAD + b'{"key": "sk'), 502),
    "F15 no answer": (hang(5), 504),
    "F15 slow headers": (drip(HEAD, 0.1), 504),
    "F15 slow body": (drip(b"{" * 100, 0.1, after=HEAD), 504),
    "F16 endless body": (endless_body(), 502),
    "F16 gzip bomb": (gzip_bomb(20), 502),
    "F17 redirect": (redirect_to("https://elsewhere.invalid/", 307), 502),
    "F18 not an object": (answer(200, b'["' + NEW_KEY.encode() + b'"]'), 502),
    "F18 no key": (answer(200, {"user_id": "user_1"}), 502),
    "F18 a key with a line break": (answer(200, {"key": f"{NEW_KEY}\r\nX: y"}), 502),
    "F18 an error with status 200": (answer(200, {"error": {"code": 500}}), 502),
    "F18 deep nesting": (answer(200, b"[" * 30_000), 502),
    "F19 captive portal": (answer(200, b"<html>Sign in", {"Content-Type": "text/html"}), 502),
}


@pytest.fixture
def provider() -> Any:
    with MisbehavingProvider(issue_key(OLD_KEY)) as provider:
        yield provider


def _fails_to_connect_again(visitor: Visitor, status: int, fault: str = "") -> None:
    page = visitor.get(visitor.callback_url(visitor.start(), code="a-new-code"))
    assert page.status_code == status, fault
    assert "Try again" in page.text, fault
    assert visitor.key == fingerprint(OLD_KEY), fault


@pytest.mark.requirement("R29")
def test_a_failed_exchange_keeps_the_old_key(make_app: Any) -> None:
    faults = {name: fault for name, fault in FAULTS.items() if fault[1] != 504}
    with MisbehavingProvider(
        [issue_key(OLD_KEY), *(act for act, _ in faults.values())]
    ) as provider:
        visitor = Visitor(make_app(OPENROUTER_BASE_URL=provider.url))
        visitor.get(visitor.callback_url(visitor.start(), code="the-first-code"))
        assert visitor.key == fingerprint(OLD_KEY)
        for number, (name, (_, status)) in enumerate(faults.items(), start=2):
            _fails_to_connect_again(visitor, status, name)
            assert len(provider.exchanges) == number, name


@pytest.mark.requirement("R29")
def test_an_exchange_that_takes_too_long_keeps_the_old_key(make_app: Any) -> None:
    faults = {name: fault for name, fault in FAULTS.items() if fault[1] == 504}
    assert len(faults) == 3
    with MisbehavingProvider([act for act, _ in faults.values()]) as provider:
        # The limit is short, because every exchange runs into it.
        settings = {"OPENROUTER_BASE_URL": provider.url, "OPENROUTER_REQUEST_TIMEOUT": 0.6}
        visitor = _keep_for_alice(make_app({"storage": MemoryStorage()}, **settings))
        for number, (name, (_, status)) in enumerate(faults.items(), start=1):
            _fails_to_connect_again(visitor, status, name)
            assert len(provider.exchanges) == number, name


@pytest.mark.requirement("R29")
@pytest.mark.parametrize("kind", ["F1 declined", "F2 too late", "no state", "F22 no cookies"])
def test_a_refused_callback_keeps_the_old_key(
    make_app: Any, provider: MisbehavingProvider, clock: Any, kind: str
) -> None:
    visitor = Visitor(make_app(OPENROUTER_BASE_URL=provider.url))
    visitor.get(visitor.callback_url(visitor.start(), code="the-first-code"))
    begun = visitor.start()
    callback = visitor.callback_url(begun, **({} if "declined" in kind else {"code": "a-new-code"}))
    if "late" in kind:
        clock.now += 660
    elif "no state" in kind:
        callback = callback.replace(state_of(begun), "")
    elif "cookies" in kind:
        jar = save_jar(visitor)
        load_jar(visitor, {"openrouter": jar["openrouter"]})
    assert visitor.get(callback).status_code == 400
    assert visitor.key == fingerprint(OLD_KEY)
    assert len(provider.exchanges) == 1


def _keep_for_alice(app: Any) -> Visitor:
    """Return a visitor of an app that has the old key already."""
    services = app.extensions["openrouter"]
    services.app_functions.owner_loader = lambda: "alice"
    services.vault.save("alice", KeyRecord(OLD_KEY, None, int(services.clock())))
    return Visitor(app)


@pytest.mark.requirement("R29", "F10")
def test_a_closed_port_keeps_the_old_key(make_app: Any) -> None:
    with MisbehavingProvider() as provider:
        url = provider.url
    app = make_app({"storage": MemoryStorage()}, OPENROUTER_BASE_URL=url)
    _fails_to_connect_again(_keep_for_alice(app), 502)


@pytest.mark.requirement("R29", "F9")
def test_an_unknown_host_keeps_the_old_key(make_app: Any) -> None:
    """``.invalid`` never resolves (RFC 6761 §6.4), so nothing leaves this machine."""
    app = make_app({"storage": MemoryStorage()}, OPENROUTER_BASE_URL="https://nx.invalid")
    _fails_to_connect_again(_keep_for_alice(app), 502)


@pytest.mark.requirement("R29", "F12")
@pytest.mark.parametrize("fault", ["self-signed", "wrong name", "unknown authority"])
def test_a_bad_certificate_keeps_the_old_key(make_app: Any, tmp_path: Path, fault: str) -> None:
    context = CertificateAuthority(tmp_path).server_context(
        "elsewhere.example" if fault == "wrong name" else "localhost",
        self_signed=fault == "self-signed",
    )
    with MisbehavingProvider(issue_key(NEW_KEY), tls=context, host="localhost") as provider:
        app = make_app({"storage": MemoryStorage()}, OPENROUTER_BASE_URL=provider.url)
        _fails_to_connect_again(_keep_for_alice(app), 502)
        assert provider.requests == []


@pytest.mark.requirement("R29", "F20")
def test_a_proxy_that_is_down_keeps_the_old_key(
    make_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MisbehavingProvider() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
    app = make_app({"storage": MemoryStorage()}, OPENROUTER_BASE_URL="https://nx.invalid")
    _fails_to_connect_again(_keep_for_alice(app), 502)


@pytest.mark.requirement("R29")
def test_a_storage_that_fails_keeps_the_old_key(
    make_app: Any, provider: MisbehavingProvider
) -> None:
    class ReadOnly(MemoryStorage):
        is_closed = False

        def set(self, owner_id: str, ciphertext: str) -> None:
            if self.is_closed:
                raise OSError("read-only")
            super().set(owner_id, ciphertext)

    storage = ReadOnly()
    app = make_app({"storage": storage}, OPENROUTER_BASE_URL=provider.url)
    visitor = _keep_for_alice(app)
    storage.is_closed = True
    page = visitor.get(visitor.callback_url(visitor.start(), code="a-new-code"))
    assert page.status_code == 503
    assert visitor.key == fingerprint(OLD_KEY)
