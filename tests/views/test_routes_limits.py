"""Limits of requests to our routes, on every version of Flask."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask import Flask, request
from visitor import Visitor
from werkzeug.exceptions import SecurityError

from flask_openrouter.emulator import Emulator
from flask_openrouter.views import LimitedBody, check_request

LIMIT = 64 * 1024
POSTS = ("/openrouter/code", "/openrouter/save", "/openrouter/disconnect")


class Endless(io.RawIOBase):
    """A body that has no end, and counts what is read of it."""

    taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.taken += len(buffer)
        start = b"a=" if self.taken == len(buffer) else b"x"
        buffer[:] = start.ljust(len(buffer), b"x")
        return len(buffer)


@pytest.mark.requirement("A14")
def test_a_body_that_is_too_long_is_refused_unread(visitor: Visitor) -> None:
    for path in POSTS:
        for data in (
            {"code": "x" * LIMIT},
            {"code": (io.BytesIO(b"x" * 200_000), "upload.bin")},
        ):
            answer = visitor.post(path, data=data)
            assert answer.status_code == 413, path
            assert "Set-Cookie" not in answer.headers, path


@pytest.mark.requirement("A14")
def test_a_chunked_body_is_refused_where_it_grows_too_long(visitor: Visitor) -> None:
    for path in ("/openrouter/code", "/openrouter/save"):
        for content_type in (
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=b",
        ):
            body = Endless()
            answer = visitor.client.post(
                path,
                headers={"Transfer-Encoding": "chunked", "Sec-Fetch-Site": "same-origin"},
                content_type=content_type,
                environ_overrides={
                    "wsgi.input": body,
                    "wsgi.input_terminated": True,
                    "CONTENT_LENGTH": "",
                },
            )
            assert answer.status_code == 413, (path, content_type)
            assert body.taken <= 2 * LIMIT, (path, content_type)


@pytest.mark.requirement("A14")
def test_the_limit_comes_before_the_hooks_of_the_app(app: Flask) -> None:
    """Flask-WTF reads every form before its view, and would store an upload."""
    flask_wtf = pytest.importorskip("flask_wtf")
    seen = []
    app.config["WTF_CSRF_ENABLED"] = True
    app.before_request(lambda: seen.append(request.path))
    flask_wtf.CSRFProtect(app)
    for path in POSTS:
        assert Visitor(app).post(path, data={"code": "x" * LIMIT}).status_code == 413
    assert seen == []


@pytest.mark.requirement("A14")
def test_a_form_of_the_usual_size_and_the_apps_own_routes_are_not_limited(
    app: Flask, emulator: Emulator
) -> None:
    @app.post("/upload")
    def upload() -> str:
        return str(len(request.get_data()))

    visitor = Visitor(app)
    assert visitor.post("/upload", data=b"x" * 3 * LIMIT).text == str(3 * LIMIT)
    assert visitor.post("/openrouter/code", data={"code": "x" * 60_000}).status_code == 400
    visitor.connect(emulator)
    assert visitor.post("/openrouter/disconnect", data={"next": "/a"}).location == "/a"


@pytest.mark.requirement("W21")
def test_only_trusted_hosts_are_served(make_app: Any) -> None:
    app: Flask = make_app(TRUSTED_HOSTS=["app.example", ".sites.example"])
    for host, is_trusted in (
        ("app.example", True),
        ("a.sites.example", True),
        ("evil.example", False),
        ("app.example.evil.example", False),
    ):
        answer = app.test_client().get("/openrouter/status", base_url=f"https://{host}")
        assert answer.status_code == (200 if is_trusted else 400), host
        start = app.test_client().get("/openrouter/login", base_url=f"https://{host}")
        assert start.status_code == (303 if is_trusted else 400), host


def test_a_body_within_the_limit_may_be_buffered() -> None:
    """As an app's own middleware may do it."""
    body = io.BufferedReader(LimitedBody(io.BytesIO(b"a=b")))
    assert body.read() == b"a=b"


@pytest.mark.requirement("W21", "R72")
def test_a_malformed_host_is_refused(app: Flask) -> None:
    """Werkzeug does so since 3.1 only, so the host is set behind its back."""
    for host, is_good in (
        ("app.example", True),
        ("APP.example:8080", True),
        ("my_app:80", True),
        ("my_app:", False),
        ("[::1]:5000", True),
        ("127.0.0.1", True),
        ("app.example/@evil.example", False),
        ("app.example@evil.example", False),
        ("app.example:99999", False),
        ("app.example:80:80", False),
        ("", False),
        ("a b", False),
        ("\u0661.example", False),
    ):
        with app.test_request_context("/openrouter/login"):
            request.environ["HTTP_HOST"] = host
            if is_good:
                check_request("openrouter.login", {})
            else:
                with pytest.raises(SecurityError):
                    check_request("openrouter.login", {})
