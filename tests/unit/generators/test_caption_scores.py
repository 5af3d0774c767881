from __future__ import annotations

import pytest

from neuroattn.generators.caption_scores import caption_scores, named, nouns


def test_nouns_are_those_of_the_simulator() -> None:
    assert nouns()["cat"] == "animal"
    assert nouns()["cup of coffee"] == "food"


def test_whole_words_outside_quotes_count() -> None:
    assert named('A red cat and a cup of coffee by a word "face".') == [
        "cat",
        "cup of coffee",
        "word",
    ]
    assert named("A catalogue.") == []


def test_known_scores() -> None:
    told = ["A cat in a room.", "A dog and a bus in a city."]
    found = caption_scores(told, [["cat", "", ""], ["cat", "bus"]])
    assert found["named"] == pytest.approx(2 / 3)
    assert found["named_category"] == 1
    assert found["false"] == pytest.approx(1 / 3)
    assert found["false_category"] == 0
    assert found["exact"] == 0.5


def test_silence_names_nothing_and_lies_about_nothing() -> None:
    found = caption_scores([""], [["cat"]])
    assert (found["named"], found["false"], found["exact"]) == (0, 0, 0)
