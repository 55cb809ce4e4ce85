"""Forms: a page of another origin can send none of them."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from visitor import Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.pages.visit import is_cross_site

FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "https://localhost"},
    {"Origin": "http://localhost:81"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://evil.example#http://localhost"},
    {"Origin": "http://localhost@evil.example"},
    {"Origin": "http://localhost/"},
    {"Origin": "http://localhost http://evil.example"},
    {"Origin": "localhost"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "none", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "none", "Origin": "null"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "Same-Origin"},
    {"Sec-Fetch-Site": "same-origin, cross-site"},
    {"Sec-Fetch-Site": "elsewhere"},
]


OWN = [
    {},
    {"Origin": "http://localhost"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "none"},
    # What Chromium sends for a form on a page with the referrer policy "no-referrer", such as ours.
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
]


def post(visitor: Visitor, path: str, headers: dict[str, str], **form: str) -> Any:
    """Send a form with these headers and no others."""
    return visitor.client.post(path, base_url=visitor.base_url, headers=headers, data=form)


@pytest.mark.requirement("R52")
def test_forms_of_other_pages_are_refused(visitor: Visitor, emulator: Emulator) -> None:
    visitor.connect(emulator)
    key = visitor.key
    assert key is not None
    form = {"code": "any-code", "state": "s" * 43}
    for headers in FOREIGN:
        for path in ("/openrouter/disconnect", "/openrouter/code", "/openrouter/save"):
            answer = post(visitor, path, headers, **form)
            assert answer.status_code == 403, (path, headers)
            assert "Set-Cookie" not in answer.headers, (path, headers)
        assert visitor.key == key, headers
    assert emulator.count("POST", "/api/v1/auth/keys") == 1


@pytest.mark.requirement("R52")
def test_forms_of_this_origin_are_accepted(visitor: Visitor, emulator: Emulator) -> None:
    """Also with neither header: every current browser sends one of them."""
    for headers in OWN:
        visitor.connect(emulator)
        assert post(visitor, "/openrouter/disconnect", headers).status_code == 303, headers
        assert visitor.key is None, headers


@pytest.mark.requirement("R52")
def test_forms_work_under_every_kind_of_host_name(app: Flask) -> None:
    """Browsers send the origin in ASCII, whatever the address bar shows."""
    for origin in (
        "https://app.example",
        "https://app.example:8443",
        "http://127.0.0.1:5000",
        "https://[2001:db8::1]:8443",
        "https://xn--bcher-kva.example",
    ):
        for site in ({}, {"Sec-Fetch-Site": "same-origin"}):
            headers = {"Origin": origin, **site}
            answer = post(Visitor(app, origin), "/openrouter/disconnect", headers)
            assert answer.status_code == 303, headers


@pytest.mark.requirement("R52")
def test_forms_work_behind_a_proxy_that_ends_tls(visitor: Visitor) -> None:
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": "https://localhost"}
    assert post(visitor, "/openrouter/disconnect", headers).status_code == 303


def test_without_fetch_metadata_the_referer_says_whether_another_site_began_a_login(
    app: Flask,
) -> None:
    """Browsers send none on plain http. A proxy that ends TLS hides the scheme."""
    cases = [
        ("", False),
        ("http://localhost:5000/chat", False),
        ("http://localhost:5000", False),
        ("https://localhost:5000/", False),
        ("http://localhost/", True),
        ("http://evil.example/", True),
        ("http://evil.example/http://localhost:5000/", True),
        ("http://localhost:5000.evil.example/", True),
    ]
    for referrer, is_foreign in cases:
        headers = {"Referer": referrer} if referrer else {}
        for site, expected in ((None, is_foreign), ("none", False), ("cross-site", True)):
            sent = headers if site is None else {**headers, "Sec-Fetch-Site": site}
            with app.test_request_context(base_url="http://localhost:5000", headers=sent):
                assert is_cross_site() is expected, sent


def test_on_plain_http_other_sites_do_not_push_out_a_login(app: Flask, emulator: Emulator) -> None:
    visitor = Visitor(app)
    callback = emulator.approve(visitor.start())
    for _ in range(8):
        visitor.client.get("/openrouter/login", headers={"Referer": "http://evil.example/"})
    assert visitor.get(callback).status_code == 303
    assert visitor.key is not None
