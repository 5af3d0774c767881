"""Clusters of captions: what they hold together, what they hold apart, and their overlap."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from neuroattn.core.errors import ConfigError
from neuroattn.data.registry import SplitConfig, SplitKind
from neuroattn.data.split_semantic import (
    bags_of_words,
    nearest_similarity,
    semantic_groups,
    spherical_kmeans,
    words_about,
)
from neuroattn.data.splits import folds

TOPICS = ("red train station platform", "brown dog grass ball", "pizza plate cheese table",
          "surfer wave ocean board", "baseball bat player field")  # fmt: skip
COUNT = 100


def captions(seed: int = 0) -> dict[str, list[str]]:
    """Images 0 to 99 of five topics in turn, with two captions of three topic words each."""
    random = np.random.default_rng(seed)
    words = [TOPICS[image % 5].split() for image in range(COUNT)]
    return {
        str(image): [" ".join(["A", *random.permutation(own)[:3]]) for _ in range(2)]
        for image, own in enumerate(words)
    }


def data(**more: object) -> SimpleNamespace:
    images = pd.DataFrame(
        {"image": range(COUNT), "sha256": [f"d{k}" for k in range(COUNT)], "source": ""}
    )
    trials = pd.DataFrame({"image": range(COUNT), "subject": "s", "session": 1})
    return SimpleNamespace(
        **{
            "images": images, "trials": trials, "splits": {}, "captions": captions(),
            "categories": {}, **more,
        }
    )  # fmt: skip


def test_clusters_find_the_topics() -> None:
    groups = [np.array([image]) for image in range(COUNT)]
    found = semantic_groups(groups, captions(), clusters=5, seed=0)
    assert sorted(len(group) for group in found) == [20] * 5
    assert all(len({image % 5 for image in group.tolist()}) == 1 for group in found)


def test_whole_clusters_are_held_out_and_overlap_less_than_a_random_split() -> None:
    split = SplitConfig(kind=SplitKind.semantic_clusters, clusters=5, test_fraction=0.4)
    (fold,) = folds(data(), split)
    assert fold.name == "semantic_clusters"
    assert len(fold.test) == 40
    topics = {image % 5 for image in fold.test.tolist()}
    assert topics.isdisjoint({image % 5 for image in fold.train.tolist()})
    (drawn,) = folds(data(), SplitConfig(kind=SplitKind.random, test_fraction=0.4))
    apart = nearest_similarity(fold.train, fold.test, captions())
    mixed = nearest_similarity(drawn.train, drawn.test, captions())
    assert apart.max() < 0.05 < 0.9 < mixed.mean()
    assert mixed.max() == pytest.approx(1.0)


def test_a_seed_gives_one_split_and_another_another() -> None:
    def tested(seed: int) -> list[int]:
        split = SplitConfig(kind=SplitKind.semantic_clusters, clusters=10, seed=seed)
        return folds(data(), split)[0].test.tolist()

    assert tested(0) == tested(0)
    assert len({tuple(tested(seed)) for seed in range(5)}) > 1


def test_equal_pictures_stay_together_whatever_their_captions() -> None:
    images = data().images
    images.loc[images["image"].isin([0, 1]), "sha256"] = "same"
    for seed in range(5):
        split = SplitConfig(kind=SplitKind.semantic_clusters, clusters=5, seed=seed)
        (fold,) = folds(data(images=images), split)
        assert np.isin([0, 1], fold.test).sum() in (0, 2)


def test_categories_stand_in_where_an_image_has_no_caption() -> None:
    names = ("train", "dog", "pizza", "surfboard", "baseball")
    categories = {str(image): [names[image % 5]] for image in range(COUNT)}
    split = SplitConfig(kind=SplitKind.semantic_clusters, clusters=5, test_fraction=0.4)
    (fold,) = folds(data(captions={}, categories=categories), split)
    assert {image % 5 for image in fold.test.tolist()}.isdisjoint((fold.train % 5).tolist())
    # Captions alone decide where there are any: the names of others change nothing.
    (told,), (plain,) = folds(data(categories=categories), split), folds(data(), split)
    np.testing.assert_array_equal(told.test, plain.test)
    some = captions()
    some["17"] = []
    del some["18"]
    assert words_about(some, categories)["17"] == ["pizza"]
    assert words_about(some, categories)["18"] == ["surfboard"]
    assert words_about(some, categories)["19"] == some["19"]


def test_what_is_missing_is_named() -> None:
    split = SplitConfig(kind=SplitKind.semantic_clusters, clusters=5)
    some = captions()
    del some["17"]
    with pytest.raises(ConfigError, match="none of image 17"):
        folds(data(captions=some), split)
    with pytest.raises(ConfigError, match="fewer images than clusters"):
        folds(data(), SplitConfig(kind=SplitKind.semantic_clusters, clusters=101))
    with pytest.raises(ConfigError, match="no words"):
        bags_of_words(["the", "a"])


def test_more_clusters_than_distinct_captions() -> None:
    table = bags_of_words(["dog", "dog", "cat"])
    labels = spherical_kmeans(table, 3, seed=0)
    assert labels[0] == labels[1] != labels[2]


def test_exemplars_hold_out_whole_sources() -> None:
    images = data().images
    images["source"] = [f"photo{k // 4}|sky{k // 8}" for k in range(COUNT)]
    (fold,) = folds(data(images=images), SplitConfig(kind=SplitKind.exemplars))
    assert fold.name == "exemplars"
    assert {k // 8 for k in fold.train.tolist()}.isdisjoint({k // 8 for k in fold.test.tolist()})
    own = {"exemplars": {"train": [0, 1, 2], "test": [3]}, "other": {"train": [0], "test": [1]}}
    (fold,) = folds(data(images=images, splits=own), SplitConfig(kind=SplitKind.exemplars))
    assert (fold.train.tolist(), fold.test.tolist()) == ([0, 1, 2], [3])
    only = {str(image): ["zebra" if image // 8 == 3 else "cat"] for image in range(COUNT)}
    for seed in range(40):  # the only zebras are never all unseen
        split = SplitConfig(kind=SplitKind.exemplars, seed=seed, test_fraction=0.5)
        (fold,) = folds(data(images=images, categories=only), split)
        assert set(range(24, 32)) <= set(fold.train.tolist())
    (fold,), (plain,) = (
        folds(data(images=images, **more), SplitConfig(kind=SplitKind.exemplars))
        for more in ({"categories": {str(image): [f"its {image}"] for image in range(COUNT)}}, {})
    )
    np.testing.assert_array_equal(fold.test, plain.test)  # none could be left out
    with pytest.raises(ConfigError, match="from which exemplars"):
        folds(data(), SplitConfig(kind=SplitKind.exemplars))
