"""Folds over images: training and test side, never a picture on both.

The unit is the image, so all its repeats, over all subjects, are on one side. Images with
equal bytes count as one image, and so do, where asked, pictures cut from one photograph.
Every fold passes `check_no_leak` before anyone sees it. Splits by session and by meaning are
made in `split_sessions` and `split_semantic`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError, DataError, LeakError
from neuroattn.core.seeding import generator
from neuroattn.data.dataset import Splits, split_file
from neuroattn.data.files import named
from neuroattn.data.registry import KeepTogether, SplitConfig, SplitKind
from neuroattn.data.split_files import read_splits
from neuroattn.data.split_semantic import semantic_groups, words_about
from neuroattn.data.split_sessions import algonauts2023, last_sessions

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Fold:
    """One division of the images.

    Parameters
    ----------
    index : position among the folds, from 0.
    name : in words, as in ``kfold-0``.
    train, test : image ids, ascending.
    """

    index: int
    name: str
    train: Ids
    test: Ids


class Splittable(Protocol):
    """What `folds` needs of a prepared dataset: tables of images and trials, named splits."""

    @property
    def images(self) -> pd.DataFrame:
        """One row per image: image sha256 source."""

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial: subject session image."""

    @property
    def splits(self) -> Splits:
        """Splits that come with the dataset, by name."""

    @property
    def captions(self) -> dict[str, list[str]]:
        """Captions by image id as text, where known."""

    @property
    def categories(self) -> dict[str, list[str]]:
        """Names of categories by image id as text, where known."""


def folds(prepared: Splittable, split: SplitConfig) -> list[Fold]:
    """The folds that ``split`` asks for, each checked.

    Folds that are drawn are permutations seeded by ``split.seed`` alone. The test sides of a
    k-fold split are disjoint and cover all images. Only ``algonauts2023`` and splits that were
    given leave images out of both sides.

    Raises
    ------
    ConfigError : fewer groups of images than folds; a split that does not exist.
    LeakError : a picture on both sides (possible in splits that were given, not drawn).
    """
    made = _made(prepared, split, resolved(prepared, split))
    digests = dict(zip(prepared.images["image"], prepared.images["sha256"], strict=True))
    for fold in made:
        check_no_leak(fold, prepared.trials, digests)
    return made


def resolved(prepared: Splittable, split: SplitConfig) -> SplitKind:
    """The kind that ``auto`` stands for, and any other as it is."""
    if split.kind is not SplitKind.auto:
        return split.kind
    return SplitKind.dataset if prepared.splits else SplitKind.kfold


def _made(prepared: Splittable, split: SplitConfig, kind: SplitKind) -> list[Fold]:
    if kind in (SplitKind.dataset, SplitKind.file):
        return [_given(prepared, split, kind)]
    if split.named is not None:
        raise _not_given(split.named, kind)
    if kind in _BY_NAME or (kind is SplitKind.exemplars and kind.value in prepared.splits):
        return [_sides(prepared.splits, _required(prepared, kind.value))]
    if kind in (SplitKind.last_sessions, SplitKind.algonauts2023):
        return [_by_session(prepared, split, kind)]
    groups = _groups(prepared, split, kind)
    if kind is SplitKind.kfold:
        return kfold(groups, split.folds, split.seed)
    categories = prepared.categories if kind is SplitKind.exemplars else {}
    return [random_fold(groups, split.test_fraction, split.seed, kind.value, categories)]


_BY_NAME = (SplitKind.shared1000, SplitKind.shared515)
_DRAWN = "set dataset.split.kind=kfold dataset.split.named=null"


def _required(prepared: Splittable, name: str) -> str:
    if name not in prepared.splits:
        raise ConfigError(
            f"this dataset does not say which images make the split {name}",
            expected=" | ".join(prepared.splits) or "a dataset with shared images",
            found=name,
            fix="set dataset.split.kind=kfold, or give the split as a file",
        )
    return name


def _by_session(prepared: Splittable, split: SplitConfig, kind: SplitKind) -> Fold:
    if kind is SplitKind.last_sessions:
        return _checked(kind, *last_sessions(prepared.trials, split.sessions))
    shared = prepared.splits[_required(prepared, SplitKind.shared1000.value)]["test"]
    return _checked(kind, *algonauts2023(prepared.trials, shared))


