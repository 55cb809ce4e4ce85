from __future__ import annotations

import copy
import pickle
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from cases import case
from misbehaving import MisbehavingProvider, answer, reset

from flask_openrouter.client import AuthCode, IssuedKey, OpenRouterClient
from flask_openrouter.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    InvalidAnswerError,
    KeyRejectedError,
    ServerError,
    TransportError,
)

KEY = "sk-or-v1-" + "0123456789abcdef" * 4
CALLBACK = "https://app.example/callback"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
CREATED = answer(
    200,
    {"data": {"id": "auth_code_xyz789", "app_id": 12345, "created_at": "2025-08-24T10:30:00Z"}},
)


def create(script=CREATED, **parameters):
    """Return the new code and the JSON body that asked for it."""
    with MisbehavingProvider(script) as provider:
        code = OpenRouterClient(provider.url).create_auth_code(KEY, CALLBACK, **parameters)
    (request,) = provider.requests
    assert (request.method, request.path) == ("POST", "/api/v1/auth/keys/code")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    return code, request.json


def test_callback_is_the_only_required_parameter():
    code, body = create()
    assert body == {"callback_url": CALLBACK}
    assert code.code == "auth_code_xyz789"
    assert code.app_id == 12345
    assert code.created_at == datetime(2025, 8, 24, 10, 30, tzinfo=timezone.utc)


def test_every_documented_parameter_is_sent():
    workspace = uuid.uuid4()
    _, body = create(
        code_challenge=CHALLENGE,
        code_challenge_method="S256",
        expires_at=datetime(2028, 1, 1, 1, 59, 59, 999_999, timezone(timedelta(hours=2))),
        key_label="My key",
        limit=100.0,
        usage_limit_type="daily",
        workspace_id=workspace,
    )
    assert body == {
        "callback_url": CALLBACK,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "expires_at": "2027-12-31T23:59:59Z",
        "key_label": "My key",
        "limit": 100,
        "usage_limit_type": "daily",
        "workspace_id": str(workspace),
    }


def test_whole_minutes_are_sent_with_seconds():
    _, body = create(expires_at=datetime(2027, 12, 31, 23, 59, tzinfo=timezone.utc))
    assert body["expires_at"] == "2027-12-31T23:59:00Z"


def test_malformed_arguments_are_not_sent():
    for parameters, problem in [
        ({"expires_at": datetime(2027, 12, 31)}, "time zone"),
        ({"expires_at": "2027-12-31T23:59:59Z"}, "time zone"),
        ({"usage_limit_type": "yearly"}, "usage_limit_type"),
        ({"workspace_id": "mine"}, "workspace_id"),
        ({"limit": -1}, "limit"),
        ({"key_label": ""}, "key_label"),
        ({"code_challenge_method": "S256"}, "without code_challenge"),
        ({"callback_url": "http://app.example/"}, "callback_url"),
        ({"api_key": "short"}, "api_key"),
    ]:
        with case(parameters, problem):
            arguments = {"api_key": KEY, "callback_url": CALLBACK, **parameters}
            with MisbehavingProvider(CREATED) as provider:
                with pytest.raises(ValueError, match=problem):
                    OpenRouterClient(provider.url).create_auth_code(**arguments)
                assert provider.connections == 0


def test_each_documented_error_has_its_class_and_is_final():
    for status, error_class in [
        (400, BadRequestError),
        (401, KeyRejectedError),
        (403, ForbiddenError),
        (409, ConflictError),
        (500, ServerError),
    ]:
        with case(status, error_class):
            body = {"error": {"code": status, "message": "No"}}
            with MisbehavingProvider(answer(status, body)) as provider:
                with pytest.raises(error_class):
                    OpenRouterClient(provider.url).create_auth_code(KEY, CALLBACK)
                assert len(provider.requests) == 1


def test_a_request_without_a_response_is_not_repeated():
    with MisbehavingProvider(reset()) as provider:
        with pytest.raises(TransportError):
            OpenRouterClient(provider.url).create_auth_code(KEY, CALLBACK)
        assert len(provider.requests) == 1


def test_response_without_a_code_is_invalid():
    for body in [
        {},
        {"data": None},
        {"data": {}},
        {"data": {"id": 7}},
        {"data": {"id": "a b"}},
        {"id": "abc"},
    ]:
        with case(body), pytest.raises(InvalidAnswerError, match="no well-formed code"):
            create(answer(200, body))


def test_other_fields_may_be_missing_or_strange():
    for app_id in [None, "1", True, 1.5]:
        with case(app_id):
            code, _ = create(
                answer(201, {"data": {"id": "abc", "app_id": app_id, "created_at": 7}})
            )
            assert (code.code, code.app_id, code.created_at) == ("abc", None, None)


@pytest.mark.requirement("R64")
def test_secrets_show_in_no_repr_pickle_or_copy():
    for secret in [AuthCode("the-secret"), IssuedKey("the-secret", "user_1")]:
        with case(secret):
            assert "the-secret" not in repr(secret)
            assert "the-secret" not in f"{secret}"
            assert not hasattr(secret, "__dict__")
            for write in (pickle.dumps, copy.copy, copy.deepcopy):
                with pytest.raises(TypeError, match="holds a secret"):
                    write(secret)
