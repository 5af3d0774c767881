"""Several subjects in one prepared dataset: each as if alone, and no image on both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neuroattn.core.errors import DataError, LeakError
from neuroattn.data.dataset import open_dataset
from neuroattn.data.nsd import layout
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import (
    KeepTogether,
    NsdConfig,
    NsdSpace,
    SplitConfig,
    SplitKind,
    StoreForm,
)
from neuroattn.data.splits import Fold, check_no_leak, folds
from neuroattn.data.subject_store import store_name
from neuroattn.data.subjects import SharedStimuli, merged_splits
from tests.nsd_files import VERTICES, Nsd, write_map

from .tiny_dataset import prepare

BOTH = ["subj02", "subj01"]  # in the order in which they are named


@pytest.fixture(scope="module")
def nsd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two subjects on their own surfaces: ten shared images, other targets."""
    nsd = Nsd(tmp_path_factory.mktemp("nsd"), n_sessions=3, per_session=40)
    nsd.write_design()
    nsd.write_coco()
    for name in BOTH:
        nsd.write_maps("nativesurface", name)
        nsd.write_betas("nativesurface", "hdf5", subject=name)
    fewer = (np.arange(VERTICES["nativesurface"]) > 9).astype(int)
    write_map(layout.roi_surface(nsd.root, "subj02", "nsdgeneral", "lh"), fewer)
    return nsd.root


def config(root: Path, subjects: list[str], **keys: Any) -> NsdConfig:
    rois = ["prf-visualrois", "floc-faces"]
    return NsdConfig(
        root=str(root), subjects=subjects, space=NsdSpace.nativesurface, rois=rois, **keys
    )


@pytest.fixture(scope="module", params=list(StoreForm), ids=lambda form: form.value)
def views(
    request: pytest.FixtureRequest, nsd: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Prepared, dict[str, Prepared]]:
    """Both subjects in one dataset, and each prepared alone."""
    folder, form = tmp_path_factory.mktemp("prepare"), request.param
    alone = {
        name: Prepared(prepare(config(nsd, [name], store=form), folder / f"{name}-0"))
        for name in BOTH
    }
    return Prepared(prepare(config(nsd, BOTH, store=form), folder / "both-0")), alone


def test_each_subject_is_as_if_prepared_alone(views: tuple[Any, Any]) -> None:
    both, alone = views
    assert both.subjects == BOTH
    assert both.several
    for name, expected in alone.items():
        view = both.of_subject(name)
        assert not view.several
        assert view.subjects == [name] == expected.subjects
        for table in ("trials", "images", "targets"):
            pd.testing.assert_frame_equal(getattr(view, table), getattr(expected, table))
        assert view.splits == expected.splits
        assert view.captions == expected.captions
        assert view.categories == expected.categories
        assert view.session_names == expected.session_names
        np.testing.assert_array_equal(view.supplied_ncsnr, expected.supplied_ncsnr)
        images = view.image_ids[::3]
        np.testing.assert_array_equal(view.responses(), expected.responses())
        np.testing.assert_array_equal(
            view.image_responses(images), expected.image_responses(images)
        )
        here, there = view.session_scale(images), expected.session_scale(images)
        for key, values in here.arrays().items():
            np.testing.assert_array_equal(values, there.arrays()[key])
        np.testing.assert_array_equal(
            view.scaled(here).responses([3, 1]), expected.scaled(there).responses([3, 1])
        )
        sums = zip(view.repeat_sums(images), expected.repeat_sums(images), strict=True)
        for mine, other in sums:
            for one, two in zip(mine, other, strict=True):
                np.testing.assert_array_equal(one, two)


def test_the_whole_is_nan_at_the_targets_of_others(views: tuple[Any, Any]) -> None:
    both, alone = views
    first, second = (alone[name] for name in BOTH)
    rows, columns = len(first.trials), len(first.targets)
    expected = np.full((len(both.trials), len(both.targets)), np.nan, np.float32)
    expected[:rows, :columns] = first.responses()
    expected[rows:, columns:] = second.responses()
    np.testing.assert_array_equal(both.responses(), expected)
    some, across = np.array([rows + 4, 2, rows - 1, 2]), np.array([columns + 3, 0, columns - 1])
    np.testing.assert_array_equal(both.responses(some, across), expected[np.ix_(some, across)])
    for block in (1 << 12, 1 << 26):
        read = [values for _, values in both.response_blocks(across, block)]
        np.testing.assert_array_equal(np.concatenate(read), expected[:, across])
    assert both.trials["trial"].tolist() == list(range(len(both.trials)))
    assert both.description["n_subjects"] == 2
    assert not both.artefact.has("responses.h5")
    assert both.artefact.has(store_name("responses.h5", "subj01"))


