"""``current_openrouter``: what can be read, without a key and with one."""

from __future__ import annotations

import copy
import pickle
from datetime import timezone
from typing import Any

import pytest
import responses
from misbehaving import MisbehavingProvider, issue_key
from visitor import Visitor

from flask_openrouter import current_openrouter, requires_openrouter_key
from flask_openrouter.client.spending import PATIENCE_SECONDS
from flask_openrouter.connection import get_connection
from flask_openrouter.errors import NotConnectedError
from flask_openrouter.storage.memory import MemoryStorage

pytest_plugins = "sites"

NEEDS_KEY = (
    "api_key", "openrouter_user_id", "connected_at", "masked_key", "settings_url", "logs_url",
    "key_hash", "session",
)  # fmt: skip
#: Four characters at most are shown, and only of a key that is long enough.
MASKED = {
    "sk-or-v1-" + "0" * 60 + "abcd": "sk-or-v1-…abcd",
    "sk-or-v1-" + "0" * 12 + "abcd": "sk-or-v1-…abcd",
    "sk-or-v1-" + "0" * 11 + "abcd": "sk-or-v1-…",
    "sk-or-v1-abcd": "sk-or-v1-…",
    "sk-or-v1-": "sk-or-v1-…",
    "another-kind-of-key": "…-key",
    "16-characters-ab": "…s-ab",
    "15-characters-a": "…",
    "12345678": "…",
}


@pytest.mark.requirement("R67")
def test_a_masked_key_shows_four_characters_at_most(make_app: Any) -> None:
    with MisbehavingProvider([issue_key(api_key) for api_key in MASKED]) as provider:
        app = make_app(OPENROUTER_BASE_URL=provider.url)
        app.add_url_rule("/masked", "masked", lambda: current_openrouter.masked_key)
        found, in_status = {}, {}
        for api_key in MASKED:
            visitor = Visitor(app)
            visitor.get(visitor.callback_url(visitor.start(), code="code"))
            found[api_key] = visitor.get("/masked").text
            status = visitor.get("/openrouter/status")
            in_status[api_key] = status.get_json()["masked_key"]
            assert len(api_key) < 20 or api_key[:-4] not in status.text
    assert found == in_status == MASKED
    for masked in MASKED.values():
        assert len(masked.removeprefix("sk-or-v1-").removeprefix("…")) <= 4


def test_what_needs_a_key_raises_an_error_without_one(site: Any) -> None:
    with site.app.test_request_context("/"):
        assert not current_openrouter
        for name in NEEDS_KEY:
            with pytest.raises(NotConnectedError) as raised:
                getattr(current_openrouter, name)
            assert str(raised.value) == "No OpenRouter key is stored for this visitor."
        for call in (
            current_openrouter.key_info,
            current_openrouter.openai,
            current_openrouter.sdk,
        ):
            with pytest.raises(NotConnectedError):
                call()
        current_openrouter.disconnect()
        assert current_openrouter.report_rejection()


def test_the_time_limit_of_key_info_is_that_of_its_request(site: Any) -> None:
    """The usage, which pages wait for, has a short one of its own."""
    site.app.add_url_rule("/short", "short", lambda: str(current_openrouter.key_info(timeout=0.5)))
    site.app.add_url_rule("/usual", "usual", lambda: str(current_openrouter.key_info()))
    site.connect()
    limits = []
    for path in ("/openrouter/usage", "/short", "/usual"):
        with responses.RequestsMock() as openrouter:
            key = {"label": "", "usage": 0, "limit": None, "is_free_tier": False}
            openrouter.get(f"{site.emulator.url}/api/v1/key", json={"data": key})
            assert site.visitor.get(path).status_code == 200
            limits.append(openrouter.calls[0].request.req_kwargs["timeout"])
    usage, short, usual = limits
    # A busy machine may have used up a part of each before it sends.
    assert short <= 0.5
    assert usage <= PATIENCE_SECONDS < usual


def test_outside_of_a_request_the_error_names_for_owner(site: Any) -> None:
    def use() -> None:
        for act in (lambda: current_openrouter.api_key, lambda: current_openrouter.key_info()):
            with pytest.raises(RuntimeError) as raised:
                act()
            assert str(raised.value) == (
                "current_openrouter needs a request. Elsewhere, such as in a task queue, use"
                " auth.for_owner(owner_id)."
            )

    assert not current_openrouter
    use()
    with site.app.app_context():
        use()


def test_a_connection_is_neither_shown_nor_pickled_nor_copied(site: Any) -> None:
    seen = []

    @site.app.get("/look")
    def look() -> str:
        seen.append(repr(current_openrouter))
        for refuse in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError) as refused:
                refuse(get_connection())
            assert str(refused.value) == (
                "A connection holds a key and is not pickled or copied. Pass its owner_id instead."
            )
        assert current_openrouter.connected_at.tzinfo is timezone.utc
        return current_openrouter.api_key

    site.connect()
    api_key = site.visitor.get("/look").text
    assert seen[0].startswith("<Connection of 'browser:")
    assert api_key not in seen[0]


def test_the_storage_is_read_once_for_a_request(make_site: Any) -> None:
    class Counting(MemoryStorage):
        reads = 0

        def get(self, owner_id: str) -> str | None:
            self.reads += 1
            return super().get(owner_id)

    storage = Counting()
    site = make_site({"storage": storage})

    @site.app.get("/look")
    @requires_openrouter_key
    def look() -> str:
        for _ in range(3):
            assert current_openrouter.masked_key
        return str(current_openrouter.session is current_openrouter.session)

    site.connect()
    storage.reads = 0
    assert site.visitor.get("/look").text == "True"
    assert storage.reads == 1


def test_a_request_sees_that_its_owner_was_disconnected_elsewhere(make_site: Any) -> None:
    site = make_site({"storage": MemoryStorage()})
    site.auth.owner_loader(lambda: "ada")

    @site.app.post("/leave/<way>")
    def leave(way: str) -> str:
        assert current_openrouter.session
        other = site.auth.for_owner("ada") if way == "owner" else current_openrouter.detach()
        other.disconnect()
        with pytest.raises(NotConnectedError):
            _ = current_openrouter.session
        return str(bool(current_openrouter))

    for way in ("owner", "detach"):
        site.connect()
        assert site.visitor.post(f"/leave/{way}").text == "False"


def test_disconnecting_in_a_view_is_seen_at_once(site: Any) -> None:
    @site.app.post("/leave")
    def leave() -> str:
        assert current_openrouter
        current_openrouter.disconnect()
        assert not current_openrouter
        with pytest.raises(NotConnectedError):
            _ = current_openrouter.session
        return "left"

    site.connect()
    assert site.visitor.post("/leave").text == "left"
    assert site.visitor.key is None


def test_another_user_in_the_middle_of_a_request_is_another_connection(make_site: Any) -> None:
    user = ["alice"]
    site = make_site({"storage": MemoryStorage()})
    site.auth.owner_loader(lambda: user[0])

    @site.app.get("/switch")
    def switch() -> str:
        assert current_openrouter
        user[0] = "bob"
        assert not current_openrouter
        return "switched"

    site.connect()
    assert site.visitor.get("/switch").text == "switched"
