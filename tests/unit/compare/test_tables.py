"""Tables: regions with overlaps, the best member, winners of pairs, learning curves."""

from __future__ import annotations

import numpy as np
import pandas as pd

from neuroattn.compare.tables import by_target, learning_curve, regions_of

TARGETS = pd.DataFrame(
    {
        "target": ["a", "b", "c"], "rois": ["V1|early", "early", np.nan],
        "hemisphere": ["lh", "lh", "rh"], "subject": "s1",
    }
)  # fmt: skip


def test_a_target_stands_in_each_of_its_regions() -> None:
    found = {name: rows.tolist() for name, rows in regions_of(TARGETS).items()}
    assert found == {"all targets": [0, 1, 2], "V1": [0], "early": [0, 1]}


def test_the_best_member_is_no_ensemble_and_may_be_missing() -> None:
    scores = {
        "x": pd.DataFrame({"r": [0.1, 0.5, np.nan]}),
        "y": pd.DataFrame({"r": [0.2, np.nan, np.nan]}),
        "ensemble": pd.DataFrame({"r": [0.9, 0.9, 0.9]}),
    }
    found = by_target(TARGETS, scores, np.full((2, 2, 3), 0.5))
    assert found["best"].tolist()[:2] == ["y", "x"]
    assert found["best"].isna().tolist() == [False, False, True]
    assert found["scores-ensemble"].tolist() == [0.9, 0.9, 0.9]
    assert found["weight-y"].tolist() == [0.5, 0.5, 0.5]


def test_other_numbers_of_training_images_give_a_curve() -> None:
    table = pd.DataFrame(
        {
            "model": ["few", "many", "ensemble"], "roi": ["V1"] * 3, "n_targets": [4] * 3,
            "training_images": [50.0, 20.0, np.nan], "r": [0.1, 0.2, 0.3],
            "r_low": [0.0] * 3, "r_high": [1.0] * 3,
        }
    )  # fmt: skip
    found = learning_curve(table)
    assert found is not None
    assert list(found["training_images"]) == [20.0, 50.0]
    assert learning_curve(table.assign(training_images=[5.0, 5.0, np.nan])) is None
