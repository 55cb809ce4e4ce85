from __future__ import annotations

import pickle
from datetime import datetime, timezone

import pytest
from cases import case
from misbehaving import MisbehavingProvider, answer, hang, redirect_to, reset

from flask_openrouter.client import AuthCode, KeyInfo, OpenRouterClient
from flask_openrouter.errors import (
    APIError,
    ForbiddenError,
    InvalidAnswerError,
    KeyRejectedError,
    OutOfCreditError,
    ProviderError,
    RateLimitError,
    ServerError,
    TransportError,
    TransportTimeoutError,
)

KEY = "sk-or-v1-" + "0123456789abcdef" * 4
DATA = {
    "label": "sk-or-v1-012...def",
    "limit": 100,
    "limit_remaining": 74.5,
    "limit_reset": "monthly",
    "include_byok_in_limit": False,
    "usage": 25.5,
    "usage_daily": 1.5,
    "usage_weekly": 2,
    "usage_monthly": 25.5,
    "byok_usage": 0,
    "byok_usage_daily": 0,
    "byok_usage_weekly": 0,
    "byok_usage_monthly": 0,
    "is_free_tier": False,
    "is_management_key": False,
    "creator_user_id": "user_1",
    "organization_id": None,
    "workspace_id": "0b5e",
    "expires_at": "2027-12-31T23:59:59Z",
    "rate_limit": {"requests": -1, "interval": "10s"},
    "a_field_of_tomorrow": [1, 2, 3],
}
GOOD = answer(200, {"data": DATA})


class Naps(list):
    """A replacement for time.sleep that records the seconds."""

    def __call__(self, seconds):
        self.append(seconds)


def test_key_info_is_typed_and_ignores_new_fields():
    with MisbehavingProvider(GOOD) as provider:
        info = OpenRouterClient(provider.url).get_key_info(KEY)
    assert info == KeyInfo(
        label="sk-or-v1-012...def",
        limit=100,
        limit_remaining=74.5,
        limit_reset="monthly",
        include_byok_in_limit=False,
        usage=25.5,
        usage_daily=1.5,
        usage_weekly=2,
        usage_monthly=25.5,
        byok_usage=0,
        byok_usage_daily=0,
        byok_usage_weekly=0,
        byok_usage_monthly=0,
        is_free_tier=False,
        is_management_key=False,
        creator_user_id="user_1",
        organization_id=None,
        workspace_id="0b5e",
        expires_at=datetime(2027, 12, 31, 23, 59, 59, tzinfo=timezone.utc),
    )
    assert info.spent_this_period == 25.5
    assert pickle.loads(pickle.dumps(info)) == info  # noqa: S301 - it holds no secret


def test_key_info_sends_the_key_and_the_attribution():
    with MisbehavingProvider(GOOD) as provider:
        OpenRouterClient(
            provider.url,
            app_url="https://app.example/",
            app_title="My app",
            app_categories=["general-chat", "game"],
        ).get_key_info(KEY)
    (request,) = provider.requests
    assert (request.method, request.path, request.body) == ("GET", "/api/v1/key", b"")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["http-referer"] == "https://app.example/"
    assert request.headers["x-openrouter-title"] == "My app"
    assert request.headers["x-openrouter-categories"] == "general-chat,game"


def test_missing_and_wrong_fields_are_none():
    strange = {name: {"an": "object"} for name in DATA}
    for data in ({}, strange, {"limit": True, "usage": "25", "is_free_tier": 1, "label": ""}):
        assert KeyInfo.from_json({"data": data}) == KeyInfo()


def test_odd_values_are_none():
    info = KeyInfo.from_json({"data": {"limit": 10**400, "expires_at": "soon", "label": "a\nb"}})
    assert info == KeyInfo()
    assert KeyInfo.from_json({"data": {"usage": float("inf")}}) == KeyInfo()


def test_a_moment_without_a_zone_is_in_utc():
    expires_at = datetime(2027, 12, 31, 23, 59, 59, tzinfo=timezone.utc)
    moment = "2027-12-31T23:59:59"
    assert KeyInfo.from_json({"data": {"expires_at": moment}}) == KeyInfo(expires_at=expires_at)
    code = AuthCode.from_json({"data": {"id": "code", "created_at": moment}})
    assert code == AuthCode("code", created_at=expires_at)
    assert KeyInfo.from_json({"data": {"expires_at": 1_800_000_000}}) == KeyInfo()


def test_spent_this_period_is_limit_minus_remaining():
    for limit, remaining, spent in [
        (100, 74.5, 25.5),
        (0, 0, 0),
        (None, None, None),
        (None, 5, None),
        (5, None, None),
    ]:
        with case(limit, remaining, spent):
            assert KeyInfo(limit=limit, limit_remaining=remaining).spent_this_period == spent


def test_response_without_data_is_invalid():
    for body in [b"", b"null", b"{}", b'{"data":[]}', b'{"data":null}', b"<html>"]:
        with (
            case(body),
            MisbehavingProvider(answer(200, body)) as provider,
            pytest.raises(InvalidAnswerError, match="has no data about the key"),
        ):
            OpenRouterClient(provider.url).get_key_info(KEY)


@pytest.mark.requirement("R64")
def test_an_unmasked_label_is_dropped():
    with MisbehavingProvider(answer(200, {"data": {"label": f"x {KEY}"}})) as provider:
        assert OpenRouterClient(provider.url).get_key_info(KEY).label is None


