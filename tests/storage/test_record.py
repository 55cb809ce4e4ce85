"""A stored record: what was written is read back, and anything else counts as no record."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flask_openrouter.storage.record import KeyRecord

KEY = "sk-or-v1-" + "0123456789abcdef" * 4

api_keys = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=512)
user_ids = st.none() | st.text(max_size=255) | st.just("half \ud800")
times = st.integers(0, 253_402_300_799)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(deadline=None)
@given(api_keys | st.just(KEY), user_ids, times, st.none() | times, st.booleans())
def test_a_record_survives_both_formats(
    api_key: str, user_id: str | None, at: int, rejected_at: int | None, follows: bool
) -> None:
    record = KeyRecord(api_key, user_id, at, rejected_at, follows)
    assert KeyRecord.from_json(record.to_json()) == record
    assert KeyRecord.from_bytes(record.to_bytes()) == record
    datetime.fromtimestamp(record.connected_at, timezone.utc)


def test_a_usual_record_is_small() -> None:
    """Browsers send it in a cookie with every request."""
    assert len(KeyRecord(KEY, "user_2abcdefghijklmnopqrstuvwxyz", 1_800_000_000).to_bytes()) < 75


@settings(deadline=None)
@given(st.one_of(json_values.map(json.dumps), st.text(), st.binary(max_size=200)))
def test_any_other_text_is_no_record(text: str | bytes) -> None:
    assert KeyRecord.from_json(text) is None


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_other_bytes_are_no_record(data: bytes) -> None:
    assert KeyRecord.from_bytes(data) is None


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "api_key": st.one_of(st.just(KEY), json_values),
            "user_id": st.one_of(st.none(), json_values),
            "connected_at": st.one_of(st.just(1), json_values),
        }
    )
)
def test_what_is_read_is_well_formed(fields: dict[str, Any]) -> None:
    record = KeyRecord.from_json(json.dumps(fields))
    if record is None:
        return
    assert 8 <= len(record.api_key) <= 512
    assert record.openrouter_user_id is None or isinstance(record.openrouter_user_id, str)
    datetime.fromtimestamp(record.connected_at, timezone.utc)


def test_a_malformed_key_is_no_record() -> None:
    """One may have been stored. Its line break would end up in a header (R82)."""
    texts = ("", "short12", "x" * 513, KEY + "\n", KEY + "\r\nX: y", f" {KEY}", KEY + "é", "\0" * 9)
    for api_key in (*texts, None, 7):
        fields = {"api_key": api_key, "user_id": None, "connected_at": 1}
        assert KeyRecord.from_json(json.dumps(fields)) is None, api_key
    for data in (b"", b"short12", b"x" * 513, b"k\xc3\xa9y-of-ten", b"a blank key"):
        head = b"\0" + (1).to_bytes(5, "big") + len(data).to_bytes(2, "big")
        assert KeyRecord.from_bytes(head + data) is None, data


def test_a_time_beyond_the_calendar_is_no_record() -> None:
    for at in (None, True, 1.5, "1", -1, 253_402_300_800, 10**400, float("nan")):
        text = json.dumps({"api_key": KEY, "user_id": None, "connected_at": at})
        assert KeyRecord.from_json(text) is None, at
    data = KeyRecord(KEY, None, 1).to_bytes()
    assert KeyRecord.from_bytes(data[:1] + b"\xff" * 5 + data[6:]) is None


def test_hostile_json_is_no_record() -> None:
    for text in ("[" * 100_000, '{"api_key": ' + "1" * 5_000 + "}", "\ufeff{}"):
        assert KeyRecord.from_json(text) is None, text[:20]


@settings(deadline=None)
@given(api_keys | st.just(KEY), user_ids, times, st.data())
def test_a_record_that_was_cut_or_extended_has_no_other_key(
    api_key: str, user_id: str | None, at: int, data: st.DataObject
) -> None:
    whole = KeyRecord(api_key, user_id, at).to_bytes()
    cut = KeyRecord.from_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert cut is None or (cut.api_key == api_key and user_id is not None)
    if user_id is None:
        assert KeyRecord.from_bytes(whole + b"x") is None


def test_a_rejection_at_an_impossible_time_is_no_record() -> None:
    data = KeyRecord(KEY, "user_1", 1, 1).to_bytes()
    assert KeyRecord.from_bytes(data) is not None
    assert KeyRecord.from_bytes(data[:6] + b"\xff" * 5 + data[11:]) is None
    fields = {"api_key": KEY, "user_id": None, "connected_at": 1}
    for wrong in ({"rejected_at": -1}, {"rejected_at": True}, {"follows_rejected": 1}):
        assert KeyRecord.from_json(json.dumps({**fields, **wrong})) is None, wrong


def test_flags_of_a_later_format_are_no_record() -> None:
    data = KeyRecord(KEY, "user_1", 1).to_bytes()
    for flags in (16, 17, 18, 19, 128, 255):
        assert KeyRecord.from_bytes(bytes((flags,)) + data[1:]) is None, flags


def test_an_account_that_is_not_text_is_no_record() -> None:
    assert KeyRecord.from_bytes(KeyRecord(KEY, "", 1).to_bytes() + b"\xff") is None


def test_the_key_is_not_in_the_repr() -> None:
    assert KEY not in repr(KeyRecord(KEY, "user_1", 1))
