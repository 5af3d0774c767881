"""What is captioned: evidence on the images of the gate, which the encoder held out to select."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neuroattn.captioning import nulls
from neuroattn.captioning.gates import gate
from neuroattn.captioning.nulls import Again, refitted, untrained
from neuroattn.captioning.registry import GateConfig, Measure, Scored
from neuroattn.captioning.stage import _check_one_space
from neuroattn.captioning.targets import _held_out, ranked_on, with_evidence
from neuroattn.core.errors import ConfigError
from neuroattn.data.prepared import Prepared
from neuroattn.encoding.registry import AttentionConfig, LinearClsConfig, RidgeConfig
from neuroattn.encoding.sides import Side, units_of
from neuroattn.encoding.trained import held_out
from tests.unit.encoding.conftest import TARGETS, trials_of, write_prepared

NULLS = [0.1, 0.2, 0.3]


def rows(selection: list[float]) -> pd.DataFrame:
    """One target that does well on test images and badly on selection images, then three nulls."""
    return pd.DataFrame(
        {
            "null": [False, True, True, True], "r": [0.9, *NULLS],
            "r_selection": [0.15, *selection],
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("images", "selection", "ranked", "evidence"),
    [
        (Scored.training, NULLS, Scored.training, 0.25),
        (Scored.test, NULLS, Scored.test, 0.75),
        (Scored.training, [np.nan] * 3, Scored.test, 0.75),  # nulls without them: like with like
    ],
)
def test_targets_are_ranked_on_the_images_of_the_gate(
    images: Scored, selection: list[float], ranked: Scored, evidence: float
) -> None:
    scores = pd.DataFrame({"r": [0.9], "r_squared": [0.81], "r_selection": [0.15], "nc": [1.0]})
    asked = gate(scores, GateConfig(images=images, measure=Measure.r_squared))
    table = rows(selection)
    assert ranked_on(table, asked) is ranked
    found = with_evidence(table, ranked)
    assert found["evidence"][0] == evidence
    assert "r_selection" not in found


def test_no_test_response_can_change_the_evidence() -> None:
    one, other = rows(NULLS), rows(NULLS).assign(r=[0.0, 0.5, 0.6, 0.7])
    found = [with_evidence(table, Scored.training)["evidence"] for table in (one, other)]
    np.testing.assert_array_equal(*found)


def test_the_images_that_chose_an_epoch_are_known_again() -> None:
    images = np.arange(0, 100, 2)
    config, own = AttentionConfig(selection=0.2), images[:30]
    held = _held_out(config, images, own, seed=3)
    np.testing.assert_array_equal(held, np.intersect1d(held_out(images, 0.2, 3), own))
    assert _held_out(RidgeConfig(), images, own, seed=3) is None


def test_nulls_of_a_trained_readout_are_tested_on_what_it_held_out() -> None:
    values = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    read: list[list[int]] = []

    def responses(images: Any, mode: Any, columns: Any) -> Any:
        read.append(list(images))
        return values[images][:, columns]

    model: Any = SimpleNamespace(predict=lambda features, images: values[images])
    view: Any = SimpleNamespace(image_responses=responses)
    unit: Any = SimpleNamespace(name="")
    side = Side(unit, view, np.arange(20), np.arange(20, 40), np.arange(2))
    features: Any = None
    known = untrained(side, np.array([1]), model, features, seed=0, held=np.arange(5, 15))
    assert read == [list(range(20, 40)), list(range(5, 15))]
    assert known.selection is not None
    assert abs(known.selection[0]) < 0.9, "the responses are shuffled: unshuffled it would be 1"
    without = untrained(side, np.array([1]), model, features, seed=0)
    assert without.selection is None
    np.testing.assert_array_equal(without.r, known.r)


def test_nulls_of_targets_that_share_a_signal_are_many_draws() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 1)) + 0.2 * rng.normal(size=(60, 40))
    images, columns = np.arange(60), np.arange(40)

    def responses(images: Any, mode: Any, columns: Any) -> Any:
        return values[images][:, columns]

    model: Any = SimpleNamespace(predict=lambda features, images: values[images])
    view: Any = SimpleNamespace(image_responses=responses)
    unit: Any = SimpleNamespace(name="")
    side = Side(unit, view, images[:0], images, columns)
    features: Any = None
    found = [untrained(side, columns, model, features, seed=seed).r for seed in range(40)]
    spread = np.std(found, axis=1).mean()
    assert spread > 0.1, "as for 60 images"
    assert np.std(np.mean(found, axis=1)) < 0.4 * spread, "one order for all would give the same"


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Training sets that encoders were fitted to; these predict nothing."""
    seen: list[Any] = []

    class Kept:
        def fit(self, train: Any) -> Any:
            seen.append(train)
            targets = train.responses.shape[1]
            return SimpleNamespace(
                predict=lambda features, images: np.zeros((len(images), targets)), columns=dict
            )

    monkeypatch.setattr(nulls, "ENCODERS", SimpleNamespace(load=lambda name: lambda config: Kept()))
    return seen


def test_nulls_are_fitted_to_the_sessions_of_the_encoder(tmp_path: Path, fitted: list[Any]) -> None:
    trials = trials_of(np.array([2, 2, 2, 2])).assign(session=[1, 2] * 4)
    shown = np.repeat(np.arange(8.0, dtype=np.float32)[:, None], TARGETS, axis=1)
    prepared = Prepared(write_prepared(tmp_path, trials, shown))
    (unit,) = units_of(prepared)
    side = Side(unit, prepared, np.array([10, 11]), np.array([12, 13]), np.arange(TARGETS))
    features: Any = None
    for sessions, expected in (([], {0.5, 2.5}), ([1], {0.0, 2.0}), ([2], {1.0, 3.0})):
        again = Again(features, LinearClsConfig(sessions=sessions), 0, tmp_path, "cpu")
        refitted(side, np.array([0]), again)
        assert set(fitted[-1].responses[:, 0].tolist()) == expected


def test_every_null_is_fitted_to_an_order_of_its_own(tmp_path: Path, fitted: list[Any]) -> None:
    images = np.arange(10, 30)
    shown = np.repeat(np.arange(20.0, dtype=np.float32)[:, None], TARGETS, axis=1)
    prepared = Prepared(write_prepared(tmp_path, trials_of(np.ones(20, dtype=int)), shown))
    (unit,) = units_of(prepared)
    side = Side(unit, prepared, images[:16], images[16:], np.arange(TARGETS))
    features: Any = None
    refitted(side, np.array([0, 1]), Again(features, LinearClsConfig(), 0, tmp_path, "cpu"))
    one, other = fitted[-1].responses.T.tolist()
    assert one != other
    assert sorted(one) == sorted(other) == list(range(16))


def test_weights_of_several_backbones_are_refused() -> None:
    one: Any = SimpleNamespace(inputs={"prepare": {}, "features": {}}, folder=Path("one"))
    _check_one_space(one)
    several: Any = SimpleNamespace(inputs={**one.inputs, "features/gabor": {}}, folder=Path("two"))
    with pytest.raises(ConfigError, match="no one space") as caught:
        _check_one_space(several)
    assert caught.value.found == "gabor"
