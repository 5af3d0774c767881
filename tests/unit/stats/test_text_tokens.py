"""Words of captions, as the tokeniser behind published scores splits them."""

from __future__ import annotations

import pytest

from neuroattn.stats.text_tokens import words


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A man, a dog and a half-eaten pizza.", "a man a dog and a half-eaten pizza"),
        ("Two people in chef's outfits", "two people in chef 's outfits"),
        ("It's a dog that doesn't bark!", "it 's a dog that does n't bark"),
        ("the dogs' toys", "the dogs toys"),
        ("They can't and cannot", "they ca n't and can not"),
        ("A clock at 10:30 a.m. on Main St.", "a clock at 10:30 a.m. on main st."),
        ('A sign that says "stop"...', "a sign that says stop"),
        ("a bus (red)", "a bus -lrb- red -rrb-"),
        ("black/white cat -- asleep", "black/white cat asleep"),
        ("one\nline;  two", "one line two"),
        ("$5 & 50%", "$ 5 & 50 %"),
        ("the \u201cold\u201d man\u2019s caf\u00e9", "the old man 's caf\u00e9"),
        ("", ""),
    ],
)
def test_words_are_split_as_published_scores_split_them(caption: str, expected: str) -> None:
    assert words(caption) == expected.split()
