"""Named faults that change a real answer: streams, plain answers, lists and redirects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from cases import case
from chat_calls import answer, chat, chunks, chunks_in, raw_stream, words_of
from protocol_steps import CALLBACK_URL, S256, authorization_url

from flask_openrouter.emulator import Emulator
from flask_openrouter.emulator.chunks import read_events
from flask_openrouter.emulator.events import DONE
from flask_openrouter.emulator.rewrites import FIRST_WORDS, REWRITES, THOUGHTS, rewritten_stream

MODELS = "/api/v1/models"


@pytest.mark.requirement("O12", "O6", "O1")
@pytest.mark.parametrize(
    ("name", "finish_reason", "native", "code"),
    [
        ("finish_reason_error", "error", "error", None),
        ("network_error_finish", "stop", "network_error", None),
        ("content_filter", "content_filter", "content_filter", None),
        ("timeout_finish", "timeout", "timeout", None),
        ("safety_finish", "stop", "SAFETY", None),
        ("error_chunk", "error", "error", 502),
        ("error_on_choice", "error", "error", None),
        ("key_limit_in_stream", "error", "error", 403),
        ("relayed_401_in_stream", "error", "error", 401),
    ],
)
def test_a_stream_breaks_off_after_the_first_words(
    emulator: Emulator,
    http: requests.Session,
    name: str,
    finish_reason: str,
    native: str,
    code: int | None,
) -> None:
    with emulator.faults(name, times=2):
        raw = raw_stream(http, emulator)
        whole = answer(http, emulator)
    found = chunks_in(raw)
    assert len(words_of(found)) == FIRST_WORDS
    last = found[-1]
    choice = last["choices"][0]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == (finish_reason, native)
    assert last["id"] == found[0]["id"]
    assert not [chunk for chunk in found if "usage" in chunk]
    assert raw.endswith(DONE) == (code is None and name != "error_on_choice")
    assert last.get("error", {}).get("code") == code
    if code is None:
        plain = whole["choices"][0]
        assert (plain["finish_reason"], plain["native_finish_reason"]) == (finish_reason, native)
        assert plain["message"]["content"]
        assert "delta" not in plain
    else:
        assert whole.keys() == {"id", "error"}
        assert whole["error"]["code"] == code
    if name == "error_on_choice":
        assert choice["error"]["code"] == whole["choices"][0]["error"]["code"] == 502


@pytest.mark.requirement("O12")
def test_a_stream_ends_with_an_event_of_the_name_error(
    emulator: Emulator, http: requests.Session
) -> None:
    with emulator.faults("error_event", times=2):
        raw = raw_stream(http, emulator)
        assert answer(http, emulator)["error"]["code"] == 502
    *_, last, empty = raw.split(b"\n\n")
    assert empty == b""
    assert last.startswith(b"event: error\ndata: {")
    assert len(words_of(chunks_in(raw))) == FIRST_WORDS


@pytest.mark.requirement("O12")
def test_an_error_can_be_in_the_delta_or_the_message(
    emulator: Emulator, http: requests.Session
) -> None:
    with emulator.faults("error_in_delta", times=2):
        raw, whole = raw_stream(http, emulator), answer(http, emulator)
    assert raw.endswith(DONE)
    found = chunks_in(raw)
    assert found[-1]["choices"][0]["delta"]["error"]["code"] == 429
    assert len(words_of(found)) == FIRST_WORDS
    assert whole["choices"][0]["message"]["error"]["code"] == 429


def test_a_short_answer_breaks_off_at_its_end(emulator: Emulator, http: requests.Session) -> None:
    with emulator.faults("finish_reason_error"):
        found = chunks_in(chat(http, emulator, stream=True, max_tokens=1).content)
    assert len(words_of(found)) == 1
    assert [c["choices"][0]["finish_reason"] for c in found][-2:] == [None, "error"]


def test_a_stream_that_never_ends_is_left_alone() -> None:
    stream = REWRITES["error_chunk"].stream
    assert stream is not None
    assert list(stream(iter([b": a comment\n\n"]))) == [b": a comment\n\n"]


def test_a_broken_stream_costs_what_was_sent(emulator: Emulator, http: requests.Session) -> None:
    chat(http, emulator, stream=True)
    with emulator.faults("error_chunk"):
        chat(http, emulator, stream=True)
    whole, broken = [key["usage"] for key in emulator.ledger.keys(emulator.now())]
    assert 0 < broken < whole


@pytest.mark.requirement("O13")
def test_surrogates_can_be_split(emulator: Emulator, http: requests.Session) -> None:
    with emulator.faults("split_surrogates", times=2):
        raw, whole = raw_stream(http, emulator), answer(http, emulator)
    assert words_of(chunks_in(raw))[:2] == ["\ud83d", "\ude00 today. "]
    assert rb'"content": "\ud83d"' in raw
    assert whole["choices"][0]["message"]["content"].startswith("\U0001f600 today. ")
    with emulator.faults("lone_surrogate", times=2):
        raw, whole = raw_stream(http, emulator), answer(http, emulator)
    words = words_of(chunks_in(raw))
    assert words[0] == "\ud83d"
    assert len(words) > FIRST_WORDS
    assert whole["choices"][0]["message"]["content"].startswith("\ud83d")
    # Everything else is as JavaScript writes it.
    assert "“".encode() in raw


@pytest.mark.requirement("O14")
def test_an_answer_can_be_reasoning_only(emulator: Emulator, http: requests.Session) -> None:
    for name, finish_reason in [("only_reasoning", "length"), ("only_reasoning_stop", "stop")]:
        with case(name):
            with emulator.faults(name, times=2):
                found, whole = chunks(http, emulator), answer(http, emulator)
            assert words_of(found) == []
            deltas = [chunk["choices"][0]["delta"] for chunk in found if chunk["choices"]]
            assert sum(delta.get("reasoning") == "hmm " for delta in deltas) == THOUGHTS
            ends = [c["choices"][0]["finish_reason"] for c in found if c["choices"]]
            assert set(ends) == {None, finish_reason}
            assert found[-1]["usage"]["cost"] > 0
            choice = whole["choices"][0]
            assert choice["finish_reason"] == finish_reason
            assert choice["message"]["content"] is None
            assert choice["message"]["reasoning"] == "hmm " * THOUGHTS
            assert whole["usage"]["cost"] > 0


@pytest.mark.requirement("O15")
def test_usage_can_have_no_cost(emulator: Emulator, http: requests.Session) -> None:
    for name in ("usage_without_cost", "usage_cost_null"):
        with case(name):
            with emulator.faults(name, times=2):
                usages = [chunks(http, emulator)[-1]["usage"], answer(http, emulator)["usage"]]
            for usage in usages:
                assert usage["total_tokens"] > 0
                assert ("cost" in usage) == (name == "usage_cost_null")
                assert usage.get("cost") is None


@pytest.mark.requirement("O15")
def test_the_provider_can_charge_instead(emulator: Emulator, http: requests.Session) -> None:
    with emulator.faults("usage_byok", times=2):
        usages = [chunks(http, emulator)[-1]["usage"], answer(http, emulator)["usage"]]
    for usage in usages:
        assert (usage["cost"], usage["is_byok"]) == (0, True)
        assert usage["cost_details"]["upstream_inference_cost"] > 0


@pytest.mark.requirement("O25", "E9")
def test_the_usage_chunk_can_have_one_choice_or_none(
    emulator: Emulator, http: requests.Session
) -> None:
    with emulator.faults("usage_with_choice"):
        last = chunks(http, emulator)[-1]
    (choice,) = last["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["delta"]["content"] == ""
    assert last["usage"]["cost"] > 0
    with emulator.faults("usage_without_choice"):
        last = chunks(http, emulator)[-1]
    assert last["choices"] == []
    assert last["usage"]["cost"] > 0


@pytest.mark.requirement("O25")
def test_annotations_can_be_on_the_choice(emulator: Emulator, http: requests.Session) -> None:
    with emulator.faults("annotations_on_choice", times=2):
        found, whole = chunks(http, emulator), answer(http, emulator)
    annotated = [
        c["choices"][0] for c in found if c["choices"] and "annotations" in c["choices"][0]
    ]
    assert len(annotated) == 1
    assert annotated[0]["finish_reason"] == "stop"
    (annotation,) = annotated[0]["annotations"]
    assert annotation["type"] == "url_citation"
    assert whole["choices"][0]["message"]["annotations"] == [annotation]


@pytest.mark.requirement("O27")
def test_the_model_can_refuse(emulator: Emulator, http: requests.Session) -> None:
    with emulator.faults("refusal", times=2):
        found, whole = chunks(http, emulator), answer(http, emulator)
    assert words_of(found) == []
    deltas = [chunk["choices"][0]["delta"] for chunk in found if chunk["choices"]]
    (refusal,) = [delta["refusal"] for delta in deltas if delta.get("refusal")]
    assert "content_filter" in [c["choices"][0]["finish_reason"] for c in found if c["choices"]]
    choice = whole["choices"][0]
    assert choice["finish_reason"] == "content_filter"
    assert choice["message"]["refusal"] == refusal
    assert choice["message"]["content"] is None


@pytest.mark.requirement("O17", "E7")
def test_the_content_can_be_null_or_parts(emulator: Emulator, http: requests.Session) -> None:
    with emulator.faults("null_content", times=2):
        found, whole = chunks(http, emulator), answer(http, emulator)
    assert words_of(found) == []
    assert None in [c["choices"][0]["delta"]["content"] for c in found if c["choices"]]
    assert whole["choices"][0]["message"]["content"] is None
    with emulator.faults("content_in_parts", times=2):
        found, whole = chunks(http, emulator), answer(http, emulator)
    plain = answer(http, emulator)["choices"][0]["message"]["content"]
    assert "".join(part["text"] for parts in words_of(found) for part in parts) == plain
    assert whole["choices"][0]["message"]["content"] == [{"type": "text", "text": plain}]


@pytest.mark.requirement("O17")
def test_events_can_be_written_in_unusual_ways(emulator: Emulator, http: requests.Session) -> None:
    plain = words_of(chunks(http, emulator))
    with emulator.faults("bom"):
        raw = raw_stream(http, emulator)
    assert raw.startswith(b"\xef\xbb\xbf: OPENROUTER PROCESSING")
    assert words_of(chunks_in(raw)) == plain
    with emulator.faults("event_over_two_lines"):
        raw = raw_stream(http, emulator)
    assert all(e.count(b"\ndata: ") == 1 for e in raw.split(b"\n\n") if e.startswith(b"data: {"))
    assert words_of(chunks_in(raw)) == plain


def test_a_plain_answer_stays_as_it_is_if_only_streams_are_rewritten(
    emulator: Emulator, http: requests.Session
) -> None:
    with emulator.faults("bom"):
        assert answer(http, emulator)["choices"][0]["message"]["content"]


def test_an_error_stays_as_it_is(emulator: Emulator, http: requests.Session) -> None:
    with emulator.faults("bom"):
        assert chat(http, emulator, model="no/such").status_code == 400


def test_a_rewritten_stream_closes_the_real_one() -> None:
    closed = []

    def real() -> Iterator[bytes]:
        try:
            yield b"data: {}\n"
            yield b"\n"
            yield DONE
        finally:
            closed.append(True)

    stream = rewritten_stream(real(), lambda events: events)
    assert next(stream) == b"data: {}\n\n"
    stream.close()  # type: ignore[attr-defined]
    assert closed == [True]
    assert list(rewritten_stream([b": a\n\n"], lambda events: events)) == [b": a\n\n"]
    assert list(read_events([b"incomplete"])) == []


# -- the list of models ---------------------------------------------------------------------------


def models(http: requests.Session, emulator: Emulator) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get(f"{emulator.url}{MODELS}").json()["data"]
    return found


@pytest.mark.requirement("O16", "O26")
def test_the_first_model_can_be_odd(emulator: Emulator, http: requests.Session) -> None:
    usual = models(http, emulator)
    prices = usual[0]["pricing"]
    for name, changed in [
        ("model_architecture_null", {**usual[0], "architecture": None}),
        ("model_without_pricing", {n: v for n, v in usual[0].items() if n != "pricing"}),
        (
            "model_without_completion_price",
            {**usual[0], "pricing": {n: v for n, v in prices.items() if n != "completion"}},
        ),
        ("model_price_empty", {**usual[0], "pricing": {**prices, "completion": ""}}),
        ("model_price_nan", {**usual[0], "pricing": {**prices, "completion": "NaN"}}),
        (
            "model_price_per_route",
            {**usual[0], "pricing": {**prices, "prompt": "-1", "completion": "-1"}},
        ),
        ("model_price_zero", {**usual[0], "pricing": {**prices, "prompt": "0", "completion": "0"}}),
    ]:
        with case(name):
            with emulator.faults(name):
                assert models(http, emulator) == [changed, *usual[1:]]
            assert models(http, emulator) == usual


@pytest.mark.requirement("O16")
def test_the_list_of_models_can_come_in_pages(emulator: Emulator, http: requests.Session) -> None:
    usual, found, path = models(http, emulator), [], MODELS
    with emulator.faults("models_in_pages", times=None):
        while path:
            page = http.get(f"{emulator.url}{path}").json()
            found.append(page["data"])
            path = page["links"]["next"]
    assert [len(page) for page in found] == [3, len(usual) - 3]
    assert found[0] + found[1] == usual


def test_an_empty_page_of_models_stays_empty(emulator: Emulator, http: requests.Session) -> None:
    with emulator.faults("model_price_nan"):
        page = http.get(f"{emulator.url}{MODELS}?offset=999").json()
    assert page["data"] == []


# -- the redirect to the app ----------------------------------------------------------------------


@pytest.mark.requirement("O20")
def test_the_browser_can_come_back_with_an_error(emulator: Emulator) -> None:
    url = authorization_url(emulator, state="top", **S256)
    for error in ("temporarily_unavailable", "server_error"):
        with case(error):
            with emulator.faults(f"callback_{error}"):
                callback = emulator.approve(url)
            query = parse_qs(urlsplit(callback).query)
            assert query == {"state": ["nonce", "top"], "error": [error]}
            assert "code=" in emulator.approve(url)
            with emulator.configured(deny_style="error"), emulator.faults(f"callback_{error}"):
                assert parse_qs(urlsplit(emulator.deny(url)).query)["error"] == [error]


@pytest.mark.requirement("O19")
def test_the_browser_can_come_back_with_escaped_ampersands(emulator: Emulator) -> None:
    with emulator.faults("callback_escaped_ampersand"):
        callback = emulator.approve(authorization_url(emulator, **S256))
    assert callback.startswith(f"{CALLBACK_URL}&amp;code=auth_code_")


def test_a_page_without_redirect_stays_as_it_is(emulator: Emulator) -> None:
    url = f"{emulator.url}/auth?code_challenge={'c' * 43}"
    with emulator.faults("callback_server_error"):
        assert emulator.approve_headless(url).startswith("auth_code_")


def test_every_rewrite_says_what_it_rewrites() -> None:
    for name, rewrite in REWRITES.items():
        assert rewrite.stream or rewrite.body or rewrite.location, name
