"""The experiment in NSD's numbers."""

from __future__ import annotations

import numpy as np
import pytest

from neuroattn.data.simulate.plan import COMPLETED, Plan, expdesign, plan_experiment
from neuroattn.data.simulate.sizes import SIZES


@pytest.fixture(scope="module")
def real() -> Plan:
    return plan_experiment(SIZES["nsd_like"], 8, 0)


def counts(plan: Plan, subject: int) -> np.ndarray:
    return np.bincount(plan.places(subject), minlength=10_000)


def test_sessions_are_those_of_nsd(real):
    assert real.sessions == COMPLETED == (40, 40, 32, 30, 40, 32, 40, 30)
    assert len(real.shown(3)) == 24_000
    assert sum(len(real.places(subject)) for subject in range(1, 9)) == 213_000


@pytest.mark.parametrize(
    ("subject", "seen", "thrice", "shared"),
    [
        (1, 10_000, 10_000, (0, 0, 0, 1000)),
        (3, 9411, 6234, (70, 103, 213, 614)),
        (4, 9209, 5445, (93, 141, 251, 515)),
    ],
)
def test_repeats_are_those_of_nsd(real, subject, seen, thrice, shared):
    found = counts(real, subject)
    assert (found > 0).sum() == seen
    assert (found == 3).sum() == thrice
    assert tuple(np.bincount(found[:1000], minlength=4)) == shared


def test_515_766_and_907_shared_images_over_all_subjects(real):
    least = np.min([counts(real, subject)[:1000] for subject in range(1, 9)], axis=0)
    assert [(least >= often).sum() for often in (3, 2, 1)] == [515, 766, 907]


def test_70566_images_over_all_subjects(real):
    shown = [real.shown(subject) for subject in range(1, 9)]
    assert len(np.unique(np.concatenate(shown))) == 70_566


def test_every_image_belongs_to_all_or_to_one(real):
    assert (real.images[:, :1000] == real.images[0, :1000]).all()
    assert np.array_equal(np.sort(np.append(real.images[:, 1000:].ravel(), real.shared)),
                          np.arange(73_000))  # fmt: skip
    assert (np.diff(real.shared) > 0).all()


def test_the_file_counts_from_one(real):
    file = expdesign(real)
    assert file["masterordering"].shape == (1, 30_000)
    assert (file["masterordering"].min(), file["masterordering"].max()) == (1, 10_000)
    assert file["subjectim"].shape == (8, 10_000)
    assert (file["subjectim"].min(), file["subjectim"].max()) == (1, 73_000)
    assert np.array_equal(file["sharedix"][0] - 1, real.shared)
    image = file["subjectim"][4, file["masterordering"][0, 77] - 1] - 1
    assert image == real.shown(5)[77]


def test_the_pattern_holds_every_trial(real):
    pattern = expdesign(real)["stimpattern"]
    assert pattern.shape == (40, 12, 75)
    assert (pattern.sum(axis=2) == np.tile([63, 62], 6)).all()
    assert np.array_equal(np.bincount(real.runs)[1:], pattern[0].sum(axis=1))


def test_basic_counts_end_with_all_images_three_times(real):
    counted = expdesign(real)["basiccnt"]
    assert counted.shape == (3, 40)
    assert (np.diff(counted.astype(int), axis=1) >= 0).all()
    assert counted[:, -1].tolist() == [10_000] * 3
    assert counted[2, 29] == 5445


@pytest.mark.parametrize("name", ["tiny", "demo"])
def test_short_sizes_show_every_image_three_times(name):
    size = SIZES[name]
    plan = plan_experiment(size, 2, 0)
    assert plan.sessions == (size.sessions,) * 2
    for subject in (1, 2):
        found = counts(plan, subject)
        assert (found[found > 0] == 3).all()
        assert (found[:1000] > 0).sum() == size.shared
        assert (found[1000:] > 0).sum() == size.own
    assert len(np.intersect1d(plan.shown(1), plan.shown(2))) == size.shared
    assert len(plan.ordering) == 30_000


def test_the_demo_has_2000_and_500_images_of_which_100_unseen():
    demo = SIZES["demo"]
    assert (demo.own, demo.shared, demo.unseen, demo.sessions) == (2000, 500, 100, 10)


def test_seeds_give_other_orders():
    first, second = (plan_experiment(SIZES["demo"], 1, seed) for seed in (0, 1))
    assert not np.array_equal(first.ordering, second.ordering)
    assert not np.array_equal(first.images, second.images)
