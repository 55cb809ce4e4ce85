"""The pages about issued keys: apps link to them, and the owner of a key can delete it there."""

from __future__ import annotations

import hashlib
import html

import requests
from cases import case

from flask_openrouter.emulator import Emulator


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
