"""G. Pages: fixed words, no scripts, no frames, and always a way on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import jinja2
import pytest
from flask import Flask
from misbehaving import Act, MisbehavingProvider, answer, hang, http_answer, issue_key, raw, reset
from visitor import Visitor

from flask_openrouter.emulator import Emulator
from flask_openrouter.problems import PROBLEMS

MakeApp = Callable[..., Flask]

XSS = (
    "<svg/onload=alert(1)>", "<script>alert(1)</script>", '"-alert()-"', "'-alert()-'",
    '"><img src=x onerror=alert(1)>', "'><svg onload=alert(1)>", "</title><script>x</script>",
    "</style><script>x</script>", "<!--<img src=--><img src=x onerror=x//>", "<iframe src=//evil>",
    "javascript:alert(document.domain)", "JaVaScRiPt:alert(2)", "data:text/html,<script>3</script>",
    "{{7*7}}", "{{config}}", "${7*7}", "<%= 7*7 %>", "{% debug %}", "#{7*7}", "{{''.__class__}}",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-", "\x00<b>nul</b>", "\u202etxt.exe", "\ufeff<b>bom",
    "\u2028alert(4)", "<a href=//evil.example>here</a>", "<meta http-equiv=refresh content=0>",
    "<base href=//evil.example>", "evil\r\nX-Injected: 1", "`${alert(5)}`", "\x1b[2Jevil",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(6)>", "%3Csvg%3E-raw",
)  # fmt: skip

# The policy that the pages must bear, whoever sends it.
CSP = {
    "default-src 'none'",
    "style-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
}


class Page(HTMLParser):
    """The tags, attributes, texts and inline code of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def assert_harmless(page: Page, *, scripts: tuple[str, ...] = ()) -> None:
    """What R57 asks for: the page loses nothing under its policy."""
    assert tuple(str(script.get("src")) for script in page.all("script")) == scripts
    for tag, attributes in page.tags:
        assert tag not in {"style", "iframe", "object", "embed", "base", "img", "svg"}
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name != "style"
            if name in {"href", "src", "action", "formaction"}:
                assert urlsplit(value or "").scheme in {"", "http", "https"}, value
    for link in page.all("link"):
        assert str(link["href"]).startswith("/openrouter/static/")
    assert not [meta for meta in page.all("meta") if "http-equiv" in meta]


def assert_headers(answer: Any, *, scripts: bool = False) -> None:
    policy = set(answer.headers["Content-Security-Policy"].split("; "))
    assert policy == CSP | ({"script-src 'self'"} if scripts else set())
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Cookie" in answer.headers["Vary"]


@pytest.fixture
def provider() -> Iterator[MisbehavingProvider]:
    with MisbehavingProvider(issue_key("sk-or-v1-" + "0" * 64)) as provider:
        yield provider


def callback(visitor: Visitor, **values: str) -> Any:
    return visitor.get(visitor.callback_url(visitor.start("/mine"), **values))


