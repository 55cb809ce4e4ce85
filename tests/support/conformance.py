"""The tables of docs/conformance.md, measured by calling the SDKs, our client and the emulator.

A test compares them with the page. To write them into the page::

    OPENROUTER_WRITE_DOCS=1 python -m pytest tests/emulator/test_conformance_table.py
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from operator import attrgetter
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from callers import ATTRIBUTION, PYTHON_METHODS, Caller, OurClient, PythonSDK, python_sdk
from conformance_probes import QUESTION, ask, has_effect, issued_code, refuses
from openapi_document import operation as documented
from protocol_steps import CALLBACK_URL, CODE_CHALLENGE, CODE_VERIFIER, PLAIN, S256
from typescript_sdk import TypeScriptSDK

from flask_openrouter import OpenRouterClient
from flask_openrouter.client import KeyInfo
from flask_openrouter.emulator import Emulator

YES, NO, GUIDE, REFERENCE = "yes", "no", "guide", "reference"
COLUMNS = ("documented", "Python SDK", "TypeScript SDK", "ours", "emulator")
Row = tuple[str, ...]


@dataclass(frozen=True)
class Operation:
    """One operation of OpenRouter, and the method of each client that requests it."""

    request: str
    documented: str = NO
    python: str | None = None
    typescript: str | None = None
    ours: str | None = None


#: ``documented``: where, if it is not in (the stored part of) the OpenAPI document.
OPERATIONS = (
    Operation("GET /auth", GUIDE, None, "oAuth.createAuthorizationUrl", "authorization_url"),
    Operation(
        "POST /api/v1/auth/keys",
        python=PYTHON_METHODS["exchange"],
        typescript="oAuth.exchangeAuthCodeForAPIKey",
        ours="exchange_code",
    ),
    Operation(
        "POST /api/v1/auth/keys/code",
        python=PYTHON_METHODS["create_code"],
        typescript="oAuth.createAuthCode",
        ours="create_auth_code",
    ),
    Operation(
        "GET /api/v1/key",
        python=PYTHON_METHODS["key"],
        typescript="apiKeys.getCurrentKeyMetadata",
        ours="get_key_info",
    ),
    Operation("GET /api/v1/auth/key"),
    Operation(
        "POST /api/v1/chat/completions",
        python=PYTHON_METHODS["chat"],
        typescript="chat.send",
        ours="api_session",
    ),
    Operation(
        "GET /api/v1/models", python="models.list", typescript="models.list", ours="api_session"
    ),
    Operation(
        "GET /api/v1/models/user",
        REFERENCE,
        "models.list_for_user",
        "models.listForUser",
        "api_session",
    ),
    Operation("GET /api/v1/models/count", REFERENCE, "models.count", "models.count", "api_session"),
    Operation(
        "GET /api/v1/model/{author}/{slug}", REFERENCE, "models.get", "models.get", "api_session"
    ),
    Operation(
        "GET /api/v1/models/{author}/{slug}/endpoints",
        REFERENCE,
        "endpoints.list",
        "endpoints.list",
        "api_session",
    ),
    Operation(
        "GET /api/v1/embeddings/models",
        REFERENCE,
        "embeddings.list_models",
        "embeddings.listModels",
        "api_session",
    ),
    Operation(
        "GET /api/v1/providers", REFERENCE, "providers.list", "providers.list", "api_session"
    ),
    Operation(
        "GET /api/v1/generation",
        REFERENCE,
        "generations.get_generation",
        "generations.getGeneration",
        "api_session",
    ),
    Operation(
        "POST /api/v1/responses", REFERENCE, "responses.send", "responses.send", "api_session"
    ),
    Operation("POST /api/v1/completions", GUIDE, ours="api_session"),
    Operation(
        "POST /api/v1/embeddings",
        REFERENCE,
        "embeddings.generate",
        "embeddings.generate",
        "api_session",
    ),
    Operation(
        "GET /api/v1/credits",
        python=PYTHON_METHODS["credits"],
        typescript="credits.getCredits",
        ours="api_session",
    ),
)
#: The parameters of OpenRouter's consent page: where each is documented, and a value.
AUTH_PARAMETERS = {
    "callback_url": (GUIDE, "http://localhost:3000/callback"),
    "code_challenge": (GUIDE, CODE_CHALLENGE),
    "code_challenge_method": (GUIDE, "S256"),
    "key_label": (GUIDE, "A key"),
    "limit": (NO, 5),
    "state": (GUIDE, "nonce"),
    "workspace_id": (GUIDE, "12345678-1234-4234-8234-123456789012"),
    "required_workspace_id": (GUIDE, "12345678-1234-4234-8234-123456789012"),
}
BODY_PARAMETERS: Mapping[str, Any] = {
    "code": "any",
    "code_verifier": CODE_VERIFIER,
    "callback_url": CALLBACK_URL,
    **S256,
    "expires_at": "2099-12-31T23:59:59Z",
    "key_label": "A key",
    "limit": 5,
    "usage_limit_type": "monthly",
    "workspace_id": "12345678-1234-4234-8234-123456789012",
}
LOGINS: Mapping[str, Mapping[str, str]] = {
    "PKCE with `S256`": {"callback_url": CALLBACK_URL, **S256},
    "PKCE with `plain`": {"callback_url": CALLBACK_URL, **PLAIN},
    "no PKCE": {"callback_url": CALLBACK_URL},
    "headless: no callback, the page shows the code": S256,
}
PATHS = {
    "exchange": "/auth/keys",
    "create_code": "/auth/keys/code",
    "key": "/key",
    "chat": "/chat/completions",
}


class Conformance:
    """Measures the cells of the tables."""

    def __init__(self, emulator: Emulator, typescript: TypeScriptSDK) -> None:
        self._emulator = emulator
        self._typescript = typescript
        self._callers: tuple[Caller, ...] = (PythonSDK(), typescript, OurClient())

    def tables(self) -> dict[str, list[Row]]:
        """Return the rows of every table by the table's heading on the page."""
        return {
            "Operations": list(self._operations()),
            "Ways to log in": list(self._logins()),
            "Parameters": list(self._parameters()),
            "Errors": list(self._errors()),
            "Fields of `GET /api/v1/key`": list(self._key_fields()),
        }

    def _operations(self) -> Iterator[Row]:
        wanted = [one.typescript for one in OPERATIONS if one.typescript]
        theirs = self._typescript.call("methods", self._emulator.url, names=wanted).value
        with python_sdk(self._emulator.url, None) as sdk:
            for one in OPERATIONS:
                method, path = one.request.split()
                is_documented = documented(method, path.removeprefix("/api/v1"))
                known = path.format(author="openai", slug="gpt-4o")
                missing = ask(self._emulator, method, known, json={}) in (404, 405)
                yield (
                    f"`{one.request}`",
                    YES if is_documented else one.documented,
                    _name(one.python, lambda name: callable(attrgetter(name)(sdk))),
                    _name(one.typescript, lambda name: name in theirs),
                    _name(one.ours, lambda name: hasattr(OpenRouterClient, name)),
                    NO if missing else YES,
                )

    def _logins(self) -> Iterator[Row]:
        for label, parameters in LOGINS.items():
            cells = [self._login(caller, parameters) for caller in self._callers]
            accepted = issued_code(self._emulator, parameters)
            yield (f"{label}", GUIDE, *cells, YES if accepted else NO)

    def _login(self, caller: Caller, parameters: Mapping[str, str]) -> str:
        emulator = self._emulator
        asked = caller.call("authorization_url", emulator.url, **parameters)
        wanted = dict(parse_qsl(urlsplit(asked.value or "").query))
        sent = {"code": issued_code(emulator, parameters)}
        if "code_challenge" in parameters:
            sent["code_verifier"] = CODE_VERIFIER
            sent["code_challenge_method"] = parameters["code_challenge_method"]
        if caller.call("exchange", emulator.url, **sent).error is not None:
            return NO
        return YES if wanted == parameters else "exchange only"

    def _parameters(self) -> Iterator[Row]:
        for name, (where, _) in AUTH_PARAMETERS.items():
            yield self._parameter("/auth", name, where, self._asked_for)
        for operation in ("exchange", "create_code"):
            body = documented("POST", PATHS[operation])
            assert body is not None
            schema = body["requestBody"]["content"]["application/json"]["schema"]
            for name in schema["properties"]:
                yield self._parameter(
                    PATHS[operation], name, YES, partial(self._sent_to, operation)
                )
        for name in ATTRIBUTION:
            yield self._parameter("headers", name, GUIDE, self._headers_of)

    def _parameter(
        self, of: str, name: str, where: str, sent_by: Callable[[Caller], set[str]]
    ) -> Row:
        cells = [YES if name in sent_by(caller) else NO for caller in self._callers]
        label = f"`{name}`" if of == "headers" else f"`{name}` of `{of}`"
        return (label, where, *cells, YES if has_effect(of, name, self._emulator) else NO)

    def _asked_for(self, caller: Caller) -> set[str]:
        values = {name: value for name, (_, value) in AUTH_PARAMETERS.items()}
        url = caller.call("authorization_url", self._emulator.url, **values).value or ""
        query = dict(parse_qsl(urlsplit(url).query))
        # Our client puts it into callback_url, where it comes back for certain.
        return {*query, "state"} if "state=nonce" in query.get("callback_url", "") else set(query)

    def _sent_to(self, operation: str, caller: Caller) -> set[str]:
        values = {**BODY_PARAMETERS, "spawn_agent": "agent", "spawn_cloud": "cloud"}
        caller.call(operation, self._emulator.url, self._emulator.issue_key(), **values)
        return set(self._emulator.requests[-1].body)

    def _headers_of(self, caller: Caller) -> set[str]:
        caller.call("key", self._emulator.url, self._emulator.issue_key())
        headers = self._emulator.requests[-1].headers
        return {name for name in ATTRIBUTION if headers.get(name.lower()) == ATTRIBUTION[name]}

    def _errors(self) -> Iterator[Row]:
        for operation, path in PATHS.items():
            method = "GET" if operation == "key" else "POST"
            described = documented(method, path)
            assert described is not None
            statuses = {int(status) for status in described["responses"]} - {200}
            if operation == "exchange":
                statuses.add(405)
            for status in sorted(statuses):
                where = YES if str(status) in described["responses"] else GUIDE
                cells = [self._error(caller, operation, status) for caller in self._callers]
                itself = refuses(operation, status, self._emulator)
                last = YES if itself else "fault"
                yield (f"`{path}`: {status}", where, *cells, last)

    def _error(self, caller: Caller, operation: str, status: int) -> str:
        emulator = self._emulator
        api_key = None if operation == "exchange" else emulator.issue_key()
        given = QUESTION if operation == "chat" else BODY_PARAMETERS
        with emulator.faults(status=status, path=f"/api/v1{PATHS[operation]}"):
            outcome = caller.call(operation, emulator.url, api_key, **given)
        if outcome.error is None:
            return "returned" if outcome.value.status_code == status else NO
        return f"`{outcome.error}`" if outcome.status == status else NO

    def _key_fields(self) -> Iterator[Row]:
        emulator = self._emulator
        api_key = emulator.issue_key(limit=5)
        described = documented("GET", "/key")
        assert described is not None
        schema = described["responses"]["200"]["content"]["application/json"]["schema"]
        in_document = set(schema["properties"]["data"]["properties"])
        python, typescript = (
            set(caller.call("key", emulator.url, api_key).value["data"])
            for caller in self._callers[:2]
        )
        ours = {field.name for field in fields(KeyInfo)}
        sent = set(emulator.ledger.key_info(_hash_of(emulator, api_key), emulator.now()))
        groups = (in_document, python, typescript, ours, sent)
        for name in sorted(set().union(*groups)):
            yield (f"`{name}`", *(YES if name in group else NO for group in groups))


