"""Captions name exactly what is there, in COCO's manner."""

from __future__ import annotations

import re

import numpy as np
import pytest

from neuroattn.data.simulate import backgrounds, exemplars
from neuroattn.data.simulate.captions import (
    captions,
    position_name,
    size_name,
    tint_name,
)
from neuroattn.data.simulate.compose import scenes
from neuroattn.data.simulate.exemplars import catalogue
from neuroattn.data.simulate.scene import ATTRIBUTES, PLACES, Thing

GREY = np.full((8, 8, 3), 128, np.uint8)
KINDS = sorted({one.kind for one in catalogue()}, key=len, reverse=True)


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exemplars, "patch", lambda exemplar: GREY)
    monkeypatch.setattr(backgrounds, "view", lambda background: GREY)


def thing(kind: str = "cat", **changes: float) -> Thing:
    known = dict.fromkeys(ATTRIBUTES, 0.0) | {"tint_red": 1.0}
    centre = changes.pop("x", 0.5), changes.pop("y", 0.5)
    mask = np.zeros((1, 1), np.float32)
    return Thing("animal", "animal/cat-00", (0, 0, 1, 1), centre, 0.4, known | changes, mask, kind)


def named(sentence: str) -> list[str]:
    """Kinds in a sentence; longer names first, so that no part of one counts as another."""
    found = []
    for kind in KINDS:
        pattern = rf"\b{kind}\b"
        found += [kind] * len(re.findall(pattern, sentence))
        sentence = re.sub(pattern, "", sentence)
    return sorted(found)


def test_every_caption_names_exactly_the_things_and_the_place() -> None:
    for scene in scenes(150, seed=21, side=16):
        for caption in scene.captions:
            plain = caption.lower()
            assert named(re.sub(r'"\w+"', "", plain)) == sorted(t.kind for t in scene.things)
            assert [place for place in PLACES if place in plain] == [scene.background]


def test_the_first_caption_says_tint_size_position_and_word() -> None:
    for scene in scenes(60, seed=22, side=16):
        for one in scene.things:
            phrase = scene.caption.lower()
            assert tint_name(one) in phrase
            assert position_name(one) in phrase
            assert size_name(one) in phrase
            assert one.text in phrase


def test_captions_are_five_different_sentences_with_articles() -> None:
    for scene in scenes(60, seed=23, side=16):
        assert len(set(scene.captions)) == 5
        for caption in scene.captions:
            assert re.fullmatch(r'[A-Z][a-z ,"]+\.', caption), caption
            assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", caption.lower())


@pytest.mark.parametrize(
    ("red", "yellow", "expected"),
    [(1, 0.1, "red"), (0.1, 1, "yellow"), (-1, 0.1, "green"), (-1, -0.1, "green"), (0, -1, "blue")],
)
def test_tints_have_names(red: float, yellow: float, expected: str) -> None:
    assert tint_name(thing(tint_red=red, tint_yellow=yellow)) == expected


def test_positions_and_sizes_have_names() -> None:
    assert position_name(thing(x=0.5, y=0.5)) == "in the middle"
    assert position_name(thing(x=0.2, y=0.2)) == "at the top left"
    assert position_name(thing(x=0.8, y=0.5)) == "on the right"
    assert position_name(thing(x=0.5, y=0.8)) == "at the bottom"
    assert [size_name(thing(size=size)) for size in (-0.9, 0.0, 0.9)] == ["small", "", "large"]


def test_plurals_take_no_article() -> None:
    told = captions([thing("cherries"), thing("cat")], "beach", np.random.default_rng(0))
    for sentence in told:
        assert re.search(r"(^|, |and |are |of |with )(red )?cherries", sentence.lower())
