"""Strings for regular expressions; Python's own ``re`` judges."""

from __future__ import annotations

import re

from cases import case
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_openrouter.emulator.patterns import sample_of_pattern


def test_a_sample_matches_its_pattern() -> None:
    for pattern, least in [
        (r"^\d{3}-\d{4}$", 0),
        (r"^[A-Z]{2}\d+$", 9),
        (r"^(foo|bar)-[a-z0-9_]{2,5}$", 9),
        (r"^#[0-9a-fA-F]{6}$", 0),
        (r"[^a-z]", 0),
        (r"^\S+@\S+\.\w{2,}$", 12),
        (r"^[^@\s]+@[^@\s]+$", 0),
        (r"^[\w.-]+$", 4),
        (r"^[+]?[1-9]\d{1,14}$", 11),
        (r"^.*$", 5),
        (r"a{2,}?", 4),
        (r"^(?:a|b)*c$", 3),
        (r"^a{0,3}$", 0),
        (r"^[a-]$", 0),
        (r"^[\d-]+$", 3),
        (r"^[!-\/]$", 0),
        (r"^\d{4}-(0[1-9]|1[0-2])$", 0),
        (r"^\W\D\S$", 0),
        (r"", 0),
    ]:
        with case(pattern, least):
            sample = sample_of_pattern(pattern, least)
            assert sample is not None
            assert re.search(pattern, sample)
            assert len(sample) >= least


def test_what_is_not_known_has_no_sample() -> None:
    for pattern, least in [
        (r"(?=x)", 0),
        (r"(", 0),
        (r"[a", 0),
        (r"[]", 0),
        (r"\p{L}", 0),
        (r"(a", 0),
        (r"a)", 0),
        (r"^a$", 2),
        (r"a{99999999999}", 0),
        (r"(a{5000}){5000}", 0),
        ("(" * 5000, 0),
    ]:
        with case(pattern, least):
            assert sample_of_pattern(pattern, least) is None


@given(st.text(alphabet=r"ab01[]()|^$.*+?{},-\dwsDWS:", max_size=12), st.integers(0, 5))
@settings(
    max_examples=5 * settings.default.max_examples, deadline=None, derandomize=True, database=None
)
def test_every_pattern_has_a_matching_sample_or_none(pattern: str, least: int) -> None:
    sample = sample_of_pattern(pattern, least)
    assert sample is None or (re.search(pattern, sample) and len(sample) >= least)
