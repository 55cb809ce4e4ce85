"""The journal: no secret in it, wherever it stood, and no more memory than it may take."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote

import pytest
import requests
from cases import case
from flask import Request
from polling import PATIENCE
from protocol_steps import CODE_VERIFIER, approved_code, control

from flask_openrouter.emulator import Emulator
from flask_openrouter.emulator.journal import MAX_BYTES, TOO_LARGE, Journal

SECRET = "4/0AX4XfWi-secret"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def record(journal: Journal, body: object) -> None:
    request = Request.from_values("/somewhere", method="POST", json=body)
    journal.record(request, api_key=None, now=0.0, with_body=True)


@pytest.mark.requirement("M9")
def test_a_key_or_code_is_redacted_wherever_it_stands(
    emulator: Emulator, http: requests.Session
) -> None:
    api_key, code = emulator.issue_key(), approved_code(emulator)
    for secret in (api_key, api_key.upper(), code, code.upper()):
        bodies: list[Any] = [
            {secret: 1},
            {"note": secret},
            {"note": f"The value is {secret}."},
            [[secret]],
            {"note": {"deep": [{secret: secret}]}},
            {"callback_url": f"https://a.example/?next={secret}"},
        ]
        for body in bodies:
            http.post(f"{emulator.url}/nowhere", json=body)
        http.post(f"{emulator.url}/nowhere", data={secret: secret})
        http.get(f"{emulator.url}/{secret}?{secret}=1&note={secret}")
        headers = {"Referer": f"https://a.example/{secret}", "User-Agent": secret}
        http.get(emulator.url, headers=headers)
        with case(secret[:12]):
            listed = control(http, emulator, "GET", "/requests").text
            assert secret.lower() not in listed.lower()
            assert secret.lower() not in repr(emulator.requests).lower()


@pytest.mark.requirement("M9")
def test_everything_in_a_secret_member_is_redacted(
    emulator: Emulator, http: requests.Session
) -> None:
    hashed = f"sha256:{sha256(SECRET)}"
    cases: list[tuple[Any, Any]] = [
        ({"code": SECRET}, {"code": hashed}),
        ({"Code": SECRET}, {"Code": hashed}),
        ({"CODE_VERIFIER": SECRET}, {"CODE_VERIFIER": hashed}),
        ({"code": [SECRET, [SECRET]]}, {"code": [hashed, [hashed]]}),
        ({"code_verifier": {"x": SECRET}}, {"code_verifier": {f"sha256:{sha256('x')}": hashed}}),
        ({"key": {SECRET: None}}, {"key": {hashed: None}}),
        ({"outer": [{"api_key": SECRET}]}, {"outer": [{"api_key": hashed}]}),
        ({"code_challenge": SECRET}, {"code_challenge": hashed}),
        (
            {"code_challenge": SECRET, "code_challenge_method": "S256"},
            {"code_challenge": SECRET, "code_challenge_method": "S256"},
        ),
    ]
    for sent, recorded in cases:
        with case(sent):
            http.post(f"{emulator.url}/nowhere", json=sent)
            assert emulator.requests[-1].body == recorded
    http.get(f"{emulator.url}/nowhere?CODE={SECRET}&Code_Verifier={SECRET}")
    assert emulator.requests[-1].query == {"CODE": hashed, "Code_Verifier": hashed}


@pytest.mark.requirement("M9")
def test_a_code_inside_of_a_url_is_redacted(emulator: Emulator, http: requests.Session) -> None:
    redacted = f"sha256:{sha256(CODE_VERIFIER)}"
    url = f"http://localhost/cb?state=s&code={CODE_VERIFIER}&x=1"
    for given, recorded in [
        (url, f"http://localhost/cb?state=s&code={redacted}&x=1"),
        (f"?code_verifier={CODE_VERIFIER}", f"?code_verifier={redacted}"),
        (f"#KEY={CODE_VERIFIER}", f"#KEY={redacted}"),
        (f"code={CODE_VERIFIER}&a=b", f"code={redacted}&a=b"),
        (f"see code={CODE_VERIFIER} there", f"see code={redacted} there"),
        (
            f"x?url={quote(url, safe='')}",
            f"x?url={quote('http://localhost/cb?state=s&code=', safe='')}{redacted}"
            f"{quote('&x=1', safe='')}",
        ),
    ]:
        with case(given):
            http.get(
                f"{emulator.url}/nowhere",
                params={"callback_url": given},
                headers={"Referer": given},
            )
            assert emulator.requests[-1].query == {"callback_url": recorded}
            assert CODE_VERIFIER not in emulator.requests[-1].headers["referer"]
            http.post(f"{emulator.url}/nowhere", json={"callback_url": given})
            assert emulator.requests[-1].body == {"callback_url": recorded}
    twice = quote(quote(url, safe=""), safe="")
    http.post(f"{emulator.url}/nowhere", json=[twice])
    assert CODE_VERIFIER not in emulator.requests[-1].body[0]


def test_words_that_look_like_a_parameter_stay(emulator: Emulator, http: requests.Session) -> None:
    text = "https://a.example/?encode=1&barcode=2&code_challenge=3&keys=4"
    http.post(f"{emulator.url}/nowhere", json=[text])
    assert emulator.requests[-1].body == [text]


@pytest.mark.requirement("M7")
def test_the_records_take_a_limited_amount_of_memory() -> None:
    journal = Journal(max_bytes=1_000_000)
    for _ in range(40):
        record(journal, "x" * 90_000)
    records = journal.records()
    assert 90_000 * len(records) <= 1_000_000 < 90_000 * (len(records) + 1)
    assert [each.number for each in records] == list(range(41 - len(records), 41))
    journal.clear()
    record(journal, "x" * 90_000)
    assert len(journal.records()) == 1


@pytest.mark.requirement("M7")
def test_the_limit_counts_the_memory_of_json_and_not_its_length() -> None:
    """An empty object takes two bytes of a request, and 64 bytes of memory."""
    journal = Journal(max_bytes=1_000_000)
    for body in ([[] for _ in range(19_000)], [{"a": index} for index in range(5_000)]):
        assert len(json.dumps(body)) < 100_000
        record(journal, body)
        assert journal.records()[-1].body == TOO_LARGE
    small = [[] for _ in range(1_000)]
    for _ in range(50):
        record(journal, small)
    assert len(journal.records()) < 1_000_000 / (64 * 1_000)


@pytest.mark.requirement("M7")
def test_a_website_cannot_fill_the_journal(emulator: Emulator, http: requests.Session) -> None:
    for _ in range(20):
        http.post(f"{emulator.url}/nowhere", json=["x" * 45_000] * 20, timeout=PATIENCE)
    kept = sum(len(json.dumps(each.body)) for each in emulator.requests)
    assert 0 < kept <= MAX_BYTES
    assert len(emulator.requests) < 20
