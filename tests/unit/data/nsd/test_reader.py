"""The dataset as the rest of the program sees it, and what becomes of missing data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import DataError
from neuroattn.data.dataset import open_dataset
from neuroattn.data.nsd import layout
from neuroattn.data.nsd.reader import NsdDataset
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import NanPolicy, NsdConfig, NsdSpace, SuppliedCeiling
from neuroattn.data.volumes import open_image
from tests.chain import neuroattn
from tests.nsd_files import LABELS, Nsd, betas, ncsnr, write_map

POLICIES = [NanPolicy.refuse, NanPolicy.drop_targets, NanPolicy.zero]


def _config(nsd: Nsd, **settings: object) -> NsdConfig:
    return NsdConfig(root=str(nsd.root), **{"rois": ["prf-visualrois", "floc-faces"], **settings})


def _spoil(nsd: Nsd, session: int, vertices: list[int], trials: slice = slice(None)) -> None:
    """Set a vertex of the right hemisphere to NaN, as the lost ones of subjects 6 and 8 are."""
    path = layout.betas(nsd.root, "subj01", "fsaverage", "b3", session, hemisphere="rh")
    with open_image(path) as image:
        values = np.asarray(image.dataobj).copy()
    values[vertices, ..., trials] = np.nan
    nib.save(nib.MGHImage(values, np.eye(4)), path)


def test_targets_of_a_surface(whole: Nsd) -> None:
    dataset = NsdDataset(_config(whole))
    targets = dataset.targets
    assert targets["hemisphere"].tolist() == ["lh"] * 25 + ["rh"] * 22
    assert targets["vertex"].tolist() == [*range(5, 30), *range(8, 30)]
    assert targets["target"].tolist() == list(range(47))
    for row in range(47):
        vertex = int(targets["vertex"].iloc[row])
        prf = {0: [], 1: ["V1v"], 2: ["V1d"], 3: ["V2v"]}[vertex % 4]
        faces = {1: ["OFA"], 2: ["mid temporal faces"]}.get(vertex % 5, [])
        assert targets["rois"].iloc[row] == "|".join(prf + faces)


def test_targets_of_a_volume(whole: Nsd) -> None:
    targets = NsdDataset(_config(whole, space=NsdSpace.func1mm)).targets
    assert targets["vertex"].tolist() == list(range(5, 24))
    # The first axis has four voxels, of which the fabricated left hemisphere has two.
    sides = ["lh" if voxel % 4 < 2 else "rh" for voxel in range(5, 24)]
    assert targets["hemisphere"].tolist() == sides


def test_the_side_of_a_voxel_is_unknown_without_both_files(small: Callable[..., Nsd]) -> None:
    nsd = small("func1mm", "hdf5")
    layout.roi_volume(nsd.root, "subj01", "func1mm", "nsdgeneral", "rh").unlink()
    targets = NsdDataset(_config(nsd, space=NsdSpace.func1mm)).targets
    assert set(targets["hemisphere"]) == {""}


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"mask": "all"}, 60),
        ({"mask": "nsdgeneral"}, 47),
        ({"mask": "prf-visualrois"}, 44),
        ({"mask": "floc-faces"}, 24),
        ({"mask": "floc-faces", "floc_threshold": 5.0}, 16),
    ],
)
def test_masks(whole: Nsd, settings: dict[str, object], count: int) -> None:
    dataset = NsdDataset(_config(whole, **settings))
    assert len(dataset.targets) == count
    assert next(iter(dataset.response_blocks()))[1].shape[1] == count


def test_a_mask_that_keeps_nothing(whole: Nsd) -> None:
    with pytest.raises(DataError, match="keeps nothing"):
        NsdDataset(_config(whole, mask="floc-faces", floc_threshold=1e6))


def test_a_mask_from_a_file(whole: Nsd, tmp_path: Path) -> None:
    mask = np.zeros(60, dtype=bool)
    mask[[2, 31, 59]] = True
    np.save(tmp_path / "mask.npy", mask)
    config = _config(whole, mask="file", mask_file=str(tmp_path / "mask.npy"))
    targets = NsdDataset(config).targets
    assert targets["vertex"].tolist() == [2, 1, 29]
    assert targets["hemisphere"].tolist() == ["lh", "rh", "rh"]


def test_the_supplied_ceiling(whole: Nsd) -> None:
    dataset = NsdDataset(_config(whole))
    kept = [np.flatnonzero(LABELS["nsdgeneral"]("fsaverage", side) > 0) for side in ("lh", "rh")]
    expected = [
        ncsnr("fsaverage", side)[places]
        for side, places in zip(layout.HEMISPHERES, kept, strict=True)
    ]
    supplied = dataset.supplied_ncsnr
    assert supplied is not None
    assert supplied.dtype == np.float32
    np.testing.assert_array_equal(supplied, np.concatenate(expected))
    assert NsdDataset(_config(whole, ncsnr=SuppliedCeiling.none)).supplied_ncsnr is None


def test_the_ncsnr_of_another_subject_is_refused(small: Callable[..., Nsd]) -> None:
    nsd = small()
    write_map(layout.ncsnr(nsd.root, "subj01", "fsaverage", "b3", "rh"), np.ones(29))
    with pytest.raises(DataError, match="another shape than the betas"):
        _ = NsdDataset(_config(nsd)).supplied_ncsnr


@pytest.mark.parametrize("policy", POLICIES)
def test_lost_vertices(small: Callable[..., Nsd], policy: NanPolicy) -> None:
    nsd = small()
    _spoil(nsd, 3, [9, 12])
    dataset = NsdDataset(_config(nsd, nan_policy=policy, ncsnr=SuppliedCeiling.none))
    assert len(dataset.targets) == (45 if policy is NanPolicy.drop_targets else 47)
    if policy is NanPolicy.refuse:
        with pytest.raises(DataError, match="no data in this session") as caught:
            list(dataset.response_blocks())
        assert "rh.betas_session03.mgh" in str(caught.value)
        assert "target 26 (2 targets)" in str(caught.value)
        assert "nan_policy=drop_targets" in str(caught.value)
        return
    values = np.concatenate([block for _, block in dataset.response_blocks()])
    assert np.isfinite(values).all()
    if policy is NanPolicy.zero:
        assert (values[30:45][:, [26, 29]] == 0).all()
        assert (values[:30][:, [26, 29]] != 0).any()
        assert "set to zero" in dataset.description.description
    else:
        right = dataset.targets[dataset.targets["hemisphere"] == "rh"]
        assert not {9, 12} & set(right["vertex"])
        assert "2 targets without data" in dataset.description.description


def test_targets_without_a_ceiling_are_dropped_with_the_lost(small: Callable[..., Nsd]) -> None:
    nsd = small("func1mm", "hdf5")  # integers hold no NaN: ncsnr tells what was lost
    config = _config(nsd, space=NsdSpace.func1mm, nan_policy=NanPolicy.drop_targets)
    dataset = NsdDataset(config)
    assert 23 not in dataset.targets["vertex"].tolist()
    assert len(dataset.targets) == 18
    supplied = dataset.supplied_ncsnr
    assert supplied is not None
    assert np.isfinite(supplied).all()


def test_a_nan_in_the_middle_of_a_session_is_refused(small: Callable[..., Nsd]) -> None:
    nsd = small()
    _spoil(nsd, 2, [20], slice(4, 6))
    dataset = NsdDataset(_config(nsd, nan_policy=NanPolicy.drop_targets))
    with pytest.raises(DataError, match="NaN at trial 4"):
        list(dataset.response_blocks())


def test_sessions_of_different_shape(small: Callable[..., Nsd]) -> None:
    from tests.nsd_files import write_betas

    nsd = small()
    path = layout.betas(nsd.root, "subj01", "fsaverage", "b3", 2, hemisphere="rh")
    write_betas(path, "mgh", "nativesurface", nsd.session_ids(2), "rh")
    with pytest.raises(DataError, match="another shape than the others"):
        NsdDataset(_config(nsd))
    write_betas(path, "mgh", "fsaverage", nsd.session_ids(2)[:-1], "rh")
    with pytest.raises(DataError, match="another shape than the others"):
        NsdDataset(_config(nsd))


def test_a_session_that_is_cut_short_on_both_sides(small: Callable[..., Nsd]) -> None:
    from tests.nsd_files import write_betas

    nsd = small()
    for side in layout.HEMISPHERES:
        path = layout.betas(nsd.root, "subj01", "fsaverage", "b3", 4, hemisphere=side)
        write_betas(path, "mgh", "fsaverage", nsd.session_ids(4)[:-2], side)
    with pytest.raises(DataError, match="session 4 has another number of betas than of trials"):
        NsdDataset(_config(nsd))


def test_description_and_origin(whole: Nsd, small: Callable[..., Nsd]) -> None:
    dataset = open_dataset(_config(whole, sessions=[2, 4]))
    about = dataset.description
    assert (about.name, about.space, about.units) == ("NSD subj01", "fsaverage", "% signal change")
    assert "2 of 4 sessions" in about.description
    assert "betas_fithrf_GLMdenoise_RR" in about.description
    assert not about.simulated
    path, place = dataset.response_origin(17)
    assert path.name == "lh.betas_session04.mgh"
    assert place == "trial 2 of session 4"
    nsd = small()
    layout.simulated(nsd.root).write_text("{}")
    made = NsdDataset(_config(nsd))
    assert made.description.simulated
    assert made.files.all()["SIMULATED.json"] == layout.simulated(nsd.root)
    assert "4 sessions" in made.description.description


def test_images_and_captions(whole: Nsd) -> None:
    dataset = NsdDataset(_config(whole))
    assert dataset.images["image"].tolist() == sorted(set(whole.shown().tolist()))
    first = int(dataset.images["image"].iloc[0])
    assert dataset.images["source"].iloc[0] == f"coco/{9000 + 7 * first}"
    assert set(dataset.captions) == {str(image) for image in dataset.images["image"]}
    assert dataset.categories[str(first)] == ["cake"]  # the crop cuts the cat off
    assert set(dataset.categories) == set(dataset.captions)
    assert {path.name for path in dataset.files.instances.values()} <= {
        name.rpartition("/")[2] for name in dataset.files.all()
    }


def test_shared_images_as_splits(small: Callable[..., Nsd]) -> None:
    nsd = small(n_sessions=40, per_session=5)  # no subject with 30 sessions sees the last ten
    dataset = NsdDataset(_config(nsd))
    shown, shared = nsd.shown(), set(nsd.shared.tolist())
    first = shown[: 30 * 5].tolist()
    thrice = {image for image in shared if first.count(image) >= 3}
    by_all = {image for image in shared if shown.tolist().count(image) >= 3}
    assert thrice != by_all, "the fabricated order cannot tell the two apart"
    expected = {"shared1000": shared & set(shown.tolist()), "shared515": thrice}
    for name, test in expected.items():
        sides = dataset.splits[name]
        assert set(sides["test"]) == test
        assert set(sides["train"]) == set(shown.tolist()) - test


def test_the_command_prepares_it(whole: Nsd, tmp_path: Path) -> None:
    words = [f"dataset.root={whole.root}", f"paths.root={tmp_path}", "dataset.sessions=[1,2]"]
    ran = neuroattn("prepare", "dataset=nsd", "dataset.rois=[prf-visualrois]", *words)
    assert ran.code == 0, ran.err
    prepared = Prepared(Artefact(ran.path))
    np.testing.assert_array_equal(prepared.trials["image"], whole.shown()[:30])
    parts = [
        betas(whole.shown()[:30], np.flatnonzero(LABELS["nsdgeneral"]("fsaverage", side) > 0), side)
        for side in layout.HEMISPHERES
    ]
    np.testing.assert_allclose(
        prepared.responses(), np.concatenate(parts, axis=1), rtol=2e-3, atol=2e-3
    )
    assert "V1v" in set(prepared.targets["rois"])
    assert "NSD subj01" in prepared.artefact.methods