def _hash_of(emulator: Emulator, api_key: str) -> str:
    key_hash = emulator.ledger.live_key(api_key, emulator.now())
    assert key_hash is not None
    return key_hash


def _name(name: str | None, exists: Callable[[str], bool]) -> str:
    return f"`{name}`" if name is not None and exists(name) else NO


def as_markdown(rows: list[Row]) -> str:
    """Return a table of GitHub-flavoured Markdown."""
    documented, python, typescript, *others = COLUMNS
    sdks: tuple[str, ...] = (python, typescript)
    if all(row[2] == row[3] for row in rows):
        sdks, rows = ("both SDKs",), [(*row[:2], *row[3:]) for row in rows]
    head = ("", documented, *sdks, *others)
    lines = [head, ("---",) * len(head), *_merged(rows)]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def _merged(rows: list[Row]) -> list[Row]:
    """Return a row for all names of the same operation that have the same cells."""
    names: dict[Row, list[str]] = {}
    for label, *cells in rows:
        name, of, operation = label.partition(" of ")
        names.setdefault((of + operation, *cells), []).append(name)
    return [(", ".join(found) + of, *cells) for (of, *cells), found in names.items()]


def methods_of_oauth(sdk: Any) -> set[str]:
    """Return the public methods of the Python SDK's OAuth part, without their ``async`` twins."""
    names = {name for name, _ in inspect.getmembers(sdk.o_auth, inspect.ismethod)}
    return {n for n in names if not n.startswith(("_", "do_request")) and not n.endswith("_async")}