def _checked(kind: SplitKind, train: Ids, test: Ids) -> Fold:
    for side, images in (("training", train), ("test", test)):
        if not images.size:
            raise DataError(
                f"the split {kind.value} leaves no image on the {side} side",
                expected="images that were seen in the last sessions only, and others",
                found="none",
                fix="set dataset.split.sessions to another number, or dataset.split.kind=kfold",
            )
    return Fold(0, kind.value, train, test)


def _groups(prepared: Splittable, split: SplitConfig, kind: SplitKind) -> list[Ids]:
    if kind is SplitKind.exemplars:
        _need_sources(prepared)
        return groups_of(prepared.images, KeepTogether.source)
    groups = groups_of(prepared.images, split.keep_together)
    if kind is SplitKind.semantic_clusters:
        words = words_about(prepared.captions, prepared.categories)
        return semantic_groups(groups, words, split.clusters, split.seed)
    return groups


def _need_sources(prepared: Splittable) -> None:
    if not prepared.images["source"].astype(bool).any():
        raise ConfigError(
            "this dataset does not say from which exemplars its pictures are made",
            expected="a split called exemplars, or sources of pictures",
            found="neither",
            fix="set dataset.split.kind=kfold",
        )


def groups_of(images: pd.DataFrame, by: KeepTogether) -> list[Ids]:
    """Groups of image ids that must share a side, in the order of their lowest id.

    Images are linked where their digests agree and, with ``by=source``, where they have a
    source in common (sources are joined by ``|``); groups are the connected components.
    """
    ids = np.sort(images["image"].to_numpy(dtype=np.int64)).tolist()
    lowest = {image: image for image in ids}

    def find(image: int) -> int:
        while lowest[image] != image:
            lowest[image] = image = lowest[lowest[image]]
        return image

    for members in _links(images, by):
        first = find(members[0])
        for image in members[1:]:
            one, other = sorted((first, find(image)))
            lowest[other] = first = one
    groups: dict[int, list[int]] = {}
    for image in ids:
        groups.setdefault(find(image), []).append(image)
    return [np.array(members, dtype=np.int64) for members in groups.values()]


def _links(images: pd.DataFrame, by: KeepTogether) -> list[list[int]]:
    """Lists of image ids that have a digest, or a source where that counts, in common."""
    linked: dict[tuple[str, str], list[int]] = {}
    for image, digest, source in zip(
        images["image"].tolist(), images["sha256"], images["source"], strict=True
    ):
        sources = source.split("|") if by is KeepTogether.source else []
        keys = [("digest", digest), *(("source", name) for name in sources)]
        for kind, name in keys:
            if name:
                linked.setdefault((kind, name), []).append(image)
    return list(linked.values())


def kfold(groups: Sequence[Ids], count: int, seed: int) -> list[Fold]:
    """Deal permuted groups, the largest first, each to the smallest of ``count`` test sides."""
    _enough(groups, count)
    order = generator(seed, "split", "kfold").permutation(len(groups))
    dealt = sorted(order, key=lambda index: -len(groups[index]))  # stable: keeps the permutation
    sides: list[list[Ids]] = [[] for _ in range(count)]
    sizes = [0] * count
    for index in dealt:
        smallest = sizes.index(min(sizes))
        sides[smallest].append(groups[index])
        sizes[smallest] += len(groups[index])
    everything = np.concatenate(groups)
    return [
        _fold(k, f"kfold-{k}", np.concatenate(side), everything) for k, side in enumerate(sides)
    ]


def random_fold(
    groups: Sequence[Ids],
    fraction: float,
    seed: int,
    name: str = "random",
    categories: Mapping[str, list[str]] = MappingProxyType({}),
) -> Fold:
    """Put permuted groups on the test side until it holds ``fraction`` of the images.

    One group at least stays on each side, so with few large groups the share is approximate.
    A group that holds the last training image of one of its ``categories`` (image id as text
    -> names) stays in training, so what is new on the test side is exemplars, not categories.
    """
    _enough(groups, 2)
    drawn = generator(seed, "split", "random").permutation(len(groups))
    order = _with_categories_left(groups, drawn, categories)
    everything = np.concatenate(groups)
    wanted = fraction * len(everything)
    totals = np.cumsum([len(groups[index]) for index in order])
    taken = int(np.argmin(np.abs(totals - wanted))) + 1
    taken = min(taken, len(groups) - 1)
    test = np.concatenate([groups[index] for index in order[:taken]])
    return _fold(0, name, test, everything)


