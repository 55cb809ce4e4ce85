"""What one visitor can occupy: streams, rendering time, and nothing after everything is deleted."""

from __future__ import annotations

import hashlib
import re
import runpy
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from chat_visitor import CHAT, ORIGIN, ChatVisitor, end_of, lines_of
from flask import Flask
from held_model import HeldModel
from markdown_it.token import Token

from example_app import chat, highlight, pages, render, streams
from example_app.database import opened
from example_app.render import MAX_LINKS, LiveMarkdown, to_html


@pytest.mark.requirement("A17")
def test_one_visitor_has_a_limited_number_of_answers_at_once(
    held: HeldModel, held_visitor: ChatVisitor, app: Flask
) -> None:
    held.hold(after="")
    opened_answers = [held_visitor.ask(buffered=False) for _ in range(streams.MAX_OF_VISITOR)]
    for each in opened_answers:
        assert "begin" in next(lines_of(each))
    asked = held_visitor.completions
    for conversation in (None, begin_id(held_visitor)):
        refused = held_visitor.ask(conversation=conversation)
        assert refused.status_code == 429
        assert refused.headers["Retry-After"]
        assert "several answers" in refused.get_json()["message"]
    # The account counts: neither another session cookie helps, nor another login and its key.
    held_visitor.client.delete_cookie("session", domain="localhost")
    assert held_visitor.ask().status_code == 429
    other = ChatVisitor(held_visitor.app, held.emulator)
    other.connect()
    for refused in (other.ask(), other.fetch("/models")):
        assert refused.get_json()["error"] == "too_many"
    assert held_visitor.completions == asked, "refused before OpenRouter is asked"
    with held.emulator.configured(openrouter_user_id="user_other"):
        other.connect()
    second = other.ask(buffered=False)
    assert second.status_code == 200
    held.release()
    for response in (*opened_answers, second):
        list(lines_of(response))
        response.close()
    assert end_of(held_visitor.ask())["state"] == "done", "the places are free again"


@pytest.mark.requirement("A17")
def test_without_a_known_account_each_key_has_a_limit(connected: ChatVisitor) -> None:
    with connected.emulator.configured(openrouter_user_id=None):
        for _ in range(2):
            connected.connect()
            response = connected.ask(buffered=False)
            payer = hashlib.sha256(connected.api_key.encode()).hexdigest()
            assert connected.app.extensions["streams"] == [payer]
            response.close()


def begin_id(visitor: ChatVisitor) -> str:
    with opened(visitor.app.config["CHAT_DATABASE"]) as db:
        return str(db.execute("SELECT id FROM conversation").fetchone()["id"])