@pytest.mark.requirement("R56")
@pytest.mark.parametrize("payload", XSS, ids=ascii)
def test_nothing_from_the_url_is_on_a_page(payload: str, visitor: Visitor) -> None:
    answers = [
        callback(visitor, error=payload),
        callback(visitor, error="access_denied", error_description=payload, error_uri=payload),
        callback(visitor, code=payload),
        callback(visitor, code="any-code", iss=payload),
        callback(visitor, **{f"code{payload}": "x"}),
        visitor.get(f"/openrouter/callback?{urlencode({'state': payload, 'code': payload})}"),
        visitor.get(f"/openrouter/callback?{quote(payload)}"),
        visitor.get(f"/openrouter/disconnected?{urlencode({'key': payload, 'next': payload})}"),
        visitor.get(f"/openrouter/connected?{urlencode({'next': payload})}"),
        visitor.get(f"/openrouter/code?{urlencode({'next': payload, 'state': payload})}"),
        visitor.post("/openrouter/code", data={"code": payload, "state": payload}),
        visitor.post(f"/openrouter/save?{urlencode({'next': payload})}"),
        visitor.get(f"/openrouter/status?{urlencode({'next': payload, 'callback': payload})}"),
        visitor.get(
            f"/openrouter/login?{urlencode({'next': payload})}", **{"Sec-Purpose": "prefetch"}
        ),
        visitor.get(f"/openrouter/login/{quote(payload, safe='')}"),
        visitor.get(f"/openrouter/callback/{quote(payload, safe='')}?code=x"),
        Visitor(visitor.app, "http://app.example").get(
            f"/openrouter/login?{urlencode({'next': payload})}"
        ),
        visitor.client.get(
            "/openrouter/login",
            headers={"Host": payload.encode().decode("latin-1").replace("\r\n", "")},
        ),
    ]
    clean = payload.strip("\r\n")
    for shown in answers:
        body = shown.text
        for form in (clean, escape(clean), unescape(clean), quote(clean)):
            if form != clean or re.search(r"\W", clean):
                assert form not in body
        assert "49" not in re.sub(r"reference [0-9a-f]+|[A-Za-z0-9_-]{22,}|state=\S+", "", body)
        assert "X-Injected" not in str(shown.headers)
        assert shown.headers.get("X-Injected") is None


@pytest.mark.requirement("R56")
def test_a_next_that_looks_like_code_is_at_most_part_of_a_link(app: Flask) -> None:
    """It is a path of this origin, percent-encoded, and in no text."""
    visitor = Visitor(app, "http://app.example")
    for payload in XSS:
        answer = visitor.get(f"/openrouter/login?{urlencode({'next': f'/{payload}'})}")
        page = Page(answer.text)
        assert payload not in page.text
        assert_harmless(page)
        assert not re.search(r"<svg|<img|<b>|onerror=|\{\{", answer.text)


@pytest.mark.requirement("R56")
@pytest.mark.parametrize("payload", XSS[::3], ids=ascii)
@pytest.mark.parametrize("status", [200, 400, 403, 429, 500])
def test_nothing_from_openrouter_is_on_a_page(status: int, payload: str, make_app: MakeApp) -> None:
    body = {
        "error": {"code": status, "message": payload},
        "message": payload,
        "key": payload + "\n",
    }
    headers = {"X-Request-Id": quote(payload), "Retry-After": "7"}
    with MisbehavingProvider(answer(status, body, headers)) as provider:
        page = callback(Visitor(make_app(OPENROUTER_BASE_URL=provider.url)), code="any-code")
    assert page.status_code in (400, 502)
    for form in (payload, escape(payload), quote(payload)):
        assert form not in page.text


@pytest.mark.requirement("R56")
def test_pages_are_utf_8_and_not_sniffed(visitor: Visitor) -> None:
    for shown in (callback(visitor, error="x"), visitor.get("/openrouter/disconnected")):
        assert shown.content_type == "text/html; charset=utf-8"
        assert shown.headers["X-Content-Type-Options"] == "nosniff"


def every_page(app: Flask) -> list[tuple[str, Any]]:
    """Each page of the extension, and each problem as a page."""
    from flask_openrouter.pages.responses import show_problem

    for code in PROBLEMS:

        def show(code: str = code) -> Any:
            return show_problem(PROBLEMS[code], next_url="/a?b=c")

        app.add_url_rule(f"/problem/{code}", code, show)
    visitor = Visitor(app)
    paths = [f"/problem/{code}" for code in PROBLEMS]
    paths += [f"/openrouter/{name}" for name in ("disconnected", "code", "connected")]
    return [(path, visitor.get(path)) for path in paths]


