"""The rules of the generated dataset do what they state."""

from __future__ import annotations

import numpy as np
import pytest

from neuroattn.core.errors import MissingDataError
from neuroattn.data import generated_rules as rules


@pytest.mark.parametrize("name", rules.PHOTOGRAPHS)
def test_every_photograph_ships(name: str) -> None:
    picture = rules.photograph(name)
    assert min(picture.shape[:2]) >= rules.SIDE
    assert picture.std() > 5


def test_a_photograph_that_does_not_ship_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rules.PHOTOGRAPHS, "moon", ("skimage", "data/none.png", "sky"))
    with pytest.raises(MissingDataError, match="pip install"):
        rules.photograph("moon")


def pictures(count: int = 30) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, rules.SIDE, rules.SIDE, 3), np.uint8)


def early(target: rules.Target, shown: np.ndarray) -> np.ndarray:
    return rules.early_signal(rules.opponent(shown), target, np.random.default_rng(7))


def test_an_early_target_sees_its_receptive_field_alone() -> None:
    target = rules.Target("early_sim", "lh", x=0.75, y=0.25, sigma=0.05, ncsnr=1.0)
    shown = pictures()
    before = early(target, shown)
    elsewhere = shown.copy()
    elsewhere[:, rules.SIDE // 2 :, : rules.SIDE // 2] = 0
    np.testing.assert_allclose(early(target, elsewhere), before, atol=1e-6)
    inside = shown.copy()
    inside[0, 15:34, 62:82] = 255
    assert abs(early(target, inside)[0] - before[0]) > 1


def test_early_contrast_counts_apart_from_brightness() -> None:
    target = rules.Target("early_sim", "lh", x=0.5, y=0.5, sigma=0.1, ncsnr=1.0)
    flat = np.full((2, rules.SIDE, rules.SIDE, 3), 128, dtype=np.uint8)
    flat[1, ::2], flat[1, 1::2] = 108, 148
    signal = early(target, flat)
    assert signal[0] != signal[1]


def test_a_late_target_sees_no_place() -> None:
    shown, categories = pictures(12), list(rules.CATEGORIES) * 2

    def late(seen: np.ndarray) -> np.ndarray:
        return rules.late_signal(rules.opponent(seen), categories, np.random.default_rng(7))

    np.testing.assert_allclose(late(shown), late(shown[:, ::-1, ::-1]), atol=1e-9)
    assert np.abs(late(shown) - late(np.roll(shown, 1, axis=0))).max() > 0.1


def test_signals_have_unit_variance_or_none() -> None:
    targets = rules.plan_targets(20, seed=0)
    categories = [rules.CATEGORIES[index % len(rules.CATEGORIES)] for index in range(30)]
    signal = rules.signals(pictures(), categories, targets, seed=0)
    expected = [1.0 if target.roi else 0.0 for target in targets]
    np.testing.assert_allclose(signal.std(axis=0), expected, atol=1e-9)
    np.testing.assert_allclose(signal.mean(axis=0), 0, atol=1e-9)


def test_receptive_fields_lie_opposite_to_their_hemisphere() -> None:
    for target in rules.plan_targets(40, seed=1):
        if target.roi == rules.EARLY:
            assert (target.x > 0.5) == (target.hemisphere == "lh")
        assert (target.ncsnr == 0) == (target.roi == "")


def test_adding_targets_leaves_the_others_alone() -> None:
    assert rules.plan_targets(40, seed=0)[:10] == rules.plan_targets(10, seed=0)
