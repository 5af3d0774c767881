"""NSD-synthetic and NSD-imagery as further trial sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.data.nsd import layout
from neuroattn.data.nsd.reader import NsdDataset
from neuroattn.data.nsd.stimuli import as_sent
from neuroattn.data.registry import NsdConfig, NsdSpace, NsdTrials
from tests.nsd_files import LABELS, Nsd, betas, picture, write_betas

TRIALS = 6  # of a run, three conditions twice


def _write(root: Path, kind: str, ids: np.ndarray) -> None:
    for side in layout.HEMISPHERES:
        path = layout.betas(root, "subj01", "fsaverage", "b3", 1, hemisphere=side, trial_set=kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_betas(path, "mgh", "fsaverage", ids, side)


def _open(root: Path, kind: NsdTrials, **more: Any) -> NsdDataset:
    config = NsdConfig(
        root=str(root), space=NsdSpace.fsaverage, trial_set=kind, rois=["prf-visualrois"], **more
    )
    return NsdDataset(config)


def _expected(ids: np.ndarray) -> np.ndarray:
    return np.concatenate(
        [
            betas(ids, np.flatnonzero(LABELS["nsdgeneral"]("fsaverage", side) > 0), side)
            for side in layout.HEMISPHERES
        ],
        axis=1,
    )


@pytest.fixture
def synthetic(tmp_path: Path) -> tuple[Path, np.ndarray]:
    order = np.random.default_rng(0).integers(1, 9, 20)
    order[:2] = [1, 8]
    path = layout.expdesign(tmp_path, "synthetic")
    path.parent.mkdir(parents=True)
    savemat(path, {"masterordering": order[None], "stimpattern": np.ones((1, 2, 10))})
    for name, ids in ((None, np.arange(5)), ("subj01", np.arange(5, 8))):
        stimuli = layout.synthetic_stimuli(tmp_path, name)
        stimuli.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(stimuli, "w") as file:
            file["imgBrick"] = picture(ids)
    Nsd(tmp_path).write_maps("fsaverage")
    _write(tmp_path, "synthetic", order - 1)
    return tmp_path, order - 1


def test_synthetic(synthetic: tuple[Path, np.ndarray]) -> None:
    root, shown = synthetic
    dataset = _open(root, NsdTrials.synthetic)
    np.testing.assert_array_equal(dataset.trials["image"], shown)
    values = np.concatenate([values for _, values in dataset.response_blocks()])
    np.testing.assert_array_equal(values, _expected(shown))
    told = [int(dataset.stimuli.read(image)[0, 0, 0]) for image in range(8)]
    assert told == as_sent(np.arange(8, dtype=np.uint8)).tolist()  # the files hold light
    assert dataset.supplied_ncsnr is None  # that of the scenes says nothing about these
    assert "NSD-synthetic" in dataset.description.description
    assert not dataset.trials.duplicated(["image", "repeat"]).any()


def test_subjects_see_their_own_colours(synthetic: tuple[Path, np.ndarray]) -> None:
    root, shown = synthetic
    for name in ("subj01", "subj02"):
        stimuli = layout.synthetic_stimuli(root, name)
        if not stimuli.exists():
            stimuli.write_bytes(layout.synthetic_stimuli(root, "subj01").read_bytes())
        for side in layout.HEMISPHERES:
            source = layout.betas(
                root, "subj01", "fsaverage", "b3", 1, hemisphere=side, trial_set="synthetic"
            )
            target = Path(str(source).replace("subj01", name))
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                target.write_bytes(source.read_bytes())
    Nsd(root).write_maps("fsaverage", "subj02")
    config = NsdConfig(
        root=str(root), space=NsdSpace.fsaverage, trial_set=NsdTrials.synthetic,
        rois=["prf-visualrois"], subjects=["subj02"],
    )  # fmt: skip
    dataset = NsdDataset(config)
    np.testing.assert_array_equal(dataset.trials["image"], np.where(shown < 5, shown, shown + 3))


def test_synthetic_of_another_length(synthetic: tuple[Path, np.ndarray]) -> None:
    root, shown = synthetic
    _write(root, "synthetic", shown[:-1])
    with pytest.raises(DataError, match="do not fit"):
        _open(root, NsdTrials.synthetic)


@pytest.fixture
def imagery(tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    Nsd(tmp_path).write_maps("fsaverage")
    folders = layout.imagery_pictures(tmp_path)
    for folder in folders:
        folder.mkdir(parents=True)
    told: list[int] = []
    rows: dict[str, np.ndarray] = {}
    for run in layout.IMAGERY_RUNS:
        conditions = rng.permutation(["L", "V", "H"] * 2)
        path = layout.imagery_behaviour(tmp_path, "subj01", run)
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = ["SUBJECT\tTRIAL\tCONDITION\tFRAMEFILE\tIMAGEFILE"]
        for trial, condition in enumerate(conditions, start=1):
            name = f"{run[3]}_{condition}.png" if run[:3] == "vis" else "cue.png"
            lines.append(f"1\t{trial}\t{condition}\tframes\\{trial}.png\tpictures/{name}")
        path.write_text("\n".join(lines) + "\n")
        events = 2 * TRIALS if run.startswith("att") else TRIALS
        rows[run] = np.arange(len(told), len(told) + events)
        told += rows[run].tolist()
    for number, letter in enumerate("LVH"):
        for folder, name in zip(folders, "AB", strict=False):
            Image.fromarray(picture(np.array([number]))[0]).save(folder / f"{name}_{letter}.png")
    _write(tmp_path, "imagery", np.array(told))
    return tmp_path, rows


@pytest.mark.parametrize(
    ("kind", "runs"),
    [
        (NsdTrials.imagery, ["imgA_1", "imgB_1", "imgA_2", "imgB_2"]),
        (NsdTrials.imagery_seen, ["visA", "visB"]),
    ],
)
def test_imagery(
    imagery: tuple[Path, dict[str, np.ndarray]], kind: NsdTrials, runs: list[str]
) -> None:
    root, rows = imagery
    dataset = _open(root, kind)
    told = np.concatenate([rows[run] for run in runs])
    values = np.concatenate([values for _, values in dataset.response_blocks()])
    np.testing.assert_array_equal(values, _expected(told))
    assert len(dataset.trials) == len(told)
    numbers = [layout.IMAGERY_RUNS.index(run) + 1 for run in runs for _ in range(TRIALS)]
    assert dataset.trials["run"].tolist() == numbers
    assert dataset.trials["image"].nunique() == 6
    assert dataset.trials["image"].value_counts().eq(2 * len(runs) // 2).all()
    files = dict(zip(dataset.images["image"], dataset.images["file"], strict=True))
    assert sorted(Path(name).name for name in files.values()) == [
        "A_H.png", "A_L.png", "A_V.png", "B_H.png", "B_L.png", "B_V.png"
    ]  # fmt: skip
    _, place = dataset.response_origin(TRIALS)
    assert place == f"trial {rows[runs[1]][0]} of session 1"


def test_one_set_of_imagery_is_kept_alone(imagery: tuple[Path, dict[str, np.ndarray]]) -> None:
    root, rows = imagery
    both = _open(root, NsdTrials.imagery)
    for letter, ids in (("A", {0, 1, 2}), ("B", {3, 4, 5})):
        dataset = _open(root, NsdTrials.imagery, imagery_sets=[letter])
        told = np.concatenate([rows[f"img{letter}_1"], rows[f"img{letter}_2"]])
        values = np.concatenate([values for _, values in dataset.response_blocks()])
        np.testing.assert_array_equal(values, _expected(told))
        assert set(dataset.trials["image"]) == ids == set(dataset.images["image"])
        names = dict(zip(both.images["image"], both.images["file"], strict=True))
        assert [names[image] for image in dataset.images["image"]] == list(dataset.images["file"])
        assert f"set {letter} alone" in dataset.description.description
    for sets in ([], ["C"], ["A", "A"]):
        with pytest.raises(ConfigError):
            _open(root, NsdTrials.imagery, imagery_sets=sets)


def test_the_lists_of_pairs_tell_what_a_cue_stands_for(
    imagery: tuple[Path, dict[str, np.ndarray]],
) -> None:
    root, _ = imagery
    swapped = {"L": "V", "V": "L", "H": "H"}  # against what the tables say
    rows = np.empty((3, 3), dtype=object)
    for place, (cue, letter) in enumerate(swapped.items()):
        rows[place] = [place + 1.0, f"A_{letter}.png", cue]
    path = layout.imagery_pairs(root, "A")
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"pair_list": rows})
    dataset = _open(root, NsdTrials.imagery)
    assert path in dataset.files.all().values()
    files = [Path(name).name for name in dataset.images["file"]]
    assert files == ["A_H.png", "A_V.png", "A_L.png", "B_H.png", "B_L.png", "B_V.png"]
    path.write_bytes(b"no list")
    with pytest.raises(DataError, match="list of cues"):
        _open(root, NsdTrials.imagery)


def test_imagery_streams_in_blocks(imagery: tuple[Path, dict[str, np.ndarray]]) -> None:
    dataset = _open(imagery[0], NsdTrials.imagery)
    whole = np.concatenate([values for _, values in dataset.response_blocks()])
    import neuroattn.data.nsd.reader as reader

    original = reader._MIB
    reader._MIB = 3  # a few bytes: one trial at a time
    try:
        blocks = list(dataset.response_blocks())
    finally:
        reader._MIB = original
    assert len(blocks) == len(whole)
    np.testing.assert_array_equal(np.concatenate([values for _, values in blocks]), whole)


def test_imagery_of_another_length(imagery: tuple[Path, dict[str, np.ndarray]]) -> None:
    root, _ = imagery
    _write(root, "imagery", np.arange(80))
    with pytest.raises(DataError, match="do not fit") as caught:
        _open(root, NsdTrials.imagery)
    assert "80 events" in str(caught.value)