@pytest.mark.requirement("R57")
def test_pages_run_under_a_strict_policy(app: Flask, emulator: Emulator) -> None:
    for path, shown in every_page(app):
        page = Page(shown.text)
        is_popup = path.endswith("/connected")
        scripts = ("/openrouter/static/popup.js",) if is_popup else ()
        assert_harmless(page, scripts=scripts)
        assert_headers(shown, scripts=is_popup)
        foreign = {
            f"{urlsplit(a['href']).scheme}://{urlsplit(a['href']).netloc}"
            for a in page.all("a")
            if a["href"] and urlsplit(a["href"]).netloc
        }
        assert foreign <= {emulator.url}
        assert len(page.all("h1")) == 1
        assert page.all("html")[0]["lang"] == "en"
        assert page.all("main")


@pytest.mark.requirement("R57")
def test_the_style_needs_nothing_from_elsewhere(visitor: Visitor) -> None:
    with visitor.get("/openrouter/static/openrouter.css") as style:
        assert style.content_type.startswith("text/css")
        text = style.text
    assert not re.search(r"url\(|@import|expression|https?:", text)


@pytest.mark.requirement("R58")
def test_every_answer_of_the_extension_refuses_frames(visitor: Visitor, emulator: Emulator) -> None:
    start = visitor.get("/openrouter/login")
    background = visitor.get("/openrouter/login", **{"Sec-Fetch-Dest": "image"})
    prefetch = visitor.get("/openrouter/login", Purpose="prefetch")
    landed = visitor.get(emulator.approve(start.location))
    refused = visitor.get("/openrouter/callback")
    status = visitor.get("/openrouter/status")
    gone = visitor.post("/openrouter/disconnect")
    guarded = visitor.get("/guarded")
    script = visitor.get("/guarded", Accept="application/json")
    foreign = visitor.post("/openrouter/disconnect", headers={"Origin": "https://evil.example"})
    for shown in (
        start, background, prefetch, landed, refused, status, gone, guarded, script, foreign
    ):  # fmt: skip
        assert_headers(shown)


@pytest.mark.requirement("R58")
def test_the_policy_of_the_app_s_own_pages_is_left_alone(
    app: Flask, visitor: Visitor, emulator: Emulator
) -> None:
    @app.after_request
    def own_policy(response: Any) -> Any:
        response.headers.setdefault("Content-Security-Policy", "default-src 'self'")
        response.headers.setdefault("X-Frame-Options", "SAMEORIGIN")
        return response

    visitor.connect(emulator)
    for path in ("/", "/guarded"):
        answer = visitor.get(path)
        assert answer.headers["Content-Security-Policy"] == "default-src 'self'"
        assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert_headers(visitor.get("/openrouter/disconnected"))


@pytest.mark.requirement("R59")
def test_no_address_with_a_code_is_told_to_other_sites(
    visitor: Visitor, emulator: Emulator
) -> None:
    callback_url = emulator.approve(visitor.start())
    with emulator.faults(status=500, path="/api/v1/auth/keys"):
        failed = visitor.get(callback_url)
    assert failed.status_code == 502
    landed = visitor.connect(emulator)
    declined = visitor.get(emulator.deny(visitor.start()))
    wrong = visitor.get("/openrouter/callback?code=a&state=b")
    for shown in (failed, landed, declined, wrong, visitor.get("/openrouter/login")):
        assert shown.headers["Referrer-Policy"] == "no-referrer"


