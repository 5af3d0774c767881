"""Scenes: deterministic, balanced, and true to what they say of themselves."""

from __future__ import annotations

import functools
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from unittest import mock

import numpy as np
import pytest

from neuroattn.core.errors import ConfigError
from neuroattn.data.simulate import backgrounds, exemplars
from neuroattn.data.simulate import compose as module
from neuroattn.data.simulate.compose import (
    GENERATOR,
    NEAR,
    Layout,
    bounds,
    check_layout,
    compose,
    disc,
    place_discs,
    scenes,
)
from neuroattn.data.simulate.scene import (
    ATTRIBUTES,
    CATEGORIES,
    PLACE_ATTRIBUTES,
    PLACES,
    Pool,
    Scene,
    Thing,
)

SEED = 11


@pytest.fixture
def blank() -> Iterator[None]:
    """Every exemplar and place an empty picture: what is tested stands in the masks."""
    with without_pictures():
        yield


@contextmanager
def without_pictures() -> Iterator[None]:
    grey = np.full((8, 8, 3), 128, np.uint8)
    with (
        mock.patch.object(exemplars, "patch", return_value=grey),
        mock.patch.object(backgrounds, "view", return_value=grey),
    ):
        yield


@functools.cache
def many() -> tuple[Scene, ...]:
    """Enough small scenes for statistics; their pictures are blank, as drawing takes longest."""
    with without_pictures():
        return tuple(scenes(500, seed=SEED, side=32))


def things() -> list[Thing]:
    return [thing for scene in many() for thing in scene.things]


def same(one: Scene, other: Scene) -> bool:
    masks = zip(one.things, other.things, strict=True)
    return (
        np.array_equal(one.pixels, other.pixels)
        and one.captions == other.captions
        and all(np.array_equal(a.mask, b.mask) and a.exemplar == b.exemplar for a, b in masks)
    )


def test_a_scene_depends_on_its_number_alone() -> None:
    whole = list(scenes(6, seed=3, side=48))
    later = list(scenes(2, seed=3, side=48, first=4))
    assert [scene.image for scene in later] == [4, 5]
    assert all(same(one, other) for one, other in zip(whole[4:], later, strict=True))
    assert not same(whole[0], next(scenes(1, seed=4, side=48)))


def test_a_scene_does_not_depend_on_what_was_composed_before() -> None:
    backwards = [compose(image, seed=3) for image in (2, 1, 0)]
    forwards = [compose(image, seed=3) for image in (0, 1, 2)]
    assert all(same(a, b) for a, b in zip(backwards[::-1], forwards, strict=True))


def test_scenes_are_made_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    monkeypatch.setattr(module, "compose", lambda image, **_: made.append(image))
    list(islice(scenes(10**9, seed=0), 3))
    assert made == [0, 1, 2]


def test_pixels_masks_boxes_and_attributes_have_their_shapes() -> None:
    for scene in scenes(6, seed=1, side=160):
        assert scene.pixels.shape == (160, 160, 3)
        assert scene.pixels.dtype == np.uint8
        assert len(scene.captions) == 5
        assert scene.caption == scene.captions[0]
        assert tuple(scene.place_attributes) == PLACE_ATTRIBUTES
        assert 1 <= len({thing.category for thing in scene.things}) == len(scene.things) <= 3
        for thing in scene.things:
            assert thing.mask.shape == (160, 160)
            assert thing.mask.dtype == np.float32
            assert thing.box == bounds(thing.mask)
            assert set(ATTRIBUTES) <= set(thing.attributes) <= {*ATTRIBUTES, "expression"}
            assert all(-1 <= value <= 1 for value in thing.attributes.values())


def test_the_box_is_the_disc_where_nothing_covers_it(blank: None) -> None:
    for scene in scenes(30, seed=2, side=100, things=(1, 1)):
        (thing,) = scene.things
        top, left, height, width = thing.box
        assert width == pytest.approx(100 * thing.size, abs=2)
        assert height == pytest.approx(100 * thing.size, abs=2)
        assert left + width / 2 == pytest.approx(100 * thing.centre[0], abs=1.01)
        assert top + height / 2 == pytest.approx(100 * thing.centre[1], abs=1.01)


def test_things_enter_through_their_masks_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """With other pictures in the discs, the scene differs where masks are, and nowhere else."""
    scene = compose(5, seed=8)
    blank = np.full((128, 128, 3), 255, np.uint8)
    monkeypatch.setattr(exemplars, "patch", lambda exemplar: blank)
    other = compose(5, seed=8)
    weight = np.sum([thing.mask for thing in scene.things], axis=0)
    assert np.array_equal(scene.pixels[weight == 0], other.pixels[weight == 0])
    assert (scene.pixels != other.pixels).any(axis=2)[weight > 0.5].mean() > 0.99
    assert all(
        np.array_equal(a.mask, b.mask) for a, b in zip(scene.things, other.things, strict=True)
    )


def test_the_outline_does_not_tell_the_category(blank: None) -> None:
    """A mask that nothing covers is a function of place and size, and of nothing else."""
    for scene in scenes(60, seed=5, side=64, things=(1, 1)):
        (thing,) = scene.things
        assert np.array_equal(thing.mask, disc(64, np.array(thing.centre), thing.size))