def _with_categories_left(
    groups: Sequence[Ids], order: Ids, categories: Mapping[str, list[str]]
) -> Ids:
    """Groups that can be taken one after another with every category left in the rest."""

    def named_in(index: int) -> Counter[str]:
        return Counter(name for i in groups[index].tolist() for name in categories.get(str(i), []))

    left = sum((named_in(index) for index in range(len(groups))), Counter[str]())
    kept = []
    for index in order.tolist():
        here = named_in(index)
        if all(left[name] > count for name, count in here.items()):
            kept.append(index)
            left -= here
    # Where every source is a category of its own, none could be tested: then any may be.
    return np.array(kept, dtype=np.int64) if kept else order


def _fold(index: int, name: str, test: Ids, everything: Ids) -> Fold:
    return Fold(index, name, np.setdiff1d(everything, test), np.sort(test))


def _enough(groups: Sequence[Ids], count: int) -> None:
    if len(groups) < count:
        raise ConfigError(
            "there are too few images for this split",
            expected=f"{count} images, or groups of images that stay together",
            found=len(groups),
            fix="set dataset.split.folds lower, or dataset.split.keep_together=content",
        )


def _given(prepared: Splittable, split: SplitConfig, kind: SplitKind) -> Fold:
    known = prepared.images["image"].tolist()
    given = (
        read_splits(split_file(split.file), known) if kind is SplitKind.file else prepared.splits
    )
    return _sides(given, _choose(given, split.named, kind))


def _sides(given: Splits, name: str) -> Fold:
    sides = {side: np.array(sorted(images), dtype=np.int64) for side, images in given[name].items()}
    for side, images in sides.items():
        if not images.size:
            raise DataError(
                f"the split {name} has no image on its {side} side",
                expected="images that were shown to the subjects kept",
                found="none",
                fix="keep more subjects, or set dataset.split.kind=kfold",
            )
    return Fold(0, name, sides["train"], sides["test"])


def _choose(given: Splits, wanted: str | None, kind: SplitKind) -> str:
    if wanted is None and len(given) == 1:
        return next(iter(given))
    if wanted is None or wanted not in given:
        raise ConfigError(
            "there is no such split" if wanted else "which split is not clear",
            expected=" | ".join(given) or f"a split of the {kind.value}",
            found=wanted or ("several" if given else "none"),
            fix="set dataset.split.named=NAME" if given else _DRAWN,
        )
    return wanted


def _not_given(wanted: str, kind: SplitKind) -> ConfigError:
    """A name among splits of which none was given: it would do nothing but change fingerprints."""
    return ConfigError(
        "there is no such split",
        expected=f"dataset.split.named=null beside a split of the kind {kind.value}",
        found=wanted,
        fix="leave dataset.split.named out, or give splits: dataset.split.kind=file"
        " dataset.split.file=FILE.json",
    )


def check_no_leak(fold: Fold, trials: pd.DataFrame, digests: Mapping[int, str]) -> None:
    """Refuse a fold in which anything of the test side stands on the training side.

    Parameters
    ----------
    trials : one row per trial with the column ``image``, all subjects.
    digests : image id -> SHA-256 of its picture.

    Raises
    ------
    LeakError : an image, one of its trials, or a picture with equal bytes is on both sides.
    DataError : a side is empty, or names an image without trials or digest.
    """
    _check_sides(fold, trials, digests)
    both = np.intersect1d(fold.train, fold.test)
    if both.size:
        raise _leak(fold, "images", f"images {named(both)}")
    train = {digests[int(image)]: int(image) for image in fold.train}
    pairs = [
        f"{train[digests[int(image)]]} and {int(image)}"
        for image in fold.test
        if digests[int(image)] in train
    ]
    if pairs:
        raise _leak(fold, "pictures with equal bytes", f"images {named(pairs)} (train and test)")


def _check_sides(fold: Fold, trials: pd.DataFrame, digests: Mapping[int, str]) -> None:
    sides = np.concatenate([fold.train, fold.test])
    shown = np.intersect1d(trials["image"].to_numpy(), np.array(list(digests), dtype=np.int64))
    strange = np.setdiff1d(sides, shown)
    if strange.size or not fold.train.size or not fold.test.size:
        raise DataError(
            f"the fold {fold.name} does not fit the dataset",
            expected="shown images on both sides",
            found=f"no trials of images {named(strange)}" if strange.size else "an empty side",
            fix="correct the split, or set dataset.split.kind=kfold",
        )


def _leak(fold: Fold, what: str, found: str) -> LeakError:
    return LeakError(
        f"{what} stand on both sides of the fold {fold.name}",
        expected="each picture in train or in test",
        found=found,
        fix="correct the split, or let neuroattn draw one: dataset.split.kind=kfold",
    )
