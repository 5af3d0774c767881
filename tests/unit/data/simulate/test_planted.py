"""The planted truth in the artefact of ``prepare``: equal to what was simulated, or absent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.errors import DataError, StorageError
from neuroattn.core.tables import read_tsv
from neuroattn.data.nsd.files import find, leaves
from neuroattn.data.nsd.reader import NsdDataset
from neuroattn.data.planted import FILES, write_truth
from neuroattn.data.registry import NsdConfig, NsdSpace
from neuroattn.stats.planted import CATEGORY, FILE, Truth, read_truth
from tests.chain import Ran
from tests.faults import in_child, limit_files


@pytest.fixture(scope="module")
def dataset(pocket: Path) -> NsdDataset:
    return NsdDataset(NsdConfig(root=str(pocket), mask="all", rois=["floc-faces"]))


@pytest.fixture(scope="module")
def truth(dataset: NsdDataset, tmp_path_factory: pytest.TempPathFactory) -> Truth:
    out = ArtefactWriter(tmp_path_factory.mktemp("prepare"))
    write_truth(out, dataset)
    with h5py.File(out.folder / FILE) as file:
        assert "simulated" in file.attrs["label"]
        return read_truth(file)


def test_targets_are_those_of_their_vertices(
    pocket: Path, dataset: NsdDataset, truth: Truth
) -> None:
    planted = read_tsv(pocket / "truth/subj01/targets.tsv").set_index(["hemisphere", "vertex"])
    targets = dataset.targets.set_index("target").loc[truth.target]
    places = list(zip(targets["hemisphere"], targets["vertex"].astype(int), strict=True))
    assert planted.loc[places, "roi"].tolist() == truth.roi.tolist()
    assert len(truth.target) == (planted["roi"] != "null").sum()


def test_noiseless_responses_are_the_sum_of_their_parts(truth: Truth) -> None:
    for roi in truth.regions(CATEGORY):
        columns = np.flatnonzero(truth.roi == roi)
        presence, attributes = truth.components(columns, np.arange(len(truth.images)))
        if presence.std() == 0:
            continue
        spread = attributes.std(axis=0)
        parts = [(presence - presence.mean()) / presence.std(), np.ones(len(presence))]
        for place, column in enumerate(columns):
            if spread[place] == 0:
                continue
            design = np.column_stack([*parts, attributes[:, place] / spread[place]])
            signal = truth.noiseless[:, column].astype(np.float64)
            weights, *_ = np.linalg.lstsq(design, signal, rcond=None)
            np.testing.assert_allclose(design @ weights, signal, atol=5e-3)
            assert weights[0] == pytest.approx(weights[2], rel=5e-3)


def test_noiseless_responses_are_those_of_the_truth(
    pocket: Path, dataset: NsdDataset, truth: Truth
) -> None:
    table = read_tsv(pocket / "truth/subj01/targets.tsv")
    number = {place: n for n, place in enumerate(zip(table.hemisphere, table.vertex, strict=True))}
    targets = dataset.targets.set_index("target").loc[truth.target]
    wanted = [
        number[side, int(v)] for side, v in zip(targets.hemisphere, targets.vertex, strict=True)
    ]
    with h5py.File(pocket / "truth/subj01/truth.h5") as source:
        assert source["image"][()].tolist() == truth.images.tolist()
        columns = np.searchsorted(source["planted"][()], wanted)
        np.testing.assert_allclose(truth.noiseless, source["noiseless"][()][:, columns], atol=3e-3)


def test_masks_and_boxes_are_of_one_thing(pocket: Path, truth: Truth) -> None:
    things = read_tsv(pocket / "truth/things.tsv")
    assert len(truth.masks) == np.isin(things["scene"], truth.scenes).sum()
    some = np.flatnonzero(np.unpackbits(truth.masks, axis=2).any(axis=(1, 2)))[:20]
    side = truth.masks.shape[1]
    cover = truth.coverage(some, (side, side)).reshape(-1, side, side)
    for thing, pixels in zip(some, cover, strict=True):
        rows, columns = np.nonzero(pixels)
        top, left, height, width = truth.box[thing]
        assert top <= rows.min()
        assert rows.max() < top + height
        assert left <= columns.min()
        assert columns.max() < left + width


def test_its_files_are_leaves(pocket: Path) -> None:
    named = leaves(NsdConfig(root=str(pocket)))
    assert {"truth/masks.h5", "truth/rois.tsv", "truth/subj01/truth.h5"} <= set(named)


def test_other_spaces_and_lost_files_have_none(pocket: Path, tmp_path: Path) -> None:
    native = replace(NsdConfig(root=str(pocket)), space=NsdSpace.func1pt8mm)
    assert not find(native).planted
    out = ArtefactWriter(tmp_path)
    write_truth(out, SimpleNamespace(planted_files={"masks.h5": pocket}))
    write_truth(out, SimpleNamespace())
    assert not (tmp_path / FILE).exists()


def test_a_truth_of_another_dataset_is_refused(
    pocket: Path, dataset: NsdDataset, tmp_path: Path
) -> None:
    files = dict(dataset.planted_files)
    assert set(files) == set(FILES)
    files["masks.h5"] = files["truth.h5"]
    wrong = SimpleNamespace(planted_files=files, targets=dataset.targets)
    with pytest.raises(DataError, match="planted truth"):
        write_truth(ArtefactWriter(tmp_path), wrong)


def test_a_full_disk_is_no_fault_of_the_truth(dataset: NsdDataset, tmp_path: Path) -> None:
    def write() -> Ran:
        with pytest.raises(StorageError, match="size limit"):
            write_truth(ArtefactWriter(tmp_path), dataset)
        return Ran(0, "", "")

    assert in_child(write, lambda: limit_files(10_000)).code == 0
