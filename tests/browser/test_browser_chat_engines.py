"""The example app in Firefox, and in WebKit, which does not know a button's commandfor yet."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
from chat_visitor import example_at
from engines import Driver, Visitor
from firefox import firefox
from live_app import live
from webkit import webkit

from flask_openrouter.emulator import run_in_thread

pytestmark = pytest.mark.every_variant


@pytest.mark.parametrize("engine", [firefox, webkit])
def test_a_visitor_asks_and_renames(
    engine: Callable[[Path], AbstractContextManager[Callable[[], Driver]]], tmp_path: Path
) -> None:
    with (
        run_in_thread(host="localhost") as emulator,
        live(example_at(emulator.url, tmp_path), "localhost") as url,
        engine(tmp_path) as new_driver,
        closing(new_driver()) as driver,
    ):
        window = Visitor(driver).window
        window.open(url)
        window.click("Connect OpenRouter")
        window.click("Approve")
        window.wait_for("document.querySelector('#model:enabled') !== null")
        window.click("Explain PKCE to a ten-year-old, with a picture in words.")
        window.click("Send")
        window.wait_for("document.querySelector('.assistant[data-state=done] pre') !== null")
        # The menu has an entry for it when the conversation has an address.
        window.wait_for("document.querySelector('#rename') !== null")
        driver.click(window.handle, "document.querySelector('[popovertarget=menu]')")
        window.click("Rename")
        window.wait_for("document.querySelector('#rename[open]') !== null")
        window.run("document.getElementById('new-title').value = 'Tickets'")
        window.click("Save")
        window.wait_for("document.querySelector('h1').textContent === 'Tickets'")