NOT_JSON = "<html><h1>Traceback</h1>nginx/1.2 /usr/lib/python3</html>"
FAULTS: dict[str, tuple[Act, int]] = {
    "f3_expired": (answer(403, {"error": {"message": "Authorization code expired"}}), 400),
    "f4_wrong_verifier": (answer(403, {"error": {"message": "Invalid code_verifier"}}), 400),
    "f5_method": (answer(400, {"error": {"message": "Invalid code_challenge_method"}}), 400),
    "f6_405": (answer(405, {"error": {"message": "Method Not Allowed"}}), 502),
    "f7_409": (answer(409, "conflict"), 502),
    "f7_429": (answer(429, "slow down", {"Retry-After": "3600"}), 502),
    "f8_500": (answer(500, NOT_JSON), 502),
    "f8_503": (answer(503, NOT_JSON), 502),
    "f13_reset": (reset(), 502),
    "f14_half": (raw(http_answer(200, '{"key": "sk', length=999)), 502),
    "f15_silence": (hang(), 504),
    "f17_redirect": (answer(307, "", {"Location": "http://127.0.0.1:9/"}), 502),
    "f18_null": (answer(200, "null"), 502),
    "f19_portal": (answer(200, NOT_JSON), 502),
    "f14_garbage": (raw(b"SSH-2.0-OpenSSH_9\r\n"), 502),
}


@pytest.mark.requirement("R60")
@pytest.mark.parametrize("fault", FAULTS)
def test_after_every_fault_a_person_knows_what_to_do(fault: str, make_app: MakeApp) -> None:
    act, status = FAULTS[fault]
    with MisbehavingProvider(act) as provider:
        app = make_app(OPENROUTER_BASE_URL=provider.url, OPENROUTER_REQUEST_TIMEOUT=0.4)
        failed = callback(Visitor(app), code="any-code")
        assert len(provider.exchanges) == 1
    assert failed.status_code == status
    assert_explains(failed)


@pytest.mark.requirement("R60")
def test_nobody_listens(make_app: MakeApp) -> None:
    with MisbehavingProvider() as provider:
        url = provider.url
    failed = callback(Visitor(make_app(OPENROUTER_BASE_URL=url)), code="any-code")
    assert failed.status_code == 502
    assert_explains(failed)


@pytest.mark.requirement("R60")
def test_every_problem_has_a_page_that_leads_on(app: Flask) -> None:
    for path, shown in every_page(app):
        if path.startswith("/problem/"):
            assert shown.status_code == PROBLEMS[path.removeprefix("/problem/")].status
            assert_explains(shown)


def assert_explains(answer: Any) -> None:
    page = Page(answer.text)
    words = " ".join(page.text.split())
    assert re.search(r"reference [0-9a-f]{8}", words)
    assert not re.search(
        r"(?i)traceback|\.py\b|/usr|flask|requests\.|urllib|exception|errno|werkzeug|nginx", words
    )
    # By click only: nothing restarts by itself.
    assert "Location" not in answer.headers
    assert "Refresh" not in answer.headers
    assert not [meta for meta in page.all("meta") if "http-equiv" in meta]
    targets = [a["href"] for a in page.all("a")] + [form["action"] for form in page.all("form")]
    assert any(
        str(target).startswith(("/openrouter/login", "/openrouter/save"))
        or "/settings/credits" in str(target)
        for target in targets
    )


@pytest.mark.requirement("R61")
def test_an_app_may_bring_its_own_error_page(make_app: MakeApp, tmp_path: Path) -> None:
    """It gets the documented variables, all of them fixed words or checked addresses."""
    folder = tmp_path / "openrouter"
    folder.mkdir()
    (folder / "error.html").write_text(
        "OWN {{ problem.code }}|{{ problem.status }}|{{ problem.title }}|{{ problem.message }}|"
        "{{ problem.hints | length }}|{{ problem.key_may_exist }}|{{ login_url }}|{{ save_url }}|"
        "{{ home_url }}|{{ keys_url }}|{{ credits_url }}|{{ reference }}",
        encoding="utf-8",
    )
    app = make_app()
    app.jinja_loader = jinja2.FileSystemLoader(tmp_path)
    app.jinja_env.undefined = jinja2.StrictUndefined
    answer = Visitor(app).get("/openrouter/callback?code=<b>&state=<b>&error={{7*7}}")
    assert answer.status_code == 400
    assert answer.text.startswith("OWN malformed|400|This link is not complete|")
    assert "<b>" not in answer.text
    assert "49" not in answer.text.rpartition("|")[0]
    assert_headers(answer)
