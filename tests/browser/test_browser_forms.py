"""The extension's own forms in a real browser, which sets their Origin and Referer itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from full_storage import FullStorage
from gallery import create_gallery
from live_app import live
from tab import Site, Tab

from flask_openrouter.emulator import run_in_thread

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the test dependencies")


@pytest.fixture(scope="module")
def storage() -> FullStorage:
    return FullStorage()


@pytest.fixture(scope="module")
def site(storage: FullStorage) -> Iterator[Site]:
    with (
        run_in_thread() as emulator,
        live(create_gallery(emulator.url, storage=storage)) as url,
    ):
        yield Site(url, emulator)


def test_a_visitor_connects_with_a_pasted_code(tab: Tab, site: Site) -> None:
    page = tab.page
    page.goto(f"{site.app_url}/openrouter/code?next=/usage")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open OpenRouter").click()
    opened.value.get_by_role("button", name="Approve").click()
    code = opened.value.locator("code").inner_text()
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Connect").click()
    page.wait_for_url(f"{site.app_url}/usage")
    sync_api.expect(page.get_by_role("button", name="Disconnect")).to_be_visible()


def test_a_key_that_could_not_be_stored_is_saved_again(
    tab: Tab, site: Site, storage: FullStorage
) -> None:
    tab.expected.append("status of 503 .*/openrouter/callback")
    page = tab.page
    page.goto(f"{site.app_url}/openrouter/login?next=/usage")
    storage.is_full = True
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("button", name="Save again").wait_for()
    storage.is_full = False
    with page.expect_request("**/openrouter/save**") as posted:
        page.get_by_role("button", name="Save again").click()
    page.wait_for_url(f"{site.app_url}/usage")
    sync_api.expect(page.get_by_role("button", name="Disconnect")).to_be_visible()
    # The address of the error page had a code in it.
    assert posted.value.all_headers()["referer"] == f"{site.app_url}/"
