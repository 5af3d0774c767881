"""A localiser in silico finds selectivity that was planted, and none that was not."""

from __future__ import annotations

import numpy as np
import pytest

from neuroattn.encoding.localiser import Localiser, domain, groups

PICTURES, PER = 30, 40  # of each category; targets of each region
CATEGORIES = ("adult", "word", "house", "car")


def planted(seed: int, gain: float) -> tuple[Localiser, np.ndarray]:
    """Targets of faces, of words, and of nothing; t values that know all of that."""
    rng = np.random.default_rng(seed)
    shown = [name for name in CATEGORIES for _ in range(PICTURES)]
    rois = ["OFA"] * PER + ["VWFA-1|ventral"] * PER + [""] * 2 * PER
    signal = np.zeros((len(shown), len(rois)))
    signal[:PICTURES, :PER] = gain
    signal[PICTURES : 2 * PICTURES, PER : 2 * PER] = gain
    predicted = signal + rng.normal(size=signal.shape)
    strength = np.repeat([8.0, 0.0, 0.0, 0.0], PER)
    measured = strength + rng.normal(size=len(rois))
    localiser = Localiser(
        contrasts=groups([frozenset([name]) for name in shown]),
        measured={"faces": measured},
        rois=rois,
        spread=np.full(len(rois), 2.0),
        draws=50,
        seed=seed,
    )
    return localiser, predicted.astype(np.float32)


def test_planted_selectivity_is_found_in_the_regions_that_have_it() -> None:
    localiser, predicted = planted(0, gain=1.5)
    maps, table = localiser.run(predicted)
    rows = table.set_index(["contrast", "measure"])
    for measure in ("difference", "t"):
        faces, words = rows.loc[("faces", measure)], rows.loc[("characters", measure)]
        assert faces["r"] > 0.85
        assert faces["r_low"] < faces["r"] < faces["r_high"]
        assert faces["auc"] > 0.98
        assert words["auc"] > 0.98
        assert np.isnan(words["r"])  # no map of words was measured
        assert np.isnan(rows.loc[("objects", measure)]["auc"])  # no region is drawn on it
    # 1.5 in units of twice the noise, less the third of nothing in the others.
    assert maps["difference-faces"][:PER].mean() == pytest.approx(0.75, abs=0.05)
    assert rows.loc[("faces", "t")]["n_pictures"] == PICTURES
    assert rows.loc[("faces", "t")]["n_region"] == PER


def test_an_encoder_that_knows_nothing_is_at_chance() -> None:
    localiser, predicted = planted(1, gain=0.0)
    _, table = localiser.run(predicted)
    faces = table[table["contrast"] == "faces"]
    assert faces["r"].abs().max() < 0.25
    assert (faces["auc"] - 0.5).abs().max() < 0.15


def test_a_map_of_another_contrast_does_not_agree() -> None:
    localiser, predicted = planted(2, gain=1.5)
    _, table = localiser.run(np.roll(predicted, PICTURES, axis=0))  # the pictures' names moved on
    faces = table[(table["contrast"] == "faces") & (table["measure"] == "t")].iloc[0]
    assert faces["r"] < 0
    assert faces["auc"] < 0.5


def test_names_of_categories_and_too_few_pictures() -> None:
    assert [domain(name) for name in ("Faces", "limbs", "house", "number", "vehicle")] == [
        "faces", "bodies", "places", "characters", "vehicle",
    ]  # fmt: skip
    shown = [frozenset({"face", "place"})] * 5 + [frozenset({"word"})] * 5 + [frozenset()] * 4
    assert {name: int(rows.sum()) for name, rows in groups(shown).items()} == {
        "faces": 5, "places": 5, "characters": 5,
    }  # fmt: skip
    assert groups([frozenset({"word"})] * 4 + [frozenset()] * 9) == {}