def test_sizes_places_and_overlap_are_the_same_for_every_category() -> None:
    areas = {c: [t.mask.sum() for t in things() if t.category == c] for c in CATEGORIES}
    overall = np.concatenate(list(areas.values()))
    for category, values in areas.items():
        spread = overall.std() / np.sqrt(len(values))
        assert abs(np.mean(values) - overall.mean()) < 4 * spread, category


def test_attributes_do_not_correlate_with_the_category() -> None:
    kinds = np.array([[thing.category == c for c in CATEGORIES] for thing in things()], float)
    values = np.array([[t.attributes[name] for name in ATTRIBUTES] for t in things()])
    found = np.corrcoef(kinds.T, values.T)[: len(CATEGORIES), len(CATEGORIES) :]
    assert np.abs(found).max() < 4 / np.sqrt(len(kinds))
    assert np.all(values.std(axis=0) > 0.4)


def test_attributes_do_not_correlate_with_each_other() -> None:
    values = np.array([[t.attributes[name] for name in ATTRIBUTES] for t in things()])
    between = np.corrcoef(values.T) - np.eye(len(ATTRIBUTES))
    assert np.abs(between).max() < 4 / np.sqrt(len(values))


def test_categories_places_and_numbers_are_balanced() -> None:
    shown = np.array([sum(t.category == c for t in things()) for c in CATEGORIES])
    behind = np.array([sum(scene.background == p for scene in many()) for p in PLACES])
    numbers = np.array([sum(len(scene.things) == n for scene in many()) for n in (1, 2, 3)])
    for found in (shown, behind, numbers):
        even = found.sum() / len(found)
        assert np.all(np.abs(found - even) < 4 * np.sqrt(even)), found


def test_positions_fill_the_field() -> None:
    centres = np.array([thing.centre for thing in things()])
    for axis in (0, 1):
        assert np.histogram(centres[:, axis], 3, (0.15, 0.85))[0].min() > len(centres) / 5


def test_discs_lie_inside_and_hardly_overlap() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        sizes = rng.uniform(0.3, 0.45, size=3)
        centres = place_discs(sizes, rng)
        assert np.all(centres - sizes[:, None] / 2 >= 0)
        assert np.all(centres + sizes[:, None] / 2 <= 1)
    kept = [t.mask.sum() / disc(32, np.array(t.centre), t.size).sum() for t in things()]
    assert min(kept) > 0.7
    assert np.mean(kept) > 0.99


def test_attributes_are_visible_in_the_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tint, the light and the contrast of a disc's pixels follow the attributes."""
    grey = np.full((8, 8, 3), 128, np.uint8)
    monkeypatch.setattr(backgrounds, "view", lambda background: grey)
    rows = []
    for scene in scenes(120, seed=6, side=48, things=(1, 1)):
        (thing,) = scene.things
        red, green, blue = (scene.pixels[thing.mask > 0.9] / 255.0).T
        light = 0.299 * red + 0.587 * green + 0.114 * blue
        tint = thing.attributes["tint_red"], thing.attributes["tint_yellow"]
        seen = ((red - green).mean(), (red / 2 + green / 2 - blue).mean())
        rest = thing.attributes["luminance"], thing.attributes["contrast"]
        rows.append((*tint, *rest, *seen, light.mean(), light.std()))
    found = np.corrcoef(np.array(rows).T)
    assert np.all(found[:4, 4:].diagonal() > (0.8, 0.8, 0.8, 0.6))


def test_large_things_in_small_pictures(blank: None) -> None:
    for image in range(20):
        scene = compose(image, seed=9, layout=GENERATOR)
        assert scene.pixels.shape == (64, 64, 3)
        assert len(scene.things) in (1, 2)
        assert all(thing.size >= 0.36 for thing in scene.things)


def test_pools_groups_and_scenes_agree(blank: None) -> None:
    held = list(scenes(20, seed=0, side=32, pool=Pool.unseen))
    kept = many()[:60]
    assert all(scene.unseen for scene in held)
    assert not any(scene.unseen for scene in kept)
    assert not {scene.group for scene in held} & {scene.group for scene in kept}
    sources = [
        {one.source for scene in side for one in scene.things}
        | {scene.background_source for scene in side}
        for side in (held, kept)
    ]
    assert not sources[0] & sources[1]


def test_groups_share_no_source() -> None:
    """Folds over groups are folds over exemplars."""
    found: dict[str, set[str]] = {}
    for scene in many():
        for source in (*(thing.source for thing in scene.things), scene.background_source):
            found.setdefault(source, set()).add(scene.group)
    assert all(len(groups) == 1 for groups in found.values())


def test_no_network_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a scene opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert len(list(scenes(8, seed=77, side=32))) == 8


@pytest.mark.parametrize(
    "layout", [{"things": (0, 1)}, {"things": (2, 4)}, {"sizes": (0.5, 0.3)}, {"side": 4}]
)
def test_a_layout_that_cannot_be_drawn_is_refused(layout: dict[str, tuple[int, int]]) -> None:
    with pytest.raises(ConfigError, match="layout"):
        scenes(1, seed=0, **layout)


def test_the_only_thing_of_a_near_scene_fills_its_middle(blank: None) -> None:
    for number in range(5):
        (thing,) = compose(number, seed=SEED, layout=NEAR).things
        assert thing.centre == (0.5, 0.5)
        assert 0.7 <= thing.size <= 0.8
        assert "in the middle" in compose(number, seed=SEED, layout=NEAR).caption
    with pytest.raises(ConfigError, match="1 if centred"):
        check_layout(Layout(things=(1, 2), centred=True))
