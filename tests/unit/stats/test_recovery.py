"""Scores against the planted truth: what a perfect, a blind and a lost encoder get."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neuroattn.stats.planted import Content, Truth
from neuroattn.stats.recovery import LATE, NULL, Looks, Predictions, attention_on, recovery

IMAGES, SIDE, GRID = 240, 16, (4, 4)


def planted() -> Truth:
    """Two face targets, one early one; a thing of a quarter of the side in every second image."""
    rng = np.random.default_rng(3)
    presence = (np.arange(IMAGES) % 2).astype(np.float64)
    attributes = rng.normal(size=(IMAGES, 2)) * presence[:, None]
    weights = np.array([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
    late = presence[:, None] * 2 - 1 + attributes @ weights[:2, :2]
    noiseless = np.column_stack([late, rng.normal(size=IMAGES)]).astype(np.float16)
    scene = 1000 + np.arange(IMAGES)
    shown = scene[presence > 0]
    place = rng.integers(0, 4, size=(len(shown), 2))
    masks = np.zeros((len(shown), SIDE, SIDE), dtype=bool)
    for thing, (row, column) in enumerate(place.tolist()):
        masks[thing, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = True
    box = np.column_stack([4 * place, np.full_like(place, 4)])
    return Truth(
        target=np.array([5, 7, 9]), roi=np.array(["FFA", "FFA", "V1v"]),
        kind=np.array(["category", "category", "early"]),
        category=np.array(["face", "face", "n/a"]), weights=weights,
        weight_names=("tint", "size", "luminance"), images=10 + np.arange(IMAGES), scenes=scene,
        unseen=np.arange(IMAGES) >= 200, noiseless=noiseless,
        content={"face": Content(presence, attributes, ("tint", "size"))},
        thing_scene=shown, thing_category=np.full(len(shown), "face"),
        exemplar=np.full(len(shown), "face/one"), box=box, masks=np.packbits(masks, axis=2),
    )  # fmt: skip


@pytest.fixture(scope="module")
def truth() -> Truth:
    return planted()


def scored(truth: Truth, predicted: np.ndarray, order: np.ndarray | None = None) -> Predictions:
    """Predictions of the planted targets, and of one in which nothing is planted."""
    rng = np.random.default_rng(0)
    rows = np.arange(IMAGES) if order is None else order
    noise = rng.normal(size=(IMAGES, 4)).astype(np.float32)
    signal = np.column_stack([truth.noiseless, np.zeros(IMAGES)]).astype(np.float32)
    full = np.column_stack([predicted, rng.normal(size=IMAGES)]).astype(np.float32)
    target = np.array([5, 7, 9, 11])
    fold = np.arange(IMAGES) % 3
    return Predictions(full[rows], (signal + noise)[rows], truth.images[rows], fold[rows], target)


def test_a_perfect_encoder_reaches_the_oracle_everywhere(truth: Truth) -> None:
    table = recovery(truth, scored(truth, truth.noiseless)).set_index("roi")
    assert list(table.index) == ["FFA", "V1v", LATE, NULL]
    for roi in ("FFA", "V1v"):
        assert table.at[roi, "r"] == pytest.approx(table.at[roi, "oracle"])
        assert table.at[roi, "r_truth"] == pytest.approx(1, abs=1e-6)
    assert table.at["FFA", "r_attributes"] == pytest.approx(1, abs=1e-5)
    assert table.at["FFA", "r_attributes_unseen"] != table.at["FFA", "r_attributes"]
    assert abs(table.at[NULL, "r"]) < 0.3
    assert np.isnan(table.at["V1v", "r_attributes"])


def test_presence_alone_tells_no_attribute(truth: Truth) -> None:
    presence = truth.content["face"].presence
    blind = np.column_stack([presence, presence, np.zeros(IMAGES)])
    table = recovery(truth, scored(truth, blind)).set_index("roi")
    assert table.at["FFA", "r_presence"] == pytest.approx(1)
    assert table.at["FFA", "r_attributes"] == 0
    assert table.at["V1v", "r_truth"] == 0


def test_the_order_of_the_test_images_does_not_matter(truth: Truth) -> None:
    order = np.random.default_rng(4).permutation(IMAGES)
    straight, turned = (recovery(truth, scored(truth, truth.noiseless, o)) for o in (None, order))
    np.testing.assert_allclose(straight["r"], turned["r"])
    np.testing.assert_allclose(straight["r_attributes"], turned["r_attributes"])


def test_regions_that_were_not_fitted_are_left_out(truth: Truth) -> None:
    some = scored(truth, truth.noiseless)
    kept = replace(some, target=np.array([105, 107, 9, 11]))
    assert recovery(truth, kept)["roi"].tolist()[0] == "V1v"


@pytest.mark.parametrize(("shift", "share"), [(0, 1.0), (1, 0.0)])
def test_attention_counts_on_the_thing_and_not_beside_it(
    truth: Truth, shift: int, share: float
) -> None:
    things = truth.things(truth.images, "face")
    cell = truth.box[things][:, :2] // 4
    maps = np.zeros((IMAGES, 2, 16))
    maps[np.arange(IMAGES), 1, ((cell[:, 0] + shift) % 4) * 4 + cell[:, 1]] = 1
    maps[:, 0, 0] = 1  # of another region
    found = attention_on(
        truth, Looks(["lh.V1v", "lh.FFA"], GRID, truth.images, maps), "FFA", "face"
    )
    assert found["share"] == pytest.approx(share)
    assert found["area"] == pytest.approx(1 / 16)
    assert found["share_over_area"] == pytest.approx(16 * share)


def test_even_attention_falls_on_a_thing_by_its_area(truth: Truth) -> None:
    looks = Looks(["rh.FFA"], (7, 7), truth.images, np.full((IMAGES, 1, 49), 1 / 49))
    assert attention_on(truth, looks, "FFA", "face")["share"] == pytest.approx(1 / 16)


def test_an_image_that_was_not_simulated_is_named(truth: Truth) -> None:
    with pytest.raises(KeyError, match="99999"):
        truth.rows(np.array([11, 99999]))