@pytest.mark.requirement("R82")
def test_malformed_key_is_not_sent():
    for key in ["", "short", "sk-or v1-aaaaaaaa", KEY + "\n", "é" * 20, None]:
        with case(key), MisbehavingProvider(GOOD) as provider:
            with pytest.raises(ValueError, match="api_key must be"):
                OpenRouterClient(provider.url).get_key_info(key)
            assert provider.connections == 0


@pytest.mark.requirement("F43")
def test_a_refusal_is_not_tried_again():
    for status, error_class in [
        (401, KeyRejectedError),
        (403, ForbiddenError),
        (429, RateLimitError),
        (418, APIError),
    ]:
        with case(status, error_class):
            naps = Naps()
            with MisbehavingProvider(
                answer(status, {"error": {"message": "User not found."}})
            ) as provider:
                with pytest.raises(error_class) as caught:
                    OpenRouterClient(provider.url, sleep=naps).get_key_info(KEY)
                assert len(provider.requests) == 1
            assert caught.value.upstream_message == "User not found."
            assert naps == []


def test_out_of_credit_links_to_the_base_url_in_use():
    with MisbehavingProvider(answer(402)) as provider:
        with pytest.raises(OutOfCreditError) as caught:
            OpenRouterClient(provider.url).get_key_info(KEY)
        assert caught.value.settings_url == f"{provider.url}/settings/credits"
    assert OutOfCreditError(402).settings_url == "https://openrouter.ai/settings/credits"


def test_a_providers_refusal_relayed_by_a_gateway_is_not_about_the_key():
    for status in [401, 402]:
        with case(status):
            metadata = {"raw": "invalid x-api-key", "provider_name": "Anthropic"}
            body = {"error": {"message": "Provider returned error", "metadata": metadata}}
            with MisbehavingProvider(answer(status, body)) as provider:
                with pytest.raises(ProviderError) as caught:
                    OpenRouterClient(provider.url).get_key_info(KEY)
                assert len(provider.requests) == 1
            assert caught.value.status == status


def test_a_providers_5xx_is_retried():
    naps = Naps()
    body = {"error": {"message": "Down", "metadata": {"provider_name": "Venice"}}}
    with MisbehavingProvider([answer(502, body), GOOD]) as provider:
        assert OpenRouterClient(provider.url, sleep=naps).get_key_info(KEY).limit == 100
    assert len(naps) == 1


def test_redirect_is_neither_followed_nor_retried():
    with MisbehavingProvider(GOOD) as elsewhere:
        with MisbehavingProvider(redirect_to(elsewhere.url)) as provider:
            with pytest.raises(InvalidAnswerError):
                OpenRouterClient(provider.url).get_key_info(KEY)
            assert len(provider.requests) == 1
        assert elsewhere.connections == 0


def test_failures_are_retried_after_growing_pauses():
    for name, failure in {"500": answer(500), "503": answer(503), "reset": reset()}.items():
        with case(name):
            naps = Naps()
            with MisbehavingProvider([failure, failure, GOOD]) as provider:
                assert OpenRouterClient(provider.url, sleep=naps).get_key_info(KEY).limit == 100
                assert len(provider.requests) == 3
            assert 0.125 <= naps[0] <= 0.375
            assert 0.25 <= naps[1] <= 0.75


def test_a_failure_is_reported_after_the_last_retry():
    for retries in [0, 1, 2]:
        with case(retries):
            naps = Naps()
            with MisbehavingProvider(answer(502)) as provider:
                with pytest.raises(ServerError):
                    OpenRouterClient(provider.url, retries=retries, sleep=naps).get_key_info(KEY)
                assert len(provider.requests) == retries + 1
            assert len(naps) == retries


def test_a_lost_connection_is_reported_after_the_last_retry():
    with (
        MisbehavingProvider(reset()) as provider,
        pytest.raises(TransportError) as caught,
    ):
        OpenRouterClient(provider.url, sleep=Naps()).get_key_info(KEY)
    assert caught.value.was_sent


def test_retry_after_is_honoured_within_the_time_limit():
    naps = Naps()
    busy = answer(503, headers={"Retry-After": "2"})
    with MisbehavingProvider([busy, GOOD]) as provider:
        OpenRouterClient(provider.url, timeout=10, sleep=naps).get_key_info(KEY)
    assert naps == [2]


def test_retry_after_beyond_the_time_limit_ends_the_call():
    naps = Naps()
    with MisbehavingProvider([answer(503, headers={"Retry-After": "60"}), GOOD]) as provider:
        with pytest.raises(ServerError) as caught:
            OpenRouterClient(provider.url, timeout=10, sleep=naps).get_key_info(KEY)
        assert len(provider.requests) == 1
    assert caught.value.retry_after == 60
    assert naps == []


def test_a_timeout_is_not_retried():
    with MisbehavingProvider(hang()) as provider:
        with pytest.raises(TransportTimeoutError):
            OpenRouterClient(provider.url, timeout=1).get_key_info(KEY)
        # A busy machine may not have sent the first within a second.
        assert len(provider.requests) <= 1


def test_interrupted_pause_ends_the_call():
    def interrupted(seconds):
        raise KeyboardInterrupt

    with MisbehavingProvider([answer(500), GOOD]) as provider:
        with pytest.raises(KeyboardInterrupt):
            OpenRouterClient(provider.url, sleep=interrupted).get_key_info(KEY)
        assert len(provider.requests) == 1
