"""The reader and anything that may arrive: it never fails, and does not depend on the blocks."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from streams import check_any, delta, sse, whole

from flask_openrouter.client import read_stream


@given(st.lists(st.text(st.characters(), max_size=5), max_size=6))
def test_any_text_can_be_encoded_and_is_complete(pieces: list[str]) -> None:
    text = "".join(
        read_stream([sse(*(delta(content=piece) for piece in pieces), "[DONE]")]).iter_text()
    )
    # What JSON makes of the whole at once.
    joined = "".join(pieces).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert text == joined
    text.encode()


#: Names that mean something to the reader.
NAMES = """
    content text type reasoning reasoning_details refusal images image_url url annotations delta
    message finish_reason native_finish_reason index cost usage total_tokens choices id error
"""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES.split()),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(st.fixed_dictionaries({}, optional={"choices": JSON, "usage": JSON}), max_size=4))
def test_no_content_is_too_odd(events: list[dict[str, Any]]) -> None:
    check_any(sse(*events, "[DONE]"))


@given(JSON, JSON)
def test_no_message_is_too_odd(message: object, member: object) -> None:
    check_any(sse({"choices": [{"delta": message, "annotations": member}]}, "[DONE]"))
    check_any(whole(message, usage=member))


@given(st.binary(max_size=200))
def test_no_bytes_are_too_odd_for_an_answer(data: bytes) -> None:
    check_any(data)
    check_any(b"data: " + data)
    check_any(b'{"choices":[{"message":' + data)
