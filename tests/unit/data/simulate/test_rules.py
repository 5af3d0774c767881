"""From scenes to noiseless responses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neuroattn.data.simulate import rules
from neuroattn.data.simulate.cortex import Cortex, plan_cortex
from neuroattn.data.simulate.rois import load_rois
from neuroattn.data.simulate.scene import Scene
from tests.unit.data.simulate.plain_scenes import moved, plain_scene


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [plain_scene(number) for number in range(400)]


@pytest.fixture(scope="module")
def cortex() -> Cortex:
    return plan_cortex(0, 1)


@pytest.fixture(scope="module")
def signal(cortex, scenes):
    early = cortex.planted[rules.early_columns(cortex)]
    field = rules.fields(cortex.x[early], cortex.y[early], cortex.width[early], 32)
    channels = rules.local_channels(np.stack([scene.pixels for scene in scenes]), field)
    weights = rules.plan_weights(cortex, 0, 1)
    return rules.noiseless(cortex, weights, channels, rules.contents(scenes))


def columns(cortex: Cortex, name: str) -> np.ndarray:
    return np.flatnonzero(np.isin(cortex.planted, cortex.members(name)))


def test_responses_are_standardised_over_images(signal):
    assert np.allclose(signal.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(signal.std(axis=0), 1, atol=1e-4)


def test_a_late_response_stays_as_it_was_when_things_move(cortex, scenes):
    weights = rules.plan_weights(cortex, 0, 1).rows(rules.ATTRIBUTES, columns(cortex, "EBA"))
    before = rules.late_signal(rules.contents(scenes)["body"], weights)
    after = rules.late_signal(rules.contents([moved(scene) for scene in scenes])["body"], weights)
    assert np.array_equal(before, after)


def test_a_late_response_is_half_presence_and_half_attributes(cortex, scenes, signal):
    presence, attributes = rules.late_parts(rules.contents(scenes)["face"])
    own = columns(cortex, "FFA-1")
    with_presence = [np.corrcoef(signal[:, column], presence)[0, 1] ** 2 for column in own]
    assert np.allclose(with_presence, 0.5, atol=1e-3)
    assert np.allclose(attributes.T @ presence, 0, atol=1e-6)
    design = np.column_stack([presence, attributes])
    fitted = design @ np.linalg.lstsq(design, signal[:, own], rcond=None)[0]
    assert np.allclose(fitted, signal[:, own], atol=1e-3)


def test_attributes_count_for_nothing_where_the_thing_is_absent(scenes):
    content = rules.contents(scenes)["word"]
    _, attributes = rules.late_parts(content)
    assert (attributes[content.presence == 0] == 0).all()
    assert np.allclose(attributes[content.presence == 1].std(axis=0), 1)


def test_an_unknown_expression_counts_for_nothing(scenes):
    content = rules.contents(scenes)["face"]
    column = content.names.index("expression")
    unknown = np.isnan(content.attributes[:, column])
    assert (unknown & (content.presence == 1)).sum() > 0
    assert (rules.late_parts(content)[1][unknown, column] == 0).all()


def test_vertices_of_a_region_weigh_attributes_differently(cortex, signal):
    correlation = np.corrcoef(signal[:, columns(cortex, "FFA-1")].T)
    assert correlation[np.triu_indices(len(correlation), 1)].min() < 0.5


def test_an_early_response_changes_only_with_pixels_in_its_field():
    field = rules.fields(np.array([2.0]), np.array([1.0]), np.array([1.2]), 64)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    inside = field[0].reshape(32, 32).repeat(2, axis=0).repeat(2, axis=1) > 0
    outside = pixels.copy()
    outside[0, ~inside] = 255 - outside[0, ~inside]
    within = pixels.copy()
    row, column = np.argwhere(inside)[len(np.argwhere(inside)) // 2]
    within[0, row, column] = 255 - within[0, row, column]
    before = rules.local_channels(pixels, field)
    assert np.array_equal(rules.local_channels(outside, field), before)
    assert not np.array_equal(rules.local_channels(within, field), before)


def test_fields_look_where_they_should():
    field = rules.fields(np.array([2.1, -2.1]), np.array([2.1, 2.1]), np.array([1.0, 1.0]), 160)
    for weight, (left, right) in zip(field.reshape(2, 80, 80), ((0, 1), (1, 0)), strict=True):
        top, bottom = weight[:40].sum(), weight[40:].sum()
        halves = weight[:, :40].sum(), weight[:, 40:].sum()
        assert top > 0.99 > 0.01 > bottom
        assert halves == pytest.approx((left, right), abs=0.01)
    assert np.allclose(field.sum(axis=1), 1, atol=1e-5)


def test_channels_of_a_plain_picture():
    field = rules.fields(np.array([0.0]), np.array([0.0]), np.array([1.5]), 32)
    picture = np.zeros((1, 32, 32, 3), dtype=np.uint8)
    picture[..., 0] = 255
    expected = [1 / 3, 1.0, -0.5, 0.0]
    assert np.allclose(rules.local_channels(picture, field)[0, 0], expected, atol=1e-3)


def test_the_default_mode_network_has_a_signal_of_its_own(cortex, scenes, signal):
    presence, _ = rules.late_parts(rules.contents(scenes)["animal"])
    for roi in load_rois():
        own = columns(cortex, roi.name)
        if len(own) == 0 or np.isfinite(cortex.width[cortex.planted][own]).all():
            continue
        shared = np.array([np.corrcoef(signal[:, column], presence)[0, 1] ** 2 for column in own])
        if roi.category == "default":
            assert np.allclose(shared, 0.5, atol=1e-3)
        else:
            assert shared.max() < 0.15, roi.name


def test_two_networks_carry_the_same_signal(cortex, signal):
    first, second = columns(cortex, "FEF"), columns(cortex, "DLPFC")
    assert np.allclose(signal[:, first[:1]], signal[:, second], atol=1e-5)
    assert not np.allclose(signal[:, first[:1]], signal[:, columns(cortex, "PCC")], atol=0.1)


def test_every_weight_is_a_direction(cortex):
    weights = rules.plan_weights(cortex, 0, 1)
    assert np.allclose((weights.values**2).sum(axis=0), 1)
    other = rules.plan_weights(cortex, 0, 2)
    assert not np.array_equal(weights.values, other.values)
    networks = columns(cortex, "PCC")
    assert np.array_equal(weights.values[:, networks], other.values[:, networks])


def test_places_respond_to_what_is_behind():
    scene = plain_scene(3)
    content = rules.contents([replace(scene, background=name) for name in ("city", "beach")])
    assert content["place"].presence.tolist() == [1.0, 0.0]
