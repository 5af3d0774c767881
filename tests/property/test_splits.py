"""Invariants of folds, whatever the number of images, duplicates, photographs and seeds."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from neuroattn.core.errors import ConfigError, LeakError
from neuroattn.data.registry import KeepTogether, SplitConfig, SplitKind
from neuroattn.data.splits import Fold, check_no_leak, folds, groups_of

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def datasets(draw: st.DrawFn) -> SimpleNamespace:
    """Up to 60 images with gaps in their numbers, duplicates, sources and several subjects."""
    ids = sorted(draw(st.sets(st.integers(0, 500), min_size=2, max_size=60)))
    content = draw(st.lists(st.integers(0, 80), min_size=len(ids), max_size=len(ids)))
    source = draw(
        st.lists(st.sampled_from(["", "a", "b", "c"]), min_size=len(ids), max_size=len(ids))
    )
    repeats = draw(st.lists(st.integers(1, 3), min_size=len(ids), max_size=len(ids)))
    shown = np.repeat(ids, repeats)
    images = pd.DataFrame({"image": ids, "sha256": [f"d{c}" for c in content], "source": source})
    trials = pd.DataFrame({"image": shown, "subject": [str(k % 2) for k in range(len(shown))]})
    return SimpleNamespace(images=images, trials=trials, splits={})


def made(prepared: SimpleNamespace, split: SplitConfig) -> list[Fold]:
    groups = groups_of(prepared.images, split.keep_together)
    assume(len(groups) >= (split.folds if split.kind is SplitKind.kfold else 2))
    return folds(prepared, split)


splits = st.builds(
    SplitConfig,
    kind=st.sampled_from([SplitKind.kfold, SplitKind.random]),
    folds=st.integers(2, 7),
    seed=st.integers(0, 2**31),
    test_fraction=st.floats(0.05, 0.95),
    keep_together=st.sampled_from(list(KeepTogether)),
)


@quick
@given(datasets(), splits)
def test_both_sides_are_disjoint_and_cover_all_images(
    prepared: SimpleNamespace, split: SplitConfig
) -> None:
    for fold in made(prepared, split):
        assert fold.train.size
        assert fold.test.size
        joined = np.concatenate([fold.train, fold.test])
        assert np.array_equal(np.sort(joined), prepared.images["image"])
        assert np.array_equal(fold.train, np.unique(fold.train))
        assert np.array_equal(fold.test, np.unique(fold.test))


@quick
@given(datasets(), splits)
def test_kfold_test_sides_partition_the_images(
    prepared: SimpleNamespace, split: SplitConfig
) -> None:
    split.kind = SplitKind.kfold
    tested = np.concatenate([fold.test for fold in made(prepared, split)])
    assert np.array_equal(np.sort(tested), prepared.images["image"])


@quick
@given(datasets(), splits)
def test_nothing_that_belongs_together_is_divided(
    prepared: SimpleNamespace, split: SplitConfig
) -> None:
    keys = ["sha256", *(["source"] if split.keep_together is KeepTogether.source else [])]
    for fold in made(prepared, split):
        on_test = prepared.images["image"].isin(fold.test)
        for key in keys:
            known = prepared.images[key] != ""
            sides = on_test[known].groupby(prepared.images.loc[known, key]).nunique()
            assert (sides <= 1).all()


@quick
@given(datasets(), splits)
def test_the_order_of_trials_does_not_matter(prepared: SimpleNamespace, split: SplitConfig) -> None:
    first = made(prepared, split)
    shuffled = prepared.trials.sample(frac=1, random_state=0)
    again = folds(SimpleNamespace(**{**vars(prepared), "trials": shuffled}), split)
    assert [fold.test.tolist() for fold in first] == [fold.test.tolist() for fold in again]


@quick
@given(datasets(), st.data())
def test_any_leak_that_is_planted_is_found(prepared: SimpleNamespace, data: st.DataObject) -> None:
    split = SplitConfig(kind=SplitKind.random, test_fraction=0.5)
    (fold,) = made(prepared, split)
    digests = dict(zip(prepared.images["image"], prepared.images["sha256"], strict=True))
    moved = data.draw(st.sampled_from(fold.test.tolist()))
    leaking = Fold(0, "leaking", np.union1d(fold.train, [moved]), fold.test)
    with pytest.raises(LeakError, match=str(moved)):
        check_no_leak(leaking, prepared.trials, digests)
    copied = {**digests, int(fold.train[0]): digests[moved]}
    with pytest.raises(LeakError, match=str(fold.train[0])):
        check_no_leak(fold, prepared.trials, copied)


@quick
@given(datasets(), splits)
def test_too_few_groups_are_a_config_error(prepared: SimpleNamespace, split: SplitConfig) -> None:
    split.kind, split.folds = SplitKind.kfold, 100
    with pytest.raises(ConfigError):
        folds(prepared, split)
