"""Articles before nouns."""

from __future__ import annotations

import pytest

from neuroattn.core.phrases import with_article


@pytest.mark.parametrize(
    ("noun", "said"),
    [
        ("cat", "a cat"),
        ("ice cream", "an ice cream"),
        ("cherries", "cherries"),
        ("red cherries", "red cherries"),
        ("bus", "a bus"),
        ("glass", "a glass"),
        ("glasses", "glasses"),
        ("orange bus", "an orange bus"),
    ],
)
def test_singulars_take_an_article_and_plurals_none(noun: str, said: str) -> None:
    assert with_article(noun) == said
