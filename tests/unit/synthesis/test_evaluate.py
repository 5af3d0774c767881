from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroattn.synthesis.evaluate import (
    GAINS,
    MATRIX,
    MEASURES,
    NONE,
    Reference,
    Seen,
    asked_regions,
    best_scale,
    gain_table,
    headline,
    matrix_table,
    measure_table,
    picture_table,
    referee_table,
    sweep_table,
)
from neuroattn.synthesis.wishes import parse

SEEDS = 12
WISHES = [parse("FFA-1"), parse("PPA")]
RNG = np.random.default_rng(0)


def _images() -> pd.DataFrame:
    """Guided pictures are 1 above the unguided ones of the same seed, by the guide by 3."""
    noise = RNG.normal(size=SEEDS) * 5
    rows = [
        {
            "file": f"{method}-{wish.text if method != NONE else ''}-{seed}",
            "seed": seed, "objective": wish.text, "method": method,
            "guide_activation": noise[seed] + 3 * gain,
            "judge_activation": noise[seed] + gain + 0.01 * seed,
            "rank": seed + 1, "selected": seed < 3, "status": "done",
        }
        for wish in WISHES
        for method, gain in (("x0", 1.0), (NONE, 0.0))
        for seed in range(SEEDS)
    ]  # fmt: skip
    rows.append(rows[0] | {"file": None, "seed": 99, "status": "failed", "selected": False})
    return pd.DataFrame(rows)


def _seen(table: pd.DataFrame) -> Seen:
    files = list(dict.fromkeys(table["file"].dropna()))
    faces = np.array([0.9 if "FFA" in file else 0.2 for file in files])
    matched = ["face" if "FFA" in file else "place" for file in files]
    features = RNG.normal(size=(len(files), 5))
    return Seen(
        {file: row for row, file in enumerate(files)}, features, features,
        {"face": faces, "place": 1 - faces}, matched,
    )  # fmt: skip


@pytest.fixture(scope="module")
def made() -> tuple[pd.DataFrame, Seen, Reference]:
    table = _images()
    seen = _seen(table)
    real = RNG.normal(size=(40, 5))
    reference = Reference(real, real, {"FFA-1": real[:, 0], "PPA": real[:, 1]})
    return picture_table(table, WISHES, seen, reference), seen, reference


def test_every_picture_gets_what_was_seen_of_it(made) -> None:
    table, seen, _ = made
    assert len(table) == 4 * SEEDS  # the failed one is gone
    faces = table[(table["objective"] == "FFA-1") & (table["method"] == "x0")]
    assert (faces["referee"] == 0.9).all()
    assert (faces["zero_shot"] == 1).all()
    places = table[(table["objective"] == "PPA") & (table["method"] == NONE)]
    assert np.allclose(places["referee"], 0.8)
    assert (places["zero_shot"] == 1).all()
    assert np.allclose(table["gap"], table["guide"] - table["judge"])
    assert (table["nearest_pixels"] > 0).all()
    assert len(referee_table(list(seen.rows), seen)) == len(seen.rows)


def test_a_copy_of_a_training_picture_is_found(made) -> None:
    table, seen, reference = made
    file = table["file"].iloc[0]
    seen.features[seen.rows[file]] = reference.features[7]
    again = picture_table(table.drop(columns=["row"]), WISHES, seen, reference)
    assert again.loc[again["file"] == file, "nearest_pixels"].iloc[0] == 0
    assert again.loc[again["file"] == file, "nearest_features"].iloc[0] == pytest.approx(0)


def test_gains_are_paired_by_seed(made) -> None:
    gains = gain_table(made[0], draws=200).set_index(["objective", "measure"])
    assert list(gain_table(made[0], draws=200).columns) == list(GAINS)
    # The seeds' own spread is 5; paired, the interval of the judge's gain is a hundredth wide.
    row = gains.loc[("FFA-1", "judge")]
    assert row["gain"] == pytest.approx(1)
    assert row["high"] - row["low"] < 0.05
    assert gains.loc[("PPA", "guide"), "gain"] == pytest.approx(3)
    assert row["n"] == SEEDS


