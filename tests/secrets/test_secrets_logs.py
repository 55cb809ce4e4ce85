"""The log reports what happened, without secrets and without text from the request."""

from __future__ import annotations

import logging
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from attack import parameter
from flask import Flask, Response
from key_issuer import KeyIssuer
from leaks import leaks_in, response_bytes, without_logins
from misbehaving import Act, MisbehavingProvider, answer, http_answer, issue_key, raw, reset
from visitor import Visitor
from werkzeug.test import create_environ

from flask_openrouter.storage.memory import MemoryStorage

MakeApp = Callable[..., Flask]
KEY = "sk-or-v1-" + "c0ffee42" * 8
CODE = "auth_code_Zm9vYmFyX2NhbmFyeV8xMjM0NTY3ODk"


class Run:
    """The logins of one visitor, and their secrets."""

    def __init__(self, app: Flask, provider: MisbehavingProvider) -> None:
        self.visitor = Visitor(app)
        self.canaries = {"key": KEY, "code": CODE}
        self.responses: list[Any] = []
        self._provider = provider

    def login(self) -> Any:
        start = self.visitor.get("/openrouter/login?next=/guarded")
        callback_url = self.visitor.callback_url(start.location, code=CODE)
        number = len(self.canaries)
        self.canaries[f"state {number}"] = parameter(callback_url, "state")
        landed = self.visitor.get(callback_url)
        # The authorization URL carries the state and the code_challenge, as it must.
        self.responses += [landed, self.visitor.get("/guarded")]
        for exchange in self._provider.exchanges:
            if exchange.body.startswith(b"{"):
                verifier = exchange.json["code_verifier"]
                self.canaries[f"code_verifier {number}"] = verifier
        return landed

    def post(self, path: str) -> Any:
        self.responses.append(self.visitor.post(path))
        return self.responses[-1]


ACTS: dict[str, Act] = {
    "success": issue_key(KEY),
    "refused": answer(403, {"error": {"message": f"Invalid code {CODE}"}}),
    "echo": answer(400, {"error": {"message": KEY, "metadata": {"raw": CODE}}}),
    "trouble": answer(500, f"<h1>{KEY}</h1>"),
    "redirect": answer(307, "", {"Location": f"https://evil.example/?k={KEY}"}),
    "reset": reset(),
    "half": raw(http_answer(200, f'{{"key": "{KEY}"', length=999)),
    "bad_key": answer(200, {"key": f"{KEY}\r\nX: y"}),
    "bad_json": answer(200, f'{{"key": "{KEY}",'),
    "nested": answer(200, f'{{"key": "{KEY}", "x": {"[" * 9000}'),
    "garbage": raw(f"{KEY}\r\n\r\n".encode()),
    "bad_length": raw(f"HTTP/1.1 200 OK\r\nContent-Length: z\r\n\r\n{KEY}".encode()),
}


class BrokenStorage(MemoryStorage):
    """Its error shows everything that it was given."""

    fails = True

    def set(self, owner_id: str, ciphertext: str) -> None:
        if self.fails:
            raise OSError(f"cannot write {owner_id}: {ciphertext}")
        super().set(owner_id, ciphertext)


#: A storage matters to a login that succeeds, and a fault to one that ends before the storage.
CASES = [
    *(("cookie", act) for act in ACTS),
    *((storage, "success") for storage in ("memory", "broken")),
    *(
        pytest.param(storage, act, marks=pytest.mark.every_variant)
        for storage in ("memory", "broken")
        for act in ACTS
        if act != "success"
    ),
]


