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
    members = pd.DataFrame(
        {
            "member": ["few", "many"], "encoder": ["ridge"] * 2, "backbone": ["gabor"] * 2,
            "sessions": ["1", None],
        }
    )  # fmt: skip
    found = learning_curve(table, members)
    assert found is not None
    assert list(found["training_images"]) == [20.0, 50.0]
    assert list(found["readout"]) == ["ridge, gabor"] * 2
    assert found["sessions"].tolist()[1] == "1"
    assert learning_curve(table.assign(training_images=[5.0, 5.0, np.nan]), members) is None


def test_a_plus_in_a_name_tells_the_curve() -> None:
    models = ["a.1+10", "b+10", "a.1", "a.1+9"]
    table = pd.DataFrame(
        {
            "model": models, "roi": "V1", "n_targets": 4, "training_images": [10.0, 10, 99, 9],
            "r": 0.1, "r_low": 0.0, "r_high": 1.0,
        }
    )  # fmt: skip
    members = pd.DataFrame(
        {"member": models, "encoder": "ridge", "backbone": "gabor", "sessions": None}
    )
    found = learning_curve(table, members)
    assert found is not None
    curves = dict(zip(found["model"], found["readout"], strict=True))
    assert curves == {"a.1+10": "a.1", "a.1+9": "a.1", "b+10": "b", "a.1": "ridge, gabor"}
