"""Any query with any cookies, sent to the callback route.

An input is the raw query, a line feed, and the raw ``Cookie`` header. ``{logins}`` stands for the
cookies of a browser with pending logins, ``{connected}`` for the other cookies of that browser,
which has a key, and ``{state}``, ``{expired}`` and ``{finished}`` for the states of its logins. A
fuzzer cannot sign a cookie, and the code behind the signature is to be tested as well.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from attack import parameter, save_jar
from flask import Flask
from leaks import leaks_in, session_text
from visitor import NAVIGATE, Visitor
from werkzeug.sansio.http import parse_cookie
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_openrouter import OpenRouterAuth, OpenRouterClient
from flask_openrouter.client import IssuedKey
from flask_openrouter.login.logins import part_of

NOW = 1_800_000_000
LOGIN_MAX_AGE = 600
API_KEY = "sk-or-v1-" + "5eed" * 16
#: The part that differs between two responses to the same request.
_REFERENCE = re.compile(r"reference(:|) [0-9a-f]{8}")
_OWNER = re.compile(r" \[owner [0-9a-f]{12}[^]]*\]")


#: Compared separately, or different in each response.
_CHANGING = frozenset({"Location", "Set-Cookie", "Content-Length"})
#: An address of this site, and nothing that a browser could take for one elsewhere.
_LOCAL = re.compile(r"/(?![/\\])[!-\[\]-~]*")


@dataclass(frozen=True)
class Answer:
    """A response, without the parts that differ each time."""

    status: int
    location: str | None
    head: tuple[tuple[str, str], ...]
    body: str


class Client(OpenRouterClient):
    """A client that exchanges every code without a request."""

    def __init__(self) -> None:
        super().__init__()
        self.exchanged: list[tuple[str, str]] = []

    def exchange_code(
        self,
        code: str,
        code_verifier: str | None = None,
        code_challenge_method: str | None = None,
    ) -> IssuedKey:
        assert code_challenge_method == "S256"
        assert code_verifier is not None
        self.exchanged.append((code, code_verifier))
        return IssuedKey(API_KEY, "user_fuzzed")


class Log(logging.Handler):
    """Every line that the extension logs."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(_OWNER.sub("", _REFERENCE.sub("reference", record.getMessage())))


