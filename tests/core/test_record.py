"""A stored record: what was written is read back, everything else is nothing."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
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
@given(api_keys, user_ids, times)
def test_a_record_survives_both_formats(api_key: str, user_id: str | None, at: int) -> None:
    record = KeyRecord(api_key, user_id, at)
    assert KeyRecord.from_json(record.to_json()) == record
    assert KeyRecord.from_bytes(record.to_bytes()) == record
    datetime.fromtimestamp(record.connected_at, timezone.utc)


def test_a_usual_record_is_small() -> None:
    """It travels in a cookie with every request."""
    assert len(KeyRecord(KEY, "user_2abcdefghijklmnopqrstuvwxyz", 1_800_000_000).to_bytes()) < 75


@settings(deadline=None)
@given(st.one_of(json_values.map(json.dumps), st.text(), st.binary(max_size=200)))
def test_any_other_text_is_nothing(text: str | bytes) -> None:
    assert KeyRecord.from_json(text) is None


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_other_bytes_are_nothing(data: bytes) -> None:
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


@pytest.mark.parametrize(
    "api_key",
    [
        None,
        7,
        "",
        "short12",
        "x" * 513,
        KEY + "\n",
        KEY + "\r\nX: y",
        f" {KEY}",
        KEY + "é",
        "\0" * 9,
    ],
)
def test_a_key_that_is_none_is_nothing(api_key: Any) -> None:
    """A malformed key may have been stored: its line break would end in a header (R82)."""
    fields = {"api_key": api_key, "user_id": None, "connected_at": 1}
    assert KeyRecord.from_json(json.dumps(fields)) is None


@pytest.mark.parametrize("at", [None, True, 1.5, "1", -1, 253_402_300_800, 10**400, float("nan")])
def test_a_time_that_no_calendar_has_is_nothing(at: Any) -> None:
    text = json.dumps({"api_key": KEY, "user_id": None, "connected_at": at})
    assert KeyRecord.from_json(text) is None


@pytest.mark.parametrize("text", ["[" * 100_000, '{"api_key": ' + "1" * 5_000 + "}", "\ufeff{}"])
def test_hostile_json_is_nothing(text: str) -> None:
    assert KeyRecord.from_json(text) is None


@settings(deadline=None)
@given(api_keys | st.just(KEY), user_ids, times, st.data())
def test_a_record_that_was_cut_or_grew_is_never_another_key(
    api_key: str, user_id: str | None, at: int, data: st.DataObject
) -> None:
    whole = KeyRecord(api_key, user_id, at).to_bytes()
    cut = KeyRecord.from_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert cut is None or (cut.api_key == api_key and user_id is not None)
    if user_id is None:
        assert KeyRecord.from_bytes(whole + b"x") is None


@pytest.mark.parametrize("flags", [4, 5, 6, 7, 128, 255])
def test_flags_of_a_later_format_are_nothing(flags: int) -> None:
    data = KeyRecord(KEY, "user_1", 1).to_bytes()
    assert KeyRecord.from_bytes(bytes((flags,)) + data[1:]) is None


@pytest.mark.parametrize("key", [b"", b"short12", b"x" * 513, b"k\xc3\xa9y-of-ten", b"a blank key"])
def test_bytes_with_a_key_that_is_none_are_nothing(key: bytes) -> None:
    data = b"\0" + (1).to_bytes(5, "big") + len(key).to_bytes(2, "big") + key
    assert KeyRecord.from_bytes(data) is None


def test_an_account_that_is_no_text_is_nothing() -> None:
    assert KeyRecord.from_bytes(KeyRecord(KEY, "", 1).to_bytes() + b"\xff") is None


def test_a_time_beyond_the_calendar_is_nothing_in_bytes_either() -> None:
    data = KeyRecord(KEY, None, 1).to_bytes()
    assert KeyRecord.from_bytes(data[:1] + b"\xff" * 5 + data[6:]) is None


def test_the_key_is_not_in_the_repr() -> None:
    assert KEY not in repr(KeyRecord(KEY, "user_1", 1))
