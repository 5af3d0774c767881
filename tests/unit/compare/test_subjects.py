"""Subjects: those of a dataset are told apart, and the group counts how many show an effect."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroattn.compare.resample import Plan, Resampler
from neuroattn.compare.stage import subject_regions, without_subjects
from neuroattn.compare.subjects import group_tables, units
from neuroattn.compare.tables import regions_of
from neuroattn.stats.group import prevalence

TARGETS = pd.DataFrame(
    {"target": range(6), "subject": ["s1"] * 3 + ["s2"] * 3, "rois": ["V1", "V1", "V2"] * 2}
)


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    """Model a predicts s1 well and s2 not at all; model b neither."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(60, 6))
    first, second = rng.normal(size=(2, 60, 6))
    first[:, :3] = truth[:, :3] + 0.3 * first[:, :3]
    regions = {**regions_of(TARGETS), **subject_regions(TARGETS)}
    plan = Plan(["a", "b"], [("a", "b")], [], regions, 200, 199, seed=0)
    sampler = Resampler(plan, 6, np.zeros(60, dtype=np.int64))
    sampler.add(slice(0, 6), [first, second], truth)
    r = {
        name: pd.DataFrame(
            {"r": [np.corrcoef(x, y)[0, 1] for x, y in zip(m.T, truth.T, strict=True)]}
        )
        for name, m in (("a", first), ("b", second))
    }
    return group_tables(units("", plan, r, sampler.finish(), TARGETS))


def test_subjects_of_a_dataset_have_regions_of_their_own() -> None:
    found = subject_regions(TARGETS)
    assert found["V1\ts2"].tolist() == [3, 4]
    assert found["all targets\ts1"].tolist() == [0, 1, 2]
    assert subject_regions(TARGETS.assign(subject="s1")) == {}
    table = pd.DataFrame({"roi": ["V1", "V1\ts2"]})
    assert without_subjects(table)["roi"].tolist() == ["V1"]


def test_every_subject_is_shown(tables: dict[str, pd.DataFrame]) -> None:
    each = tables["subjects.tsv"]
    assert set(zip(each["subject"], each["roi"], strict=True)) == {
        (subject, roi) for subject in ("s1", "s2") for roi in ("all targets", "V1", "V2")
    }
    own = each[(each["model"] == "a") & (each["roi"] == "V1")].set_index("subject")
    assert own.loc["s1", "r"] > 0.9
    assert own.loc["s1", "r_low"] > 0 > own.loc["s2", "r_low"]


def test_the_group_counts_effects_within_subjects(tables: dict[str, pd.DataFrame]) -> None:
    group = tables["group.tsv"].set_index(["model", "roi"])
    row = group.loc["a", "V1"]
    assert (row["n_subjects"], row["prevalence_shown"]) == (2, 1)
    expected = prevalence(1, 2, alpha=0.025)
    found = (row["prevalence"], row["prevalence_low"], row["prevalence_high"])
    np.testing.assert_allclose(found, (expected.value, expected.low, expected.high))
    pairs = tables["group-pairs.tsv"].set_index("roi").loc["V1"]
    assert pairs["prevalence_first_shown"] == 1
    assert pairs["prevalence_second_shown"] == 0
    assert pairs["difference_low"] < pairs["difference"] < pairs["difference_high"]