def test_every_set_has_every_measure(made) -> None:
    table, seen, reference = made
    found = measure_table(table, seen, reference, directions=3, draws=200)
    assert list(found.columns) == list(MEASURES)
    key = found.set_index(["objective", "set", "selected", "measure"])
    for name in ("guide", "judge", "gap", "referee", "frechet", "frechet_class", "diversity"):
        assert np.isfinite(key.loc[("FFA-1", "x0", False, name), "value"])
    assert key.loc[("FFA-1", "x0", True, "guide"), "n"] == 3
    few = measure_table(table, seen, None, directions=3, draws=200)
    assert not few["measure"].str.startswith("frechet").any()
    told = headline(found, gain_table(table, 200), {"FFA-1": "ffa-1", "PPA": "ppa"})
    assert told["objective.ffa-1.gain.judge"] == pytest.approx(1)
    assert told["objective.ppa.frechet.ratio"] > 0


def test_the_matrix_frames_the_region_that_was_asked_for(made) -> None:
    table = made[0]
    rows = [
        (file, region, float("FFA" in file and region == "FFA-1") + 0.1 * n, None)
        for n, file in enumerate(dict.fromkeys(table["file"]))
        for region in ("FFA-1", "PPA")
    ]
    regions = pd.DataFrame(
        rows, columns=["file", "region", "guide_activation", "judge_activation"]
    ).astype({"judge_activation": float})
    found = matrix_table(table, regions, WISHES, draws=200)
    assert list(found.columns) == list(MATRIX)
    assert set(found["by"]) == {"guide"}  # there is no judge
    own = found[found["own"]]
    assert sorted(zip(own["objective"], own["region"], strict=True)) == [
        ("FFA-1", "FFA-1"), ("PPA", "PPA"),
    ]  # fmt: skip
    none = found[found["method"] == NONE]
    assert len(none) == 2
    assert np.allclose(none["z"], 0)
    files = table.loc[(table["objective"] == "FFA-1") & (table["method"] == "x0"), "file"]
    wanted = regions[regions["file"].isin(files) & (regions["region"] == "FFA-1")]
    value = found.loc[(found["objective"] == "FFA-1") & (found["region"] == "FFA-1"), "value"]
    assert value.iloc[0] == pytest.approx(wanted["guide_activation"].mean())


def test_an_objective_asks_for_the_regions_that_it_raises() -> None:
    assert asked_regions(parse("lh.FFA-1")) == {"FFA-1"}
    assert asked_regions(parse("FFA-1 - PPA")) == {"FFA-1"}
    assert asked_regions(parse("FFA-1 + PPA")) == {"FFA-1", "PPA"}
    assert asked_regions(parse("target:3")) == frozenset()


def _run(judge: float, distance: float) -> pd.DataFrame:
    rows = [
        ("FFA-1", name, False, measure, value, np.nan, np.nan, 10)
        for name, j, d in (("x0", judge, distance), (NONE, 0.2, 10.0))
        for measure, value in (("judge", j), ("frechet", d))
    ]
    return pd.DataFrame(rows, columns=list(MEASURES))


def test_the_chosen_scale_keeps_the_pictures_real() -> None:
    runs = {1.0: _run(0.5, 9), 10.0: _run(0.9, 10.9), 100.0: _run(2.0, 30)}
    sweep = sweep_table(runs)
    assert sweep.loc[sweep["measure"] == "judge", "scale"].tolist() == [0, 1, 10, 100]
    assert best_scale(sweep, "FFA-1") == 10
    assert best_scale(sweep, "FFA-1", limit=5) == 100
    with pytest.raises(ValueError, match="no scale"):
        best_scale(sweep, "FFA-1", limit=0.1)
