from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroattn.synthesis.evaluate import NONE, Reference, Seen
from neuroattn.synthesis.halves import HALVES, half_table

SEEDS = 16


def _made(gain: float, shift: float) -> tuple[pd.DataFrame, Seen, Reference]:
    """Guided pictures stand ``gain`` above the unguided; their features are off by ``shift``."""
    rng = np.random.default_rng(0)
    rows, features = [], []
    for method in ("x0", NONE):
        for seed in range(SEEDS):
            step = method == "x0"
            rows.append(
                {
                    "file": f"{method}{seed}", "seed": seed, "objective": "A", "method": method,
                    "guide": float(seed % 2) + gain * step, "judge": np.nan,
                    "row": len(rows), "selected": False,
                }
            )  # fmt: skip
            features.append(rng.normal(size=3) + shift * step)
    table = np.array(features)
    seen = Seen({row["file"]: row["row"] for row in rows}, table, table, {}, [])
    real = rng.normal(size=(200, 3))
    return pd.DataFrame(rows), seen, Reference(real, real, {})


def test_halves_are_of_even_and_odd_seeds_and_pair_their_pictures() -> None:
    made, seen, reference = _made(2.0, 0.0)
    table = half_table(made, seen, reference, directions=2, draws=100)
    assert tuple(table.columns) == HALVES
    value = table.set_index(["method", "half", "measure"])["value"]
    assert value["x0", "even", "guide"] == 2
    assert value["x0", "odd", "guide"] == 3
    assert value[NONE, "odd", "guide"] == 1
    for half in ("even", "odd", "all"):
        assert value["x0", half, "guide_gain"] == pytest.approx(2)
        assert value[NONE, half, "realism"] == pytest.approx(1), "the unguided over themselves"
    count = table.set_index(["method", "half", "measure"])["n"]
    assert (count["x0", "even", "realism"], count["x0", "all", "diversity"]) == (8, 16)
    assert "judge" not in set(table["measure"])


def test_realism_rises_as_features_leave_real_ones() -> None:
    near, far = (
        half_table(*_made(0.0, shift), directions=2, draws=100).set_index(
            ["method", "half", "measure"]
        )
        for shift in (0.0, 3.0)
    )
    for half in ("even", "odd"):
        assert far.loc[("x0", half, "realism"), "value"] > 3
        assert far.loc[("x0", half, "realism"), "value"] > near.loc[
            ("x0", half, "realism"), "high"
        ]  # fmt: skip


def test_without_training_pictures_or_with_few_of_ones_own_realism_is_left_out() -> None:
    made, seen, reference = _made(1.0, 0.0)
    assert "realism" not in set(half_table(made, seen, None, 2, 100)["measure"])
    few = made[made["seed"] < 6]
    table = half_table(few, seen, reference, 2, 100)
    assert set(table.loc[table["measure"] == "realism", "half"]) == {"all"}
