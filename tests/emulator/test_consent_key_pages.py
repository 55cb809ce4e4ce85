"""The pages about issued keys: apps link to them, and the owner of a key can delete it there."""

from __future__ import annotations

import hashlib
import html
import re

import pytest
import requests
from cases import case

from flask_openrouter.emulator import Emulator
from flask_openrouter.emulator.authorization import AuthorizationRequest
from flask_openrouter.emulator.ledger import MAX_KEYS, Ledger


def sha256(api_key: str) -> str:
    return hashlib.sha256(api_key.encode()).hexdigest()


def test_the_pages_list_the_keys_without_showing_them(
    emulator: Emulator, http: requests.Session
) -> None:
    for path in ["/", "/settings/keys", "/settings/credits", "/logs"]:
        with case(path):
            api_key = emulator.issue_key(key_label="My app")
            page = http.get(emulator.url + path)
            assert page.status_code == 200
            assert "My app" in page.text
            assert api_key not in page.text


def test_the_page_shows_a_setting_that_works(emulator: Emulator, http: requests.Session) -> None:
    text = html.unescape(http.get(f"{emulator.url}/").text)
    assert f'>app.config["OPENROUTER_BASE_URL"] = "{emulator.url}"<' in text
    assert f">FLASK_OPENROUTER_BASE_URL={emulator.url}<" in text


def test_the_deep_links_show_one_key(emulator: Emulator, http: requests.Session) -> None:
    api_key = emulator.issue_key(key_label="this one")
    emulator.issue_key(key_label="another one")
    for path in (f"/keys/{sha256(api_key)}", f"/logs?api_key_hash={sha256(api_key)}"):
        page = http.get(emulator.url + path)
        assert "this one" in page.text
        assert "another one" not in page.text
    assert http.get(f"{emulator.url}/keys/{'0' * 64}").status_code == 404


def test_a_key_can_be_deleted_on_its_page(emulator: Emulator, http: requests.Session) -> None:
    api_key = emulator.issue_key()
    response = http.post(f"{emulator.url}/keys/{sha256(api_key)}", allow_redirects=False)
    assert (response.status_code, response.headers["Location"]) == (303, "/settings/keys")
    bearer = {"Authorization": f"Bearer {api_key}"}
    assert http.get(f"{emulator.url}/api/v1/key", headers=bearer).status_code == 401
    assert "dead" in http.get(f"{emulator.url}/settings/keys").text


def test_only_the_emulators_own_page_can_delete_a_key(
    emulator: Emulator, http: requests.Session
) -> None:
    api_key = emulator.issue_key()
    address = f"{emulator.url}/keys/{sha256(api_key)}"
    evil = {"Origin": "https://evil.example"}
    assert http.post(address, headers=evil).status_code == 403
    assert http.post(f"{emulator.url}/keys/{'0' * 64}").status_code == 404
    bearer = {"Authorization": f"Bearer {api_key}"}
    assert http.get(f"{emulator.url}/api/v1/key", headers=bearer).status_code == 200


@pytest.mark.requirement("M11")
def test_the_list_comes_in_pages_with_the_newest_first(
    emulator: Emulator, http: requests.Session
) -> None:
    for number in range(120):
        emulator.issue_key(key_label=f"label-{number}-")
    shown, path = [], "/settings/keys"
    while path:
        page = http.get(emulator.url + path).text
        shown += [int(number) for number in re.findall(r"label-([0-9]+)-", page)]
        older = re.search(r'href="(\?page=[0-9]+)">Older keys<', page)
        assert ("Newer keys" in page) == (path != "/settings/keys")
        path = f"/settings/keys{older[1]}" if older else ""
    assert shown == list(reversed(range(120)))
    assert "Older keys" not in http.get(f"{emulator.url}/?page=3").text
    assert 'href="?page=1">Newer keys' in http.get(f"{emulator.url}/?page=2").text


@pytest.mark.requirement("M11")
def test_an_odd_page_number_is_the_first_page_or_an_empty_one(
    emulator: Emulator, http: requests.Session
) -> None:
    emulator.issue_key(key_label="the only one")
    for number in ("0", "-1", "x", "", "1.5", "\u0661", "9" * 30):
        with case(number):
            page = http.get(f"{emulator.url}/settings/keys?page={number}")
            assert "the only one" in page.text
    assert "None yet." in http.get(f"{emulator.url}/settings/keys?page=2").text


@pytest.mark.requirement("M11")
def test_the_number_of_keys_is_limited() -> None:
    ledger = Ledger()
    request = AuthorizationRequest()
    first = ledger.issue_key(request, None)
    last = [ledger.issue_key(request, None) for _ in range(MAX_KEYS)][-1]
    assert ledger.live_key(first, 0.0) is None
    assert ledger.live_key(last, 0.0) is not None
    assert ledger.count_keys() == MAX_KEYS
