"""Indices of NSD: betas that tell their own image, so that a shift by one anywhere fails."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from neuroattn.core.errors import DataError
from neuroattn.data.nsd import layout
from neuroattn.data.nsd.reader import NsdDataset
from neuroattn.data.registry import NsdConfig, NsdFormat, NsdSpace
from tests.nsd_files import LABELS, Nsd, betas, n_places, picture

EVERY = [(space, kind) for space, kinds in layout.FORMATS.items() for kind in kinds]


def _open(nsd: Nsd, space: str, kind: str = "auto", **settings: object) -> NsdDataset:
    config = NsdConfig(
        root=str(nsd.root),
        space=NsdSpace(space),
        format=NsdFormat(kind),
        rois=["prf-visualrois"],
        **settings,
    )
    return NsdDataset(config)


def _responses(dataset: NsdDataset) -> np.ndarray:
    rows, values = zip(*dataset.response_blocks(), strict=True)
    assert [row.start for row in rows] == [0, *[row.stop for row in rows[:-1]]]
    return np.concatenate(values)


def _expected(nsd: Nsd, space: str, ids: np.ndarray) -> np.ndarray:
    """Betas of the places of nsdgeneral, the left hemisphere first."""
    parts = []
    for side in layout.sides(space):
        kept = np.flatnonzero(LABELS["nsdgeneral"](space, side) > 0)
        parts.append(betas(ids, kept, side))
    return np.concatenate(parts, axis=1)


@pytest.fixture(scope="module")
def nsd(tmp_path_factory: pytest.TempPathFactory) -> Nsd:
    made = Nsd(tmp_path_factory.mktemp("nsd"))
    made.write_design()
    made.write_behaviour()
    for space, kinds in layout.FORMATS.items():
        made.write_maps(space)
        for kind in kinds:
            made.write_betas(space, kind)
    return made


@pytest.mark.parametrize(("space", "kind"), EVERY)
def test_trials_betas_and_pictures_agree(nsd: Nsd, space: str, kind: str) -> None:
    dataset = _open(nsd, space, kind)
    shown = nsd.shown()
    np.testing.assert_array_equal(dataset.trials["image"], shown)
    np.testing.assert_array_equal(_responses(dataset), _expected(nsd, space, shown))
    for image in np.unique(shown)[:5]:
        told = dataset.stimuli.read(int(image))[0, 0].astype(int)
        assert told[0] + 256 * told[1] == image
        assert dataset.stimuli.file(int(image)) == f"imgBrick[{image}]"


def test_repeat_means_belong_to_their_image(nsd: Nsd) -> None:
    dataset = _open(nsd, "fsaverage")
    means = pd.DataFrame(_responses(dataset)).groupby(dataset.trials["image"].to_numpy()).mean()
    np.testing.assert_allclose(
        means, _expected(nsd, "fsaverage", means.index.to_numpy()), rtol=1e-6
    )


def test_integers_and_floats_give_equal_betas(nsd: Nsd) -> None:
    volume = {kind: _responses(_open(nsd, "func1mm", kind)) for kind in ("nifti", "hdf5")}
    np.testing.assert_array_equal(volume["nifti"], volume["hdf5"])
    # The same 1/300 steps as int16 on the subject's surface, and as float32 on fsaverage.
    native = _responses(_open(nsd, "nativesurface"))
    average = _responses(_open(nsd, "fsaverage"))
    left = np.flatnonzero(LABELS["nsdgeneral"]("nativesurface", "lh") > 0)
    np.testing.assert_array_equal(native[:, : len(left)], average[:, : len(left)])


@pytest.mark.parametrize("sessions", [30, 32, 40, 27, 29, 37])
@pytest.mark.parametrize("per_session", [5, 8])
def test_sessions_and_their_length_come_from_the_files(
    tmp_path: Path, sessions: int, per_session: int
) -> None:
    made = Nsd(tmp_path, n_sessions=40, per_session=per_session)
    made.write_design()
    made.write_behaviour()
    made.write_maps("nativesurface")
    made.write_betas("nativesurface", "hdf5", range(1, sessions + 1))
    dataset = _open(made, "nativesurface")
    assert dataset.trials["session"].nunique() == sessions
    assert dataset.trials["session"].value_counts().eq(per_session).all()
    shown = made.shown()[: sessions * per_session]
    np.testing.assert_array_equal(dataset.trials["image"], shown)
    np.testing.assert_array_equal(_responses(dataset), _expected(made, "nativesurface", shown))


@pytest.mark.parametrize("pattern", [True, False])
@pytest.mark.parametrize("behaviour", [True, False])
def test_a_choice_of_sessions_keeps_its_place(
    tmp_path: Path, pattern: bool, behaviour: bool
) -> None:
    made = Nsd(tmp_path, pattern=pattern)
    made.write_design()
    if behaviour:
        made.write_behaviour()
    made.write_maps("fsaverage")
    made.write_betas("fsaverage", "mgh", [2, 4])  # the others were never fetched
    dataset = _open(made, "fsaverage", sessions=[4, 2])
    shown = np.concatenate([made.session_ids(2), made.session_ids(4)])
    np.testing.assert_array_equal(dataset.trials["image"], shown)
    np.testing.assert_array_equal(_responses(dataset), _expected(made, "fsaverage", shown))
    runs = dataset.trials["run"]
    assert (
        runs.isna().all()
        if not (pattern or behaviour)
        else runs.tolist() == [1] * 5 + [2] * 5 + [3] * 5 + [1] * 5 + [2] * 5 + [3] * 5
    )


def test_repeats_count_over_the_experiment(tmp_path: Path) -> None:
    made = Nsd(tmp_path, per_session=30)  # 40 images in 120 trials: some once, some five times
    made.write_design()
    made.write_maps("fsaverage")
    made.write_betas("fsaverage", "mgh")
    dataset = _open(made, "fsaverage", sessions=[3])
    whole = made.shown()
    for row, trial in enumerate(range(60, 90)):
        before = int((whole[: trial + 1] == whole[trial]).sum())
        assert dataset.trials["repeat"].iloc[row] == before
    assert not dataset.trials.duplicated(["image", "repeat"]).any()


def test_the_first_shared_trials_of_subject_one() -> None:
    # Conventions of the real files, as far as they are public: 1-based in the design, and the
    # 0-based ids of the first trials on shared images (trial: id).
    known = {0: 46002, 28: 48617, 35: 44980, 44: 32625, 90: 32625}
    rng = np.random.default_rng(0)
    shared = np.sort(
        np.concatenate([[2950, 72948], list(set(known.values())), rng.choice(2000, 94) + 3000])
    )
    images = np.concatenate([shared, 73_000 - 1 - np.arange(9_900)])
    ordering = rng.integers(len(shared), 10_000, 30_000)
    for trial, image in known.items():
        ordering[trial] = int(np.flatnonzero(shared == image)[0])
    from neuroattn.data.nsd.design import Design

    shown = Design(ordering, images[None], shared, None).shown(1)
    assert {trial: int(shown[trial]) for trial in known} == known


def test_the_design_file_counts_from_one(tmp_path: Path) -> None:
    from scipy.io import savemat

    from neuroattn.data.nsd.design import read_design

    content = {"masterordering": [[2, 1, 3]], "subjectim": [[46003, 48618, 73000]]}
    savemat(tmp_path / "d.mat", content | {"sharedix": [[46003]]})
    design = read_design(tmp_path / "d.mat")
    assert design.shown(1).tolist() == [48617, 46002, 72999]
    assert design.shared.tolist() == [46002]


@pytest.mark.parametrize("hdf5", [False, True])
def test_both_kinds_of_matlab_files(tmp_path: Path, hdf5: bool) -> None:
    made = Nsd(tmp_path)
    made.write_design(hdf5=hdf5)
    made.write_maps("fsaverage")
    made.write_betas("fsaverage", "mgh")
    np.testing.assert_array_equal(_open(made, "fsaverage").trials["image"], made.shown())


@pytest.mark.parametrize("shift", [-1, 1])
def test_a_shift_in_the_behaviour_is_refused(tmp_path: Path, shift: int) -> None:
    made = Nsd(tmp_path)
    made.write_design()
    path = made.write_behaviour()
    made.write_maps("fsaverage")
    made.write_betas("fsaverage", "mgh")
    table = pd.read_csv(path, sep="\t")
    table["73KID"] += shift
    table.to_csv(path, sep="\t", index=False)
    with pytest.raises(DataError, match="name different images"):
        _open(made, "fsaverage")


def test_another_subject_sees_its_own_images(tmp_path: Path) -> None:
    made = Nsd(tmp_path)
    made.write_design()
    made.write_behaviour("subj02")
    made.write_maps("nativesurface", "subj02")
    made.write_betas("nativesurface", "hdf5", subject="subj02")
    dataset = _open(made, "nativesurface", subjects=["subj02"])
    shown = made.shown("subj02")
    assert (shown != made.shown("subj01")).any()
    np.testing.assert_array_equal(dataset.trials["image"], shown)
    np.testing.assert_array_equal(_responses(dataset), _expected(made, "nativesurface", shown))
    assert set(dataset.targets["subject"]) == {"subj02"}


def test_voxels_are_numbered_as_in_the_file(nsd: Nsd) -> None:
    dataset = _open(nsd, "func1pt8mm")
    voxel = int(dataset.targets["vertex"].iloc[3])
    path = layout.betas(nsd.root, "subj01", "func1pt8mm", "b3", 1, format="hdf5")
    with h5py.File(path) as file:
        series = file["betas"][:].reshape(nsd.per_session, -1)[:, voxel] / np.float32(300)
    np.testing.assert_allclose(_responses(dataset)[: nsd.per_session, 3], series, rtol=1e-6)


def test_the_helper_would_notice_a_shift(nsd: Nsd) -> None:
    ids = np.arange(50)
    places = np.arange(n_places("fsaverage"))
    assert (betas(ids, places) != betas(ids + 1, places)).all()
    assert (betas(ids, places[1:]) != betas(ids, places[:-1])).all()
    assert (betas(ids, places, "lh") != betas(ids, places, "rh")).all()
    assert len({picture(np.array([image])).tobytes() for image in range(300)}) == 300
