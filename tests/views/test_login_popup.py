"""A login in a popup: it ends on a page that closes the window."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from visitor import Visitor

from flask_openrouter.emulator import Emulator


@pytest.mark.requirement("R36")
def test_a_login_in_a_popup_ends_on_a_page_that_closes_it(
    visitor: Visitor, emulator: Emulator
) -> None:
    """Neither code nor state is in its address or on the page."""
    start = visitor.get("/openrouter/login?display=popup&next=/guarded")
    callback_url = emulator.approve(start.location)
    landed = visitor.get(callback_url)
    assert (landed.status_code, landed.location) == (303, "/openrouter/connected?next=/guarded")

    page = visitor.get(landed.location)

    for (value,) in parse_qs(urlsplit(callback_url).query).values():
        assert value not in landed.location
        assert value not in page.text
    assert "popup.js" in page.text
    assert 'href="/guarded"' in page.text
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    with visitor.get("/openrouter/static/popup.js") as script:
        assert script.status_code == 200


def test_the_popup_page_leads_nowhere_else(visitor: Visitor) -> None:
    page = visitor.get("/openrouter/connected?next=https://evil.example/")
    assert "evil" not in page.text
    assert 'href="/"' in page.text


def test_a_login_may_end_on_another_site_of_the_app(make_app: Any, emulator: Emulator) -> None:
    """The content security policy of the pages allows it."""
    landing = "https://spa.example/start"
    visitor = Visitor(make_app(OPENROUTER_LOGIN_REDIRECT_URL=landing))
    assert visitor.connect(emulator).location == landing
    popup = visitor.get(emulator.approve(visitor.get("/openrouter/login?display=popup").location))
    assert f'href="{landing}"' in visitor.get(popup.location).text
    policy = visitor.get("/openrouter/code").headers["Content-Security-Policy"]
    assert "form-action 'self' https://spa.example;" in policy
