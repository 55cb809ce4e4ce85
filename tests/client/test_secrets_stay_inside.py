"""No exception, log line or object carries a code, a verifier or a key, whatever fails."""

from __future__ import annotations

import base64
import logging
import subprocess
import sys
import traceback
from functools import partial
from urllib.parse import quote

import pytest
from cases import case
from certificates import CertificateAuthority
from misbehaving import (
    MisbehavingProvider,
    answer,
    hang,
    http_answer,
    issue_key,
    raw,
    redirect_to,
    reset,
)

from flask_openrouter.client import OpenRouterClient

KEY = "sk-or-v1-" + "0123456789abcdef" * 4
CODE = "c0de-" + "xyz789" * 4
VERIFIER = "v3rifier-" + "a1b2c3" * 6
STATE = "st4te-" + "q9w8" * 6
SECRETS = (KEY, CODE, VERIFIER, STATE)


def leaks(text):
    """Return the secrets found in ``text``, in any common encoding."""
    forms = {}
    for secret in SECRETS:
        data = secret.encode()
        for form in (secret, quote(secret, safe=""), data.hex(), base64.b64encode(data).decode()):
            forms[form.rstrip("=")] = secret
    return [secret for form, secret in forms.items() if form in text]


def everything_of(error):
    """Return all that an error reporter could see of an exception, except this file's frames."""
    seen, texts, waiting = set(), [], [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        texts += [repr(one), str(one), repr(one.args), repr(vars(one))]
        texts += getattr(one, "__notes__", [])
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if frame.f_code.co_filename != __file__:
                texts += [repr(value) for value in frame.f_locals.values()]
                texts += [repr(vars(v)) for v in frame.f_locals.values() if hasattr(v, "__dict__")]
        waiting += [one.__cause__, one.__context__]
        waiting += [value for value in vars(one).values() if isinstance(value, BaseException)]
    return "\n".join(texts)


def frames_shown_by_a_reporter(error):
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return [(frame.filename, frame.locals) for frame in shown.stack if frame.filename != __file__]


def echo(status, member="headers"):
    """Return an act whose error repeats the request; with ``raw`` it is a model provider's."""

    def act(connection):
        sent = f"{connection.request.headers.get('authorization')} {connection.request.body!r}"
        body = {"error": {"message": sent, "metadata": {member: sent}}}
        connection.send(http_answer(status, body, {"X-Request-Id": sent.split()[1]}))

    return act


FAULTS = {
    "reset": reset(),
    "reset in the body": reset(after=http_answer(200, {"key": KEY})[:-5]),
    "closed": raw(b""),
    "hangs": hang(),
    "not HTTP": raw(f"{KEY} {CODE}\r\n\r\n".encode()),
    "redirect": redirect_to(f"https://evil.example/{CODE}"),
    "malformed key": answer(200, {"key": KEY + "\r\nX: y"}),
    "two keys": answer(200, b'{"key":"%s","key":"%s"}' % (KEY.encode(), KEY.encode())),
    "cut JSON": answer(200, b'{"key":"%s' % KEY.encode()),
    "deep nesting": answer(200, b'{"key":"%s","x":' % KEY.encode() + b"[" * 50_000),
    "too much": answer(200, KEY * 2_000),
    "bad gzip": answer(200, KEY, {"Content-Encoding": "gzip"}),
    "400 that echoes": echo(400),
    "401 that echoes": echo(401),
    "402 that echoes": echo(402),
    "403 that echoes": echo(403),
    "500 that echoes": echo(500),
    "provider's 401 that echoes": echo(401, "raw"),
    "provider's 402 that echoes": echo(402, "raw"),
}
#: Faults that a session raises itself, and does not leave to the view.
SESSION_FAULTS = {
    name: act
    for name, act in FAULTS.items()
    if name.startswith(("reset", "closed", "hangs", "not HTTP", "bad gzip", "401", "402"))
}


def calls(url):
    """Return every call that carries secrets, by name."""
    client = OpenRouterClient(url, timeout=0.5, retries=0)
    session = client.api_session(KEY, timeout=0.5)
    return {
        "exchange_code": lambda: client.exchange_code(CODE, VERIFIER),
        "get_key_info": lambda: client.get_key_info(KEY),
        "create_auth_code": lambda: client.create_auth_code(
            KEY, "https://app.example/", code_challenge=VERIFIER, code_challenge_method="plain"
        ),
        "session": lambda: session.post("chat/completions", json={}),
    }


def check_failure(call):
    """Run a call that fails, and check that its error shows no secret."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
        call()
    error = caught.value
    assert leaks(everything_of(error)) == []
    assert leaks(repr(frames_shown_by_a_reporter(error))) == []
    return error


@pytest.fixture
def log(caplog):
    """Every log line of every library."""
    caplog.set_level(logging.DEBUG)
    yield caplog
    check_log(caplog)


def check_log(log):
    assert leaks(log.text + repr([vars(record) for record in log.records])) == []


@pytest.mark.requirement("R62", "R64", "R65")
@pytest.mark.parametrize("name", ["exchange_code", "get_key_info", "create_auth_code", "session"])
def test_no_failure_shows_what_was_sent(log, name):
    for fault, act in (SESSION_FAULTS if name == "session" else FAULTS).items():
        with case(fault):
            with MisbehavingProvider(act) as provider:
                error = check_failure(calls(provider.url)[name])
            assert error.__cause__ is None
            assert error.__context__ is None
            check_log(log)
        log.clear()


@pytest.mark.requirement("R62", "R65")
@pytest.mark.parametrize("name", ["exchange_code", "get_key_info", "create_auth_code", "session"])
def test_unreachable_and_untrusted_show_nothing(log, name, tmp_path):
    with MisbehavingProvider() as provider:
        url = provider.url
    assert not check_failure(calls(url)[name]).was_sent
    tls = CertificateAuthority(tmp_path).server_context("127.0.0.1")
    with MisbehavingProvider(issue_key(KEY), tls=tls) as provider:
        assert not check_failure(calls(provider.url)[name]).was_sent


@pytest.mark.requirement("R62")
def test_success_logs_only_what_was_done(log):
    with MisbehavingProvider(issue_key(KEY)) as provider:
        OpenRouterClient(provider.url).exchange_code(CODE, VERIFIER)
    ours = [record.getMessage() for record in log.records if record.name == "flask_openrouter"]
    assert ours == ["POST /api/v1/auth/keys: HTTP 200"]


@pytest.mark.requirement("R65")
def test_malformed_arguments_are_not_repeated():
    calls = [
        lambda client: client.exchange_code(CODE + " ", VERIFIER),
        lambda client: client.exchange_code(CODE, VERIFIER + " "),
        lambda client: client.exchange_code(CODE, VERIFIER, VERIFIER),
        lambda client: client.create_code_challenge(VERIFIER + "="),
        lambda client: client.create_code_challenge(VERIFIER, "none"),
        lambda client: client.get_key_info(KEY + "\n"),
        lambda client: client.api_session(KEY + "\n"),
        lambda client: client.create_auth_code(KEY + "\n", "https://app.example/"),
        lambda client: client.create_auth_code(KEY, f"https://app.example/#{STATE}"),
        lambda client: client.create_auth_code(KEY, "https://app.example/", workspace_id="x"),
        lambda client: client.create_auth_code(KEY, "https://app.example/", expires_at="x"),
        lambda client: client.authorization_url(f"https://app.example/#{STATE}", state=STATE),
        lambda client: client.authorization_url("https://app.example/", state=STATE + "\n"),
        lambda client: client.authorization_url("https://app.example/", VERIFIER, "x", state=STATE),
        lambda client: client.authorization_url("https://app.example/", VERIFIER + "=", "plain"),
    ]
    for number, call in enumerate(calls):
        with case(f"calls[{number}]"):
            error = check_failure(partial(call, OpenRouterClient()))
            assert isinstance(error, ValueError)
            assert error.__context__ is None


@pytest.mark.requirement("R65")
@pytest.mark.parametrize("name", ["exchange_code", "get_key_info", "create_auth_code", "session"])
def test_what_interrupts_a_call_carries_nothing_out(log, monkeypatch, name):
    """A worker that is shut down during a call raises in the deepest frame."""

    def interrupted(*arguments, **options):
        raise kind

    monkeypatch.setattr("socket.getaddrinfo", interrupted)
    for kind in (KeyboardInterrupt, SystemExit, MemoryError, ZeroDivisionError):
        with case(kind):
            with pytest.raises(BaseException) as caught:  # noqa: PT011
                calls("https://gateway.example")[name]()
            assert leaks(everything_of(caught.value)) == []
            if not issubclass(kind, Exception) or name == "session":
                assert type(caught.value) is kind


def test_bug_is_logged_with_its_place(log, monkeypatch):
    def broken(*arguments, **options):
        raise ZeroDivisionError(KEY)

    monkeypatch.setattr("socket.getaddrinfo", broken)
    error = check_failure(calls("https://gateway.example")["exchange_code"])
    assert str(error) == "OpenRouter cannot be reached"
    (record,) = [record for record in log.records if record.levelno == logging.ERROR]
    assert record.getMessage().startswith(f"unexpected ZeroDivisionError at {__file__}:")


def test_import_does_not_load_requests():
    """The first login, or ``preload``, imports what only a login needs."""
    code = (
        "import sys, flask_openrouter.client as c\n"
        "client = c.OpenRouterClient()\n"
        "client.authorization_url('https://app.example/', state='x')\n"
        "assert 'requests' not in sys.modules and 'urllib3' not in sys.modules\n"
        "client.preload()\n"
        "assert 'requests' in sys.modules and 'flask_openrouter.client.session' in sys.modules\n"
        "assert 'flask' not in sys.modules or 'flask_openrouter.extension' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