@pytest.mark.parametrize("mode", ["mean", "single"])
def test_responses_to_images_are_those_of_each_subject(views: tuple[Any, Any], mode: str) -> None:
    both, alone = views
    images = np.random.default_rng(0).permutation(both.image_ids)
    read = both.image_responses(images, mode)
    start = 0
    for view in (alone[name] for name in BOTH):
        part = read[:, start : start + len(view.targets)]
        saw = np.isin(images, view.image_ids)
        assert saw.any()
        assert not saw.all()
        np.testing.assert_array_equal(part[saw], view.image_responses(images[saw], mode))
        assert np.isnan(part[~saw]).all()
        start += len(view.targets)


def test_scales_of_all_subjects_are_fitted_apart(views: tuple[Any, Any]) -> None:
    both, alone = views
    for images in (None, both.image_ids[::2]):
        scale = both.session_scale(images)
        scaled = both.scaled(scale).responses()
        row = column = 0
        for view in (alone[name] for name in BOTH):
            mine = images if images is None else np.intersect1d(images, view.image_ids)
            expected = view.scaled(view.session_scale(mine)).responses()
            high, wide = expected.shape
            np.testing.assert_array_equal(
                scaled[row : row + high, column : column + wide], expected
            )
            row, column = row + high, column + wide
    assert sorted(scale.arrays())[0] == "subj01/mean"


def test_what_only_one_subject_can_answer_is_refused(views: tuple[Any, Any]) -> None:
    both, _ = views
    with pytest.raises(DataError, match="of_subject"):
        next(both.repeat_sums(both.image_ids[:1]))
    with pytest.raises(DataError, match="subj02, subj01"):
        both.of_subject("subj03")


def test_no_split_of_several_subjects_leaks(views: tuple[Any, Any]) -> None:
    both, alone = views
    shared = np.intersect1d(*(view.image_ids for view in alone.values()))
    for kind in (SplitKind.shared1000, SplitKind.kfold, SplitKind.random):
        for keep in KeepTogether:
            for fold in folds(both, SplitConfig(kind=kind, folds=3, keep_together=keep)):
                for view in alone.values():
                    mine = view.trials["image"].isin(fold.test)
                    assert not view.trials.loc[mine, "image"].isin(fold.train).any()
                assert len(np.intersect1d(fold.test, shared))
    digests = dict(zip(both.images["image"], both.images["sha256"], strict=True))
    first, second = (view.image_ids for view in alone.values())
    leak = Fold(0, "by subject", np.setdiff1d(first, shared[1:]), second)
    with pytest.raises(LeakError, match="both sides"):
        check_no_leak(leak, both.trials, digests)


def test_an_image_that_one_subject_is_tested_on_trains_nobody() -> None:
    parts = [
        {"tau": {"train": [1, 2, 3], "test": [4]}, "own": {"train": [1], "test": [2]}},
        {"tau": {"train": [4, 5], "test": [3, 6]}},
    ]
    assert merged_splits(parts) == {"tau": {"train": [1, 2, 5], "test": [3, 4, 6]}}


class Pictures:
    """Pictures named by whose they are; the last image differs."""

    ids = np.arange(3)

    def __init__(self, name: str) -> None:
        self.name = name

    def file(self, image: int) -> str:
        return "same" if image == 0 else f"{self.name}/{image}"

    def digest(self, image: int) -> str:
        return self.name if image != 1 else "equal"


def test_an_id_must_mean_one_picture_for_all() -> None:
    parts: Any = {name: (Pictures(name), np.arange(3)) for name in ("a", "b")}
    stimuli = SharedStimuli(parts)
    assert stimuli.digest(0) == "a"
    assert stimuli.digest(1) == "equal"
    with pytest.raises(DataError, match="another picture for b than for a"):
        stimuli.digest(2)


def test_a_dataset_of_several_names_them(nsd: Path) -> None:
    dataset = open_dataset(config(nsd, BOTH))
    about = dataset.description
    assert about.name == "NSD subj02, subj01"
    assert "subj02: " not in about.description
    row = len(open_dataset(config(nsd, BOTH[:1])).trials)
    assert "subj01" in str(dataset.response_origin(row)[0])
    wide = [values for _, values in dataset.response_blocks()]
    assert np.isnan(np.concatenate(wide)[row:, 0]).all()


@pytest.mark.parametrize("name", ["", "../x", "a/b"])
def test_names_of_subjects_make_safe_files(name: str) -> None:
    with pytest.raises(DataError, match="name of a subject"):
        store_name("responses.h5", name)