class CallbackTarget:
    """The app, one of its browsers, and the permitted responses."""

    #: Requests for each permitted response. Any other request gets exactly one of these.
    PROBES = tuple(
        b"%s\n%s" % (query, cookies)
        for login in (b"{state}", b"{expired}", b"{finished}", b"unknown")
        for query in (
            b"",
            b"state=%s" % login,
            b"state=%s&error=access_denied" % login,
            b"state=%s&error=server_error" % login,
            b"state=%s&code=0123456789" % login,
            # Malformed.
            b"state=%s&code" % login,
        )
        for cookies in (
            b"",
            b"{logins}",
            b"{connected}",
            b"{logins}; {connected}",
            b"{logins}; openrouter=0123456789abcdef.garbled",
            b"openrouter=x; {connected}",
            b"openrouter=0123456789abcdef.garbled; {connected}",
        )
    )

    FINISHED = "/finished"

    def __init__(self) -> None:
        self.now = NOW
        self.client = Client()
        self.log = Log()
        self.app = self._make_app()
        self._names = self._make_browser()
        with self._logged():
            self._answers: set[Answer] = set()
            self._lines: set[str] = set()
            for probe in self.PROBES:
                answer, _ = self._ask(*self._parts(probe))
                self._answers.add(answer)
                self._lines.update(self.log.lines)
        self._locations = {answer.location for answer in self._answers} - {None}
        assert {answer.status for answer in self._answers} == {303, 400, 502}
        assert self._locations == {"/state", self.FINISHED}
        assert len(self._answers) >= 6

    def __call__(self, data: bytes) -> None:
        """Make the request that ``data`` describes, and check the response."""
        query, cookies = self._parts(data)
        with self._logged():
            answer, set_cookies = self._ask(query, cookies)
        location = answer.location
        if location is not None and location not in self._locations:
            # A cookie of the browser has the target of its last login: any page of this app.
            assert not self.client.exchanged, location
            assert _LOCAL.fullmatch(location), location
            answer = replace(answer, location=self.FINISHED)
        assert answer in self._answers, answer
        assert self._lines.issuperset(self.log.lines), self.log.lines
        self._check_exchange(query, cookies, set_cookies)

    def _check_exchange(self, query: bytes, cookies: bytes, set_cookies: list[str]) -> None:
        names = {line.partition("=")[0] for line in set_cookies}
        if not self.client.exchanged:
            assert names <= self._logins.keys(), names
            return
        assert {name for name in names if not name.startswith("openrouter")} == set(), names
        values: dict[str, list[str]] = {}
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
            values.setdefault(name, []).append(value)
        assert values["state"] == [self._names["state"]]
        ((code, code_verifier),) = self.client.exchanged
        assert values["code"] == [code]
        assert self.client.create_code_challenge(code_verifier) == self._code_challenge
        # The signed part exactly; base64 has several spellings of the signature itself.
        name = f"openrouter{part_of(values['state'][0])}"
        signed = parse_cookie(cookies.decode("latin-1"))[name].rpartition(".")[0]
        assert signed == self._logins[name].rpartition(".")[0]
        if len(code) >= 8:
            shown = [*set_cookies, session_text(parse_cookie("; ".join(set_cookies))[name])]
            assert leaks_in(shown, {"code": code, "code_verifier": code_verifier}) == []

    def _parts(self, data: bytes) -> tuple[bytes, bytes]:
        for name, value in self._names.items():
            data = data.replace(b"{%s}" % name.encode(), value.encode())
        query, _, cookies = data.partition(b"\n")
        return query, cookies

    def _ask(self, query: bytes, cookies: bytes) -> tuple[Answer, list[str]]:
        # Each input meets the server in its first state.
        self.app.extensions["openrouter"].finished_logins._exchanges.clear()
        self.client.exchanged.clear()
        self.log.lines.clear()
        environ = EnvironBuilder("/openrouter/callback", headers=NAVIGATE).get_environ()
        environ["QUERY_STRING"] = query.decode("latin-1")
        environ["REQUEST_URI"] = environ["RAW_URI"] = "/openrouter/callback?" + query.decode(
            "latin-1"
        )
        environ["HTTP_COOKIE"] = cookies.decode("latin-1")
        parts, status, headers = run_wsgi_app(self.app, environ, buffered=True)
        body = _REFERENCE.sub("reference", b"".join(parts).decode())
        head = tuple((name, value) for name, value in headers if name not in _CHANGING)
        answer = Answer(int(status[:3]), headers.get("Location"), head, body)
        return answer, headers.getlist("Set-Cookie")

    def _make_app(self) -> Flask:
        app = Flask("fuzzed")
        app.config.update(TESTING=True, SECRET_KEY="fuzzed " * 5)
        OpenRouterAuth(app, clock=lambda: self.now)
        services = app.extensions["openrouter"]
        app.extensions["openrouter"] = replace(services, client=self.client)
        return app

    def _make_browser(self) -> dict[str, str]:
        """Log in once, begin a login that is too old now, and one that waits."""
        old, visitor = Visitor(self.app), Visitor(self.app)
        self.now = NOW - 2 * LOGIN_MAX_AGE
        expired = _state_of(old.start("/expired"))
        self._logins = save_jar(old)
        self.now = NOW
        finished = visitor.callback_url(visitor.start("/finished"), code="0123456789")
        answer = visitor.get(finished)
        assert answer.status_code == 303
        cookies = [line.partition(";")[0] for line in answer.headers.getlist("Set-Cookie")]
        authorization_url = visitor.start("/state")
        self._code_challenge = parameter(authorization_url, "code_challenge")
        name = f"openrouter{part_of(_state_of(authorization_url))}"
        # To start a login drops those that are too old; a browser may hold them all the same.
        self._logins[name] = save_jar(visitor)[name]
        return {
            "state": _state_of(authorization_url),
            "expired": expired,
            "finished": parameter(finished, "state"),
            "logins": "; ".join(map("=".join, self._logins.items())),
            "connected": "; ".join(cookies),
        }

    @contextmanager
    def _logged(self) -> Iterator[None]:
        logger = logging.getLogger("flask_openrouter")
        level, propagates = logger.level, logger.propagate
        logger.addHandler(self.log)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        try:
            yield
        finally:
            logger.removeHandler(self.log)
            logger.setLevel(level)
            logger.propagate = propagates


def _state_of(authorization_url: str) -> str:
    return parameter(parameter(authorization_url, "callback_url"), "state")