@pytest.mark.requirement("A17")
def test_a_process_keeps_threads_for_other_pages(
    held: HeldModel, held_visitor: ChatVisitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = runpy.run_path(str(Path(chat.__file__).with_name("gunicorn.conf.py")))
    assert settings["threads"] > streams.MAX_STREAMS
    monkeypatch.setattr(streams, "MAX_STREAMS", 1)
    held.hold(after="")
    first = held_visitor.ask(buffered=False)
    refused = held_visitor.ask()
    assert refused.status_code == 503
    assert refused.get_json()["wait"] > 0
    assert held_visitor.get("/health").status_code == 200
    first.close()
    held.release()
    assert held_visitor.ask().status_code == 200


@pytest.mark.requirement("A17")
@pytest.mark.parametrize("fault", [{"status": 402}, {"status": 401}, {"reset": True}])
def test_a_refused_question_gives_its_place_back(
    connected: ChatVisitor, fault: dict[str, Any]
) -> None:
    connected.emulator.add_fault(path=CHAT, times=streams.MAX_OF_VISITOR + 1, **fault)
    for _ in range(streams.MAX_OF_VISITOR + 1):
        assert connected.ask().get_json()["error"] != "too_many"
    for body in ("[]", '{"model": "m", "text": "hi", "conversation": "\\ud800"}'):
        invalid = connected.ask(json=None, data=body, content_type="application/json")
        assert invalid.status_code in (400, 401)
    assert not connected.app.extensions["streams"]
    with opened(connected.app.config["CHAT_DATABASE"]) as db:
        for table in ("conversation", "message"):
            assert not db.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608


PATHOLOGICAL = ("\n", " ", "a ", "a\n", "a.", "(", "<", '"', "/*", "&", "a:\n", "x::", "${", "\t\n")


@pytest.mark.requirement("A18")
def test_code_is_coloured_within_a_limit_of_work(every_variant: bool) -> None:
    """The clock counts the looks at it, one for each token."""
    for language in sorted(highlight.LANGUAGES)[:: 1 if every_variant else 4]:
        for piece in PATHOLOGICAL:
            ticks = iter(range(1_000_000))
            highlighter = highlight.Highlighter(lambda ticks=ticks: next(ticks) / 1_000)
            code = piece * (highlight.MAX_HIGHLIGHTED // len(piece))
            for _ in range(3):
                highlighter.to_html(code, language)
            assert next(ticks) <= highlight.MAX_TIME * 1_000 + 12, (language, piece)


def test_loading_a_language_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first answer in a language would be without colours, and a reload would bring them."""
    now = [0.0]
    load = highlight.get_lexer_by_name

    def load_slowly(name: str, **options: Any) -> Any:
        now[0] += 1
        return load(name, **options)

    monkeypatch.setattr(highlight, "get_lexer_by_name", load_slowly)
    html = highlight.Highlighter(lambda: now[0]).to_html("x = 1", "python")
    assert '<span class="mi">1</span>' in html


@pytest.mark.requirement("A18")
def test_code_beyond_the_limits_is_shown_without_colours() -> None:
    for language, code in (
        ("java", "\n" * 19_000),
        ("python", "x = 1\n" * 2_000),
        ("console", "x::" * 100),
        ("ini", "=" * 100),
        ("rexx", "say 'x'"),
    ):
        text = f"```{language}\n{code}\n```\n"
        markdown = LiveMarkdown()
        markdown.add(text)
        assert "<span" not in to_html(text) + markdown.end(), language
    assert "<span" in to_html("```PYTHON\nimport x\n```")


@pytest.mark.requirement("A18")
def test_few_addresses_become_links_and_many_do_not() -> None:
    """Looking for links in a long text of nothing but addresses would take minutes."""
    for piece in ("https://a.", "a https://", "://"):
        assert "<a " not in to_html(piece * (100_000 // len(piece))), piece
        markdown = LiveMarkdown()
        markdown.add(piece * (100_000 // len(piece)))
        assert "<a " not in markdown.end()
    assert to_html("see https://a.example/b " * MAX_LINKS).count("<a ") == MAX_LINKS


@pytest.mark.requirement("A18")
def test_short_rows_do_not_make_a_large_table() -> None:
    """Rows are filled up with empty cells to as many as the head has."""
    head = "|" + "a|" * 500 + "\n|" + "-|" * 500 + "\n"
    many = (head + "|x|y|\n" * 1_385, head + "z\n" * 5_000, "> " + head.replace("\n", "\n> ") * 9)
    for text in (*many, (head + "|\n" * 150 + "\n") * 5):
        markdown = LiveMarkdown()
        markdown.add(text)
        for html in ("".join(markdown.render()), to_html(text)):
            assert html.count("<td") + html.count("<th") <= len(text)
            words = re.sub("<[^>]*>", "", html)
            assert all(words.count(cell) == text.count(cell) for cell in "xyz")


@pytest.mark.requirement("A18")
def test_a_usual_table_is_complete() -> None:
    for row in ("|1|0|1|\n", "|||\n", "| Total |\n", "x\n"):
        columns = max(1, row.count("|") - 1)
        text = "|a" * columns + "|\n" + "|-" * columns + "|\n" + row * 1_000
        assert to_html(text).count("<tr>") == 1_001, row


@pytest.mark.requirement("A18")
def test_rendered_answers_are_kept_within_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "MAX_KEPT", 5_000)
    kept = render._Rendered()
    for number in range(100):
        assert kept[f"{number} " * 100] == f"<p>{(f'{number} ' * 100).strip()}</p>\n"
        assert sum(map(len, kept.values())) <= 5_000
    assert kept["99 " * 100] is kept["99 " * 100]


def longer_conversation(visitor: ChatVisitor, text: str) -> str:
    """Return the address of a conversation with ten long answers: ``*0*``, ``*1*`` and so on."""
    conversation = visitor.converse("hello")
    with opened(visitor.app.config["CHAT_DATABASE"]) as db:
        for number in range(10):
            db.execute(
                "INSERT INTO message (owner, conversation_id, parent_id, role, text, model, state,"
                " touched_at, chosen_at) SELECT owner, conversation_id, id, role, ?, model, state,"
                " touched_at, chosen_at FROM message ORDER BY id DESC LIMIT 1",
                (f"<b>*{number}*\n\n{text}",),
            )
    return f"/c/{conversation}"


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of characters of each answer that was rendered."""
    sizes: list[int] = []
    parse = render._parse

    def counted(text: str) -> list[Token]:
        sizes.append(len(text))
        return parse(text)

    monkeypatch.setattr(render, "_parse", counted)
    return sizes


@pytest.mark.requirement("A18")
def test_a_page_renders_its_newest_answers_up_to_a_number_of_characters(
    connected: ChatVisitor, monkeypatch: pytest.MonkeyPatch, parsed: list[int]
) -> None:
    """All answers of a conversation would take half a minute, each time the page is loaded."""
    monkeypatch.setattr(pages, "MAX_TIME", 3600)
    table = "|a" * 4_000 + "|\n" + "|-" * 4_000 + "|\n"
    path = longer_conversation(connected, table)
    parsed.clear()
    page = connected.get(path).text
    assert sum(parsed) <= pages.MAX_OF_PAGE
    assert len(parsed) == pages.MAX_OF_PAGE // parsed[0]
    for number in range(10):
        is_rendered = number >= 10 - len(parsed)
        assert (f"&lt;b&gt;<em>{number}</em>" in page) == is_rendered
        assert (f"&lt;b&gt;*{number}*\n\n|a|a|" in page) != is_rendered
    parsed.clear()
    assert connected.get(path).text == page
    assert not parsed, "all of them are kept"


@pytest.mark.requirement("A18")
def test_a_page_renders_for_a_limited_time_and_the_next_one_goes_on(
    connected: ChatVisitor, monkeypatch: pytest.MonkeyPatch, parsed: list[int]
) -> None:
    """The clock counts the rendered answers. The colours of code take long for some texts."""
    path = longer_conversation(connected, "```python\nx\n```")
    monkeypatch.setattr(pages, "time", SimpleNamespace(thread_time=lambda: len(parsed)))
    monkeypatch.setattr(pages, "MAX_TIME", 2)
    for count in (2, 4, 6):
        parsed.clear()
        page = connected.get(path).text
        shown = [number for number in range(10) if f"<em>{number}</em>" in page]
        assert shown == list(range(10 - count, 10))
        assert len(parsed) == 2


OUR_FORM = {"Sec-Fetch-Site": "same-origin"}


def rows_of(visitor: ChatVisitor) -> dict[str, int]:
    tables = ("conversation", "message")
    with opened(visitor.app.config["CHAT_DATABASE"]) as db:
        return {t: len(list(db.execute("SELECT 1 FROM " + t))) for t in tables}  # noqa: S608


@pytest.mark.requirement("A19")
@pytest.mark.parametrize(
    ("path", "form", "is_kept"),
    [
        ("/account/delete", {}, False),
        ("/account/disconnect", {"delete": "1"}, False),
        ("/account/disconnect", {}, True),
    ],
)
def test_who_leaves_stops_the_answers_under_way(
    held: HeldModel, held_visitor: ChatVisitor, path: str, form: dict[str, str], is_kept: bool
) -> None:
    """In all processes, because the database tells them."""
    held.hold(after="Thank")
    response = held_visitor.ask("canary one two", buffered=False)
    lines = lines_of(response)
    while "Thank" not in next(lines).get("tail", ""):
        pass
    held_visitor.client.post(path, base_url=ORIGIN, data=form, headers=OUR_FORM)
    end = list(lines)[-1]["end"]
    response.close()
    assert held.left.wait(60), "OpenRouter is told to stop"
    assert end["state"] == "stopped"
    assert end["problem"]["error"] == "ended"
    rows = {"conversation": 1, "message": 2} if is_kept else {"conversation": 0, "message": 0}
    assert rows_of(held_visitor) == rows


@pytest.mark.requirement("A19")
def test_an_answer_that_begins_after_everything_was_deleted_is_refused(
    held_visitor: ChatVisitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenRouter answers only after the visitor has disconnected."""
    held_visitor.ask("first")
    arrived, go_on = threading.Event(), threading.Event()
    ask_openrouter = chat._ask_openrouter

    def slow(*arguments: Any) -> Any:
        arrived.set()
        assert go_on.wait(60)
        return ask_openrouter(*arguments)

    monkeypatch.setattr(chat, "_ask_openrouter", slow)
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(held_visitor.ask("canary")))
    thread.start()
    assert arrived.wait(60)
    other_tab = held_visitor.app.test_client()
    other_tab._cookies.update(held_visitor.client._cookies)
    other_tab.post("/account/disconnect", base_url=ORIGIN, data={"delete": "1"}, headers=OUR_FORM)
    go_on.set()
    thread.join(60)
    assert answers[0].status_code == 409
    assert answers[0].get_json()["error"] == "ended"
    assert set(rows_of(held_visitor).values()) == {0}
