"""Nouns and their classes without a model."""

from __future__ import annotations

import re

import pytest

from neuroattn.captioning.lexicon import CLASSES, OTHER, PEOPLE, lexicon, singular
from neuroattn.captioning.nouns import kind_of, nouns_of, spacy_nouns
from neuroattn.core.errors import MissingDataError
from neuroattn.data.simulate.scene import PLACES
from neuroattn.generators.caption_scores import nouns


def _words(expected: str) -> list[str]:
    """Nouns between blanks, or between bars where one is of two words."""
    return expected.split("|") if "|" in expected else expected.split()


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("Two men riding horses on a beach.", "man horse beach"),
        ("A cup of coffee next to a hot dog.", "cup of coffee|hot dog"),
        ("An orange cat holds an orange.", "cat|orange"),
        ("A group of people standing together.", "group people"),
        ('A sign with the word "dog".', "sign word"),
        ("A shiny gizmo on the counter.", "gizmo counter"),
        ("A woman sitting at a table.", "woman table"),
        ("The top of the picture.", ""),
        ("Several children with knives and teddy bears.", "child|knife|teddy bear"),
        ("A dog and the dog.", "dog"),
        ("", ""),
    ],
)
def test_nouns_of_captions(caption: str, expected: str) -> None:
    assert [noun.word for noun in nouns_of(caption)] == _words(expected)


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A cat sits on a couch.", "cat couch"),
        ("A large brown dog lies on a bed.", "dog bed"),
        ("A giraffe grazes in a field.", "giraffe field"),
        ("A man stands in a kitchen.", "man kitchen"),
        ("A bird perches on a branch.", "bird branch"),
        ("A woman holds on to a pole.", "woman pole"),
        ("A man surfs on a wave.", "man wave"),
        ("A boat floats on the water.", "boat water"),
        ("A duck swims in a pond.", "duck pond"),
        ("A plane flies in the sky.", "plane sky"),
        ("A train stops at a station.", "train station"),
        ("A bus drives down a street.", "bus street"),
        ("A horse runs through a field.", "horse field"),
        ("A boy plays with a ball.", "boy ball"),
        ("A girl sleeps in a bed.", "girl bed"),
        ("A child eats at a table.", "child table"),
        ("A clock hangs on a wall.", "clock wall"),
        ("A hot dog rests on a plate.", "hot dog|plate"),
        ("A zebra yawns in a field.", "zebra field"),  # in no list: its place says that it is none
        ("The cat lounges on a chair.", "cat chair"),
        ("A toddler crawls across the floor.", "toddler floor"),
        ("A man skis down a hill.", "man hill"),
        ("A train heads down the track.", "train track"),
        ("A giraffe faces the fence.", "giraffe fence"),
        ("A woman smiles at the baby.", "woman baby"),
        ("A dog jumps over a bench.", "dog bench"),
        ("Two birds perch on a wire.", "bird wire"),
        ("A gizmo stands on a table.", "table"),  # whatever stands before it
    ],
)
def test_what_a_thing_does_is_no_noun(caption: str, expected: str) -> None:
    assert [noun.word for noun in nouns_of(caption)] == _words(expected)


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("Two cats on a couch.", "cat couch"),
        ("Some gizmos on a table.", "gizmo table"),
        ("Three pizza slices on a plate.", "pizza slice plate"),
        ("Several dog whatsits at a shop.", "dog whatsit shop"),
        ("A man with two faces.", "man face"),
        ("A person with both hands on a keyboard.", "person hand keyboard"),
        ("The tennis players on the court.", "tennis player|court"),
        ("A vase with roses.", "vase rose"),
        ("The drinks in front of a woman.", "drink woman"),
        ("A kitchen cactus in a pot.", "kitchen cactus pot"),
        ("The prizes in a window.", "prize window"),
    ],
)
def test_plurals_are_nouns(caption: str, expected: str) -> None:
    assert [noun.word for noun in nouns_of(caption)] == _words(expected)


def test_every_noun_of_the_simulator_is_found_with_its_class() -> None:
    same = {"animal", "food", "vehicle", "word", "face"}
    for noun, category in nouns().items():
        known = singular(noun)
        found = nouns_of(f"A small green {noun} at the top, in a city.")
        assert [one.word for one in found] == [known, "city"], noun
        assert kind_of(known) == category if category in same else kind_of(known) in PEOPLE
    assert {kind_of(place) for place in PLACES} == {"place"}


def test_classes_are_one_for_each_noun() -> None:
    assert set(lexicon().values()) == set(CLASSES) - {OTHER}
    assert all(re.fullmatch(r"[a-z][a-z -]*", noun) for noun in lexicon())
    assert kind_of("gizmo") == OTHER
    assert kind_of("mountain bike") == "vehicle"  # its last word decides


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("boxes", "box"), ("puppies", "puppy"), ("buses", "bus"), ("women", "woman"),
        ("gizmos", "gizmo"), ("glass", "glass"), ("fries", "fries"),
        ("blorfies", "blorfy"), ("cactus", "cactus"),
    ],
)  # fmt: skip
def test_singular(word: str, expected: str) -> None:
    assert singular(word) == expected


def test_spacy_that_is_not_there_is_named_with_the_remedy() -> None:
    with pytest.raises(MissingDataError, match="spaCy"):
        spacy_nouns("no_such_pipeline")
