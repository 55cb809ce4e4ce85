"""The emulator behaves as its own OpenAPI document says, for valid and invalid requests.

schemathesis generates both kinds from the document, and checks each response against it: statuses,
media types, headers, bodies, and that operations with security need a key.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
import schemathesis
from cases import case
from flask import Response
from hypothesis import settings
from jsonschema import Draft202012Validator
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup

from flask_openrouter.emulator import Emulator, EmulatorConfig, create_emulator_app
from flask_openrouter.emulator.authorization import AuthorizationRequest
from flask_openrouter.emulator.openapi import document

CODE_VERIFIER = "v" * 43
AUTHORIZATION = AuthorizationRequest(
    callback_url="http://localhost:3000/callback",
    code_challenge=CODE_VERIFIER,
    code_challenge_method="plain",
)

app = create_emulator_app(EmulatorConfig(bad_code_style="documented"))
emulator: Emulator = app.extensions["openrouter_emulator"]
# Short runs leave out the boundary values of each field, which take seconds merely to collect.
is_short = settings.default.max_examples == 25
config = SchemathesisConfig.from_dict({"phases": {"coverage": {"enabled": not is_short}}})
schema = schemathesis.openapi.from_wsgi("/openapi.json", app, config=config)


@pytest.fixture(scope="module", autouse=True)
def _fresh() -> Iterator[None]:
    emulator.reset()
    yield
    emulator.reset()


@schema.parametrize()
@settings(
    max_examples=10 if is_short else 40,
    deadline=None,
    derandomize=True,
    database=None,
)
def test_every_response_is_as_documented(case: schemathesis.Case) -> None:
    is_valid = case.meta is not None and case.meta.generation.mode.is_positive
    if is_valid:
        _complete_query(case)
        _complete_body(case)
    # An invalid request may be invalid because it has no key.
    if is_valid or "Authorization" in (case.headers or {}):
        case.call_and_validate(headers={"Authorization": f"Bearer {emulator.issue_key()}"})
    else:
        case.call_and_validate()


def _complete_query(case: schemathesis.Case) -> None:
    """Make the parameters of a valid request consistent, which OpenAPI cannot express."""
    if case.path != "/auth":
        return
    if "code_challenge_method" in case.query or "callback_url" not in case.query:
        case.query["code_challenge"] = "c" * 43


def _complete_body(case: schemathesis.Case) -> None:
    """Fill in values that no schema can describe: a live code, a pending consent, a model."""
    body = case.body
    if not isinstance(body, dict):
        return
    if case.path == "/auth":
        body["consent"] = emulator.ledger.add_consent(AUTHORIZATION)
    elif case.path == "/api/v1/auth/keys":
        body["code"] = emulator.ledger.issue_code(AUTHORIZATION, "user_1", emulator.now())
        body["code_verifier"] = CODE_VERIFIER
        if body.get("code_challenge_method") is not None:
            body["code_challenge_method"] = "plain"
    elif case.path == "/api/v1/auth/keys/code":
        if body.get("expires_at") is not None:
            body["expires_at"] = "2099-12-31T23:59:59Z"
        if "code_challenge_method" in body:
            body["code_challenge"] = "c" * 43
    elif case.path == "/api/v1/embeddings":
        body["model"] = "openai/text-embedding-3-large"
    elif body.get("models") or body.get("model") is not None:
        body["model"] = "openai/gpt-4o"


def test_the_document_has_every_operation_and_no_other() -> None:
    """Every operation of OpenRouter: the emulator's own pages and control API are left out."""
    served = {
        (rule.rule.replace("<", "{").replace(">", "}"), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(("/api/", "/auth"))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {(path, method) for path, found in document()["paths"].items() for method in found}
    preflights = {(path, "options") for path, _ in described if path.startswith("/api/v1/")}
    assert described - served == preflights
    assert served <= described
    assert app.test_client().options("/api/v1/auth/keys").status_code == 204


def test_the_schemas_of_the_document_are_valid() -> None:
    for found in document()["components"]["schemas"].values():
        Draft202012Validator.check_schema(found)


def test_an_undocumented_response_would_be_noticed() -> None:
    for status, body in [
        (200, b'{"key": 5, "user_id": null}'),
        (200, b'{"user_id": null}'),
        (200, b"no JSON"),
        (418, b"{}"),
        (500, b"{}"),
    ]:
        with case(status, body):
            other = create_emulator_app()
            response = Response(body, status, mimetype="application/json")
            other.view_functions["oauth.exchange"] = partial(lambda answer: answer, response)
            broken = schemathesis.openapi.from_wsgi(
                "/openapi.json", other, config=SchemathesisConfig()
            )
            request = broken["/api/v1/auth/keys"]["POST"].Case(
                body={"code": "code"}, media_type="application/json"
            )
            with pytest.raises(FailureGroup):
                request.call_and_validate()
