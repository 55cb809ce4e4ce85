"""The workspace of ``/auth``: suggested or required by the app, chosen by the visitor."""

from __future__ import annotations

import re

import pytest
import requests
from protocol_steps import (
    CODE_VERIFIER,
    S256,
    ask,
    authorization_url,
    bearer,
    code_in,
    consent_on,
    exchange,
)

from flask_openrouter.emulator import Emulator

ONE = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-22222222222A"
FOREIGN = "33333333-3333-4333-8333-333333333333"


def workspace_of(http: requests.Session, emulator: Emulator, callback: str) -> str | None:
    sent = {"code": code_in(callback), "code_verifier": CODE_VERIFIER}
    api_key = exchange(http, emulator, **sent).json()["key"]
    info = http.get(f"{emulator.url}/api/v1/key", headers=bearer(api_key)).json()
    workspace_id: str | None = info["data"]["workspace_id"]
    return workspace_id


def decided(
    http: requests.Session, emulator: Emulator, page: requests.Response, workspace_id: str
) -> str | None:
    form = {"consent": consent_on(page), "decision": "approve", "workspace_id": workspace_id}
    response = http.post(f"{emulator.url}/auth", data=form, allow_redirects=False)
    return workspace_of(http, emulator, response.headers["Location"])


@pytest.mark.requirement("E8")
def test_by_default_the_account_has_every_workspace(
    emulator: Emulator, http: requests.Session
) -> None:
    for parameters in ({"workspace_id": ONE}, {"required_workspace_id": ONE}):
        url = authorization_url(emulator, **S256, **parameters)
        page = ask(http, url).text
        assert f"<dd>{ONE}" in page
        assert ("as the app requires" in page) == ("required_workspace_id" in parameters)
        assert workspace_of(http, emulator, emulator.approve(url)) == ONE
    url = authorization_url(emulator, **S256)
    assert "Workspace" not in ask(http, url).text
    assert workspace_of(http, emulator, emulator.approve(url)) is None
    both = authorization_url(emulator, **S256, workspace_id=OTHER, required_workspace_id=ONE)
    assert workspace_of(http, emulator, emulator.approve(both)) == ONE


@pytest.mark.requirement("E8")
def test_the_visitor_may_choose_another_workspace(
    emulator: Emulator, http: requests.Session
) -> None:
    with emulator.configured(workspace_ids=(ONE, OTHER)):
        page = ask(http, authorization_url(emulator, **S256, workspace_id=OTHER.lower()))
        assert re.findall(r"<option( selected)?>([^<]+)<", page.text) == [
            ("", ONE),
            (" selected", OTHER),
        ]
        assert decided(http, emulator, page, ONE) == ONE
        page = ask(http, authorization_url(emulator, **S256))
        assert decided(http, emulator, page, OTHER) == OTHER.lower()
        page = ask(http, authorization_url(emulator, **S256, workspace_id=FOREIGN))
        assert FOREIGN not in page.text
        assert decided(http, emulator, page, FOREIGN) is None


@pytest.mark.requirement("E8")
def test_the_visitor_cannot_leave_a_required_workspace(
    emulator: Emulator, http: requests.Session
) -> None:
    with emulator.configured(workspace_ids=[ONE, OTHER]):
        page = ask(http, authorization_url(emulator, **S256, required_workspace_id=OTHER))
        assert "<select" not in page.text
        assert decided(http, emulator, page, ONE) == OTHER.lower()


@pytest.mark.requirement("E8")
def test_an_account_without_the_required_workspace_gets_an_error_page(
    emulator: Emulator, http: requests.Session
) -> None:
    for workspace_ids in ((), (ONE,)):
        with emulator.configured(workspace_ids=workspace_ids):
            page = ask(http, authorization_url(emulator, **S256, required_workspace_id=FOREIGN))
            assert page.status_code == 403
            assert FOREIGN in page.text
            assert "<form" not in page.text
    url = authorization_url(emulator, **S256, required_workspace_id=FOREIGN)
    consent = consent_on(ask(http, url))
    with emulator.configured(workspace_ids=(ONE,), openrouter_user_id=None):
        form = {"consent": consent, "decision": "approve"}
        response = http.post(f"{emulator.url}/auth", data=form, allow_redirects=False)
    assert response.status_code == 403
    assert "Location" not in response.headers
