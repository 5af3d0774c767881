"""Folds over images; invariants over many sizes are in tests/property/test_splits.py."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neuroattn.core.errors import ConfigError, DataError, LeakError
from neuroattn.data.registry import KeepTogether, SplitConfig, SplitKind
from neuroattn.data.splits import Fold, check_no_leak, folds, groups_of


def fake(
    count: int,
    digests: dict[int, str] | None = None,
    sources: dict[int, str] | None = None,
    splits: dict[str, Any] | None = None,
) -> SimpleNamespace:
    ids = [3 * image + 1 for image in range(count)]
    images = pd.DataFrame(
        {
            "image": ids,
            "sha256": [(digests or {}).get(image, f"digest-{image}") for image in ids],
            "source": [(sources or {}).get(image, "") for image in ids],
        }
    )
    return SimpleNamespace(
        images=images, trials=pd.DataFrame({"image": ids * 2}), splits=splits or {}
    )


def sides(fold: Fold) -> tuple[list[int], list[int]]:
    return fold.train.tolist(), fold.test.tolist()


def test_auto_takes_the_datasets_split_where_there_is_one() -> None:
    given = {"dataset": {"train": [7, 1], "test": [4]}}
    (fold,) = folds(fake(3, splits=given), SplitConfig())
    assert sides(fold) == ([1, 7], [4])
    assert fold.name == "dataset"
    assert [fold.name for fold in folds(fake(10), SplitConfig())] == [
        f"kfold-{k}" for k in range(5)
    ]


def test_the_seed_alone_decides() -> None:
    first, again, other = (
        [sides(fold) for fold in folds(fake(30), SplitConfig(seed=seed))] for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_kfold_sizes_differ_by_one_at_most() -> None:
    sizes = [len(fold.test) for fold in folds(fake(23), SplitConfig(kind=SplitKind.kfold))]
    assert sorted(sizes) == [4, 4, 5, 5, 5]


def test_random_holds_out_the_share_asked_for() -> None:
    (fold,) = folds(fake(50), SplitConfig(kind=SplitKind.random, test_fraction=0.3))
    assert (len(fold.train), len(fold.test)) == (35, 15)


@pytest.mark.parametrize("kind", [SplitKind.kfold, SplitKind.random])
def test_equal_pictures_share_a_side(kind: SplitKind) -> None:
    prepared = fake(12, digests={1: "same", 16: "same", 31: "same"})
    for seed in range(10):
        for fold in folds(prepared, SplitConfig(kind=kind, folds=3, seed=seed)):
            assert len({1, 16, 31} & set(fold.test.tolist())) in (0, 3)


def test_pictures_of_one_photograph_share_a_side_where_asked() -> None:
    prepared = fake(12, sources={1: "cat", 4: "cat", 7: "dog", 10: "dog", 13: "dog"})
    split = SplitConfig(kind=SplitKind.kfold, folds=3, keep_together=KeepTogether.source)
    for fold in folds(prepared, split):
        test = set(fold.test.tolist())
        assert len({1, 4} & test) in (0, 2)
        assert len({7, 10, 13} & test) in (0, 3)


def test_links_by_content_and_by_source_chain() -> None:
    # 1 and 4 are one photograph, 4 and 7 equal bytes, 7 and 10 one photograph.
    prepared = fake(5, digests={4: "x", 7: "x"}, sources={1: "a", 4: "a", 7: "b", 10: "b"})
    groups = groups_of(prepared.images, KeepTogether.source)
    assert [group.tolist() for group in groups] == [[1, 4, 7, 10], [13]]
    groups = groups_of(prepared.images, KeepTogether.content)
    assert [group.tolist() for group in groups] == [[1], [4, 7], [10], [13]]


def test_a_source_called_like_an_image_links_nothing() -> None:
    prepared = fake(3, sources={1: "4"})
    assert len(groups_of(prepared.images, KeepTogether.source)) == 3


def test_too_few_images_for_the_folds() -> None:
    with pytest.raises(ConfigError, match=r"dataset\.split\.folds"):
        folds(fake(4), SplitConfig(kind=SplitKind.kfold, folds=5))


def test_several_splits_need_a_name() -> None:
    given = {"a": {"train": [1], "test": [4]}, "b": {"train": [4], "test": [1]}}
    with pytest.raises(ConfigError, match=r"a \| b"):
        folds(fake(2, splits=given), SplitConfig())
    with pytest.raises(ConfigError, match="found: c"):
        folds(fake(2, splits=given), SplitConfig(named="c"))
    (fold,) = folds(fake(2, splits=given), SplitConfig(named="b"))
    assert sides(fold) == ([4], [1])


def test_a_name_where_no_split_was_given_is_refused() -> None:
    for kind in (SplitKind.auto, SplitKind.kfold, SplitKind.random):
        with pytest.raises(ConfigError, match="there is no such split") as caught:
            folds(fake(10), SplitConfig(kind=kind, named="foo"))
        assert "named=null" in str(caught.value)
        assert "leave dataset.split.named out" in str(caught.value.fix)
    assert len(folds(fake(10), SplitConfig(kind=SplitKind.kfold, named=None))) == 5


def test_dataset_without_a_split() -> None:
    with pytest.raises(ConfigError, match=r"dataset\.split\.kind=kfold"):
        folds(fake(3), SplitConfig(kind=SplitKind.dataset))


def test_a_side_without_shown_images() -> None:
    with pytest.raises(DataError, match="no image on its test side"):
        folds(fake(3, splits={"dataset": {"train": [1], "test": []}}), SplitConfig())


def test_a_split_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"train": [1, 4], "test": [7]}))
    (fold,) = folds(fake(3), SplitConfig(kind=SplitKind.file, file=str(path)))
    assert sides(fold) == ([1, 4], [7])
    path.write_text(json.dumps({"train": [1, 4], "test": [2]}))
    with pytest.raises(DataError, match="images 2"):
        folds(fake(3), SplitConfig(kind=SplitKind.file, file=str(path)))


def test_a_given_split_with_one_picture_on_both_sides_leaks() -> None:
    prepared = fake(3, digests={1: "x", 7: "x"}, splits={"dataset": {"train": [1, 4], "test": [7]}})
    with pytest.raises(LeakError, match="1 and 7"):
        folds(prepared, SplitConfig())


def fold_of(train: list[int], test: list[int]) -> Fold:
    return Fold(0, "f", np.array(train, dtype=np.int64), np.array(test, dtype=np.int64))


def test_check_no_leak_names_the_images() -> None:
    trials, digests = pd.DataFrame({"image": [1, 2, 3]}), {1: "a", 2: "b", 3: "a"}
    check_no_leak(fold_of([1, 3], [2]), trials, digests)
    with pytest.raises(LeakError, match="images 2"):
        check_no_leak(fold_of([1, 2], [2]), trials, digests)
    with pytest.raises(LeakError, match="1 and 3"):
        check_no_leak(fold_of([1], [2, 3]), trials, digests)


@pytest.mark.parametrize("fold", [([1], []), ([], [1]), ([1], [9])], ids=str)
def test_check_no_leak_refuses_what_does_not_fit(fold: tuple[list[int], list[int]]) -> None:
    with pytest.raises(DataError, match="does not fit"):
        check_no_leak(fold_of(*fold), pd.DataFrame({"image": [1, 2]}), {1: "a", 2: "b"})
