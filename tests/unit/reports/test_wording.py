from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroattn.reports import wording


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, "0.500"),
        (-0.25, "\u22120.250"),
        (-0.0001, "0.000"),
        (math.nan, "n/a"),
        (math.inf, "n/a"),
        (None, "n/a"),
    ],
)
def test_score(value: float | None, expected: str) -> None:
    assert wording.score(value) == expected


def test_span_needs_both_ends() -> None:
    assert wording.span(-0.1, 0.2) == "\u22120.100 to 0.200"
    assert wording.span(math.nan, 0.2) == "n/a"


@pytest.mark.parametrize(
    ("value", "expected"), [(1234, "1,234"), (None, "n/a"), ("many", "many"), (math.nan, "nan")]
)
def test_count(value: object, expected: str) -> None:
    assert wording.count(value) == expected


def test_plural_and_spread() -> None:
    assert wording.plural(1, "fold") == "1 fold"
    assert wording.plural(2000, "target") == "2,000 targets"
    assert wording.spread([3, 3]) == "3"
    assert wording.spread([2, 10, 3]) == "2 to 10"
    assert wording.spread([]) == "n/a"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (512, "512 B"),
        (2048, "2.0 KiB"),
        (5 * 2**20, "5.0 MiB"),
        (3 * 2**30, "3.00 GiB"),
        (None, ""),
    ],
)
def test_size(value: object, expected: str) -> None:
    assert wording.size(value) == expected


def test_foreign_values_become_text() -> None:
    assert wording.said(None) == wording.said(math.nan) == ""
    assert wording.said(True) == "yes"
    assert wording.said(["a", 1]) == "a, 1"
    assert len(wording.cell("x" * 9999)) == wording.LONGEST_CELL


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain <b>", "plain <b>"),
        ("two\nlines\t", "two\nlines\t"),
        ("nul\x00", "nul\ufffd"),
        ("c1\x85", "c1\ufffd"),
        ("override\u202e", "override\ufffd"),
        ("isolate\u2066", "isolate\ufffd"),
        ("surrogate\udcff", "surrogate\ufffd"),
        ("non\ufffe\U0001ffff", "non\ufffd\ufffd"),
        (
            "\u05e9\u05dc\u05d5\u05dd \u6f22 \u00e9 \u200f",
            "\u05e9\u05dc\u05d5\u05dd \u6f22 \u00e9 \u200f",
        ),
    ],
)
def test_harmless(text: str, expected: str) -> None:
    assert wording.harmless(text) == expected


@given(st.text())
def test_harmless_text_can_always_be_written_and_never_grows(text: str) -> None:
    cleaned = wording.harmless(text)
    assert len(cleaned) == len(text)
    assert cleaned.encode().decode() == cleaned
    assert "\x00" not in cleaned


def test_endless_text_is_cut_and_says_so() -> None:
    cleaned = wording.harmless("x" * 10**6)
    assert len(cleaned) < wording.LONGEST_TEXT + 20
    assert cleaned.endswith("[cut]")
