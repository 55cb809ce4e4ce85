"""``GET /openrouter/status``: for front ends, and never the key."""

from __future__ import annotations

from typing import Any

from visitor import Visitor


def test_it_tells_whether_this_visitor_is_connected(site: Any) -> None:
    assert site.visitor.get("/openrouter/status").json == {
        "connected": False,
        "masked_key": None,
        "login_url": "/openrouter/login",
    }
    site.connect()
    answer = site.visitor.get("/openrouter/status")
    api_key = site.issued_key()
    assert answer.json == {
        "connected": True,
        "masked_key": f"sk-or-v1-…{api_key[-4:]}",
        "login_url": "/openrouter/login",
    }
    assert api_key[:-4] not in answer.text
    assert Visitor(site.app).get("/openrouter/status").json["connected"] is False


def test_scripts_of_this_origin_may_ask_and_others_learn_nothing(site: Any) -> None:
    site.connect()
    client = site.visitor.client
    for headers in ({"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, {}):
        answer = client.get("/openrouter/status", headers=headers)
        assert (answer.status_code, answer.is_json) == (200, True)
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Cookie" in answer.headers["Vary"]
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Set-Cookie" not in answer.headers
    evil = client.get("/openrouter/status", headers={"Origin": "https://evil.example"})
    assert not [name for name, _ in evil.headers if name.startswith("Access-Control")]


def test_the_login_url_knows_where_the_app_is_mounted(make_site: Any) -> None:
    site = make_site({"url_prefix": "/in/here"})
    answer = site.app.test_client().get("/in/here/status", base_url="http://localhost/sub")
    assert answer.json["login_url"] == "/sub/in/here/login"


def test_a_storage_that_is_down_is_not_a_visitor_who_is_not_connected(make_site: Any) -> None:
    class Down:
        def get(self, owner_id: str) -> str | None:
            raise OSError("down")

        set = delete = get

    site = make_site({"storage": Down()})
    site.auth.owner_loader(lambda: "alice")
    for headers in ({}, {"Accept": "application/json"}):
        answer = site.visitor.get("/openrouter/status", **headers)
        assert answer.status_code == 503
        assert answer.is_json == bool(headers)
    assert answer.json["error"] == "storage_unavailable"