@pytest.mark.requirement("R62", "R67")
@pytest.mark.parametrize(("storage", "act"), CASES)
def test_no_secret_is_logged_printed_or_sent_to_the_browser(
    storage: str,
    act: str,
    make_app: MakeApp,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    storages = {"cookie": None, "memory": MemoryStorage(), "broken": BrokenStorage()}
    caplog.set_level(logging.DEBUG)
    with (
        warnings.catch_warnings(record=True) as warned,
        MisbehavingProvider(ACTS[act]) as provider,
    ):
        warnings.simplefilter("always")
        app = make_app({"storage": storages[storage]}, OPENROUTER_BASE_URL=provider.url)
        run = Run(app, provider)
        run.login()
        run.post("/openrouter/save")
        run.responses.append(run.visitor.get("/openrouter/status"))
        run.post("/openrouter/disconnect")
        run.login()
    assert [name for name in run.canaries if name.startswith("code_verifier")]
    written = [caplog.text, *capfd.readouterr(), *(str(warning.message) for warning in warned)]
    for record in caplog.records:
        written += [record.getMessage(), repr(record.args), repr(vars(record))]
        if record.exc_info:
            written.append("".join(traceback.format_exception(record.exc_info[1])))
    assert leaks_in(written, run.canaries) == []
    for response in run.responses:
        assert leaks_in(without_logins(response_bytes(response)), run.canaries) == []


@pytest.mark.requirement("R62")
def test_the_package_logs_with_one_logger(
    make_app: MakeApp, key_issuer: KeyIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    visitor = Visitor(make_app(OPENROUTER_BASE_URL=key_issuer.url))
    visitor.get(visitor.callback_url(visitor.start(), code=CODE))
    ours = {r.name for r in caplog.records if r.name.startswith("flask_openrouter")}
    assert ours == {"flask_openrouter"}


FORGERIES = (
    "error=x%0d%0aCRITICAL%20forged",
    "state=%1b[2J%1b[31m&code=a",
    "state=a%0aCRITICAL+forged&code=%0aforged",
    "state=" + "A" * 43 + "&error=%e2%80%a8forged%00",
    "state=" + "x" * 5000 + "&code=a",
    "%0d%0aCRITICAL=forged&code",
    "state=a&iss=%0aCRITICAL%20forged&code=b",
)


@pytest.mark.requirement("R69")
def test_a_callback_cannot_forge_log_lines(
    visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for query in FORGERIES:
        caplog.clear()
        assert visitor.get(f"/openrouter/callback?{query}").status_code == 400, query[:99]
        records = [r for r in caplog.records if r.name == "flask_openrouter"]
        assert len(records) == 1, query[:99]
        message = records[0].getMessage()
        assert message.isprintable(), query[:99]
        assert len(message) <= 200, query[:99]
        assert "forged" not in message, query[:99]
        assert "xxxx" not in message, query[:99]


@pytest.mark.requirement("R69")
def test_a_host_header_cannot_forge_log_lines(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    for host in ("a\x1b[2J", "a\u2028b", "x" * 5000, "evil.example\tforged", "[::1]%0aforged"):
        headers = {"Host": host.encode().decode("latin-1"), "Sec-Fetch-Mode": "navigate"}
        # Not by the test client: that of older releases reads the host itself.
        Response.from_app(app, create_environ("/openrouter/login", headers=headers))
    for record in caplog.records:
        assert record.getMessage().isprintable()
        assert len(record.getMessage()) < 500


@pytest.mark.requirement("R70")
def test_security_events_are_logged_with_their_reason(
    make_app: MakeApp, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def logged() -> str:
        text = "\n".join(r.getMessage() for r in caplog.records if r.name == "flask_openrouter")
        caplog.clear()
        return text

    storage = BrokenStorage()
    storage.fails = False
    script = [issue_key(KEY), answer(500, "x"), issue_key(KEY)]
    with MisbehavingProvider(script) as provider:
        app = make_app({"storage": storage}, OPENROUTER_BASE_URL=provider.url)
        visitor = Visitor(app)
        callback_url = visitor.callback_url(visitor.start(), code=CODE)
        visitor.get(callback_url)
        assert "connected" in logged()
        Visitor(app).get(callback_url)
        assert "(unknown)" in logged()
        visitor.get(visitor.callback_url(visitor.start(), error="access_denied"))
        assert "(declined)" in logged()
        late = visitor.callback_url(visitor.start(), code=CODE)
        clock.now += 601
        visitor.get(late)
        assert "(expired)" in logged()
        visitor.get(visitor.callback_url(visitor.start(), code=CODE))
        assert "(provider_failed)" in logged()
        storage.fails = True
        visitor.get(visitor.callback_url(visitor.start(), code=CODE))
        assert "(not_saved)" in logged()
        (owner_id,) = storage.owner_ids()
        storage._ciphertexts[owner_id] = "AQ" * 50
        visitor.get("/guarded")
        assert "does not open" in logged()
    visitor.post("/openrouter/disconnect", headers={"Origin": "https://evil.example"})
    assert "(cross_site)" in logged()
