"""A LAION-fMRI-shaped dataset: the second proof that readers share one interface."""

from __future__ import annotations

import io
import json
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from neuroattn.core.errors import ConfigError, DataError, LeakError, MissingDataError
from neuroattn.data.laion_fmri import LaionFmriDataset
from neuroattn.data.laion_fmri_files import leaves
from neuroattn.data.registry import LaionFmriConfig, NanPolicy
from tests.chain import neuroattn
from tests.nsd_files import picture

SHAPE = (3, 4, 2)
NAMES = [f"{'shared' if n < 5 else 'sub-01'}_4rep_{n}.jpg" for n in range(9)]
SHOWN = {1: [7, 0, 3, 0, 8], 3: [1, 7, 2, 2]}  # image by trial; sessions differ in length
NAN_VOXEL = 10


def _beta(image: int, voxel: np.ndarray) -> np.ndarray:
    return image * 100 + voxel


def _nifti(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values.astype(np.float32), np.eye(4)), path)


def _volume(flat: np.ndarray) -> np.ndarray:
    return np.asarray(flat, dtype=np.float32).reshape(SHAPE, order="F")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "laion"
    folder = made / "derivatives" / "glmsingle-tedana" / "sub-01"
    voxels = np.arange(24)
    for session, images in SHOWN.items():
        values = np.stack([_volume(_beta(image, voxels)) for image in images], axis=-1)
        if session == 3:
            values.reshape(24, -1, order="F")[NAN_VOXEL] = np.nan
        stem = f"sub-01_ses-{session:02d}_task-images"
        func = folder / f"ses-{session:02d}" / "func"
        _nifti(func / f"{stem}_space-T1w_stat-effect_desc-SingletrialBetas_statmap.nii.gz", values)
        lines = ["session\trun\tbeta_index\tlabel"] + [
            f"ses-{session:02d}\trun-{1 + place // 3:02d}\t{place}\t{NAMES[image]}"
            for place, image in enumerate(images)
        ]
        (func / f"{stem}_desc-SingletrialBetas_trials.tsv").write_text("\n".join(lines) + "\n")
    space = "sub-01_task-images_space-T1w"
    _nifti(folder / f"{space}_desc-meanR2gt15mask_mask.nii.gz", _volume(voxels >= 6))
    _nifti(folder / f"{space}_desc-Noiseceiling4rep_statmap.nii.gz", _volume(voxels * 4))
    rois = made / "derivatives" / "rois" / "sub-01"
    _nifti(rois / "face" / "sub-01_space-T1w_label-FFA1_mask.nii.gz", _volume(voxels % 4 == 0))
    _nifti(rois / "face" / "sub-01_space-T1w_hemi-L_label-FFA1_mask.nii.gz", _volume(voxels < 3))
    _nifti(rois / "ret" / "sub-01_space-T1w_label-V1v_mask.nii.gz", _volume(voxels % 6 == 0))
    stimuli = made / "stimuli"
    stimuli.mkdir()
    rows = "".join(f"{name},LAION,n/a\n" for name in NAMES)
    (stimuli / "task-images_metadata.csv").write_text("image_name,dataset,participant\n" + rows)
    captions = f'{NAMES[7]},1,a dog\n{NAMES[0]},1,"a cat, asleep"\n{NAMES[7]},2,a black dog\n'
    (stimuli / "task-images_desc-captions.csv").write_text(
        "image_name,caption_idx,caption\n" + captions
    )
    with h5py.File(stimuli / "task-images_stimuli.h5", "w") as file:
        images = file.create_dataset("images", (9,), dtype=h5py.vlen_dtype(np.uint8))
        for image in range(9):
            stream = io.BytesIO()
            Image.fromarray(picture(np.array([image]))[0]).save(stream, "PNG")
            images[image] = np.frombuffer(stream.getvalue(), dtype=np.uint8)
    for pool, name, train, test in (
        ("sub-01", "tau", [7, 8, 0], [3, 2]),
        ("sub-01", "ood", [0, 1], [5]),
        ("shared", "tau", [0, 1], [2, 4]),
    ):
        path = made / "splits" / pool / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        sides = {"train_ids": [NAMES[i] for i in train], "test_ids": [NAMES[i] for i in test]}
        path.write_text(json.dumps({"name": name, "variants": [{"variant_id": 0, **sides}]}))
    return made


def _open(root: Path, **settings: object) -> LaionFmriDataset:
    return LaionFmriDataset(LaionFmriConfig(root=str(root), **settings))


def test_trials_betas_and_pictures_agree(root: Path) -> None:
    dataset = _open(root, block_mib=1)
    shown = [*SHOWN[1], *SHOWN[3]]
    assert dataset.trials["image"].tolist() == shown
    assert dataset.trials["session"].tolist() == [1] * 5 + [3] * 4
    assert dataset.trials["run"].tolist() == [1, 1, 1, 2, 2, 1, 1, 1, 2]
    assert dataset.trials["repeat"].tolist() == [1, 1, 1, 2, 1, 1, 2, 1, 2]
    values = np.concatenate([values for _, values in dataset.response_blocks()])
    kept = [voxel for voxel in range(6, 24) if voxel != NAN_VOXEL]
    np.testing.assert_array_equal(values, [_beta(image, np.array(kept)) for image in shown])
    assert dataset.targets["vertex"].tolist() == kept
    assert "1 voxels without data" in dataset.description.description
    for image in range(9):
        assert dataset.stimuli.read(image)[0, 0, 0] == image
    assert dataset.images["file"].iloc[0] == f"images[0] {NAMES[0]}"
    path, place = dataset.response_origin(6)
    assert ("ses-03" in path.name, place) == (True, "volume 1")


def test_regions_captions_and_splits(root: Path) -> None:
    dataset = _open(root)
    for voxel, rois in zip(dataset.targets["vertex"], dataset.targets["rois"], strict=True):
        named = [name for name, step in (("FFA1", 4), ("V1v", 6)) if voxel % step == 0]
        assert rois == "|".join(named)
    assert dataset.captions == {"0": ["a cat, asleep"], "7": ["a dog", "a black dog"]}
    assert dataset.splits == {
        "tau": {"train": [0, 7, 8], "test": [2, 3]},
        "shared/tau": {"train": [0, 1], "test": [2]},
    }  # no image of the test side of `ood` was shown


def test_the_ceiling_is_solved_for_ncsnr(root: Path) -> None:
    dataset = _open(root)
    ncsnr = dataset.supplied_ncsnr
    assert ncsnr is not None
    share = dataset.targets["vertex"].to_numpy(dtype=float) * 4 / 100
    np.testing.assert_allclose(ncsnr**2 / (ncsnr**2 + 1 / 4), share, rtol=1e-5)
    next((root / "derivatives").rglob("*Noiseceiling4rep*")).unlink()
    assert _open(root).supplied_ncsnr is None


@pytest.mark.parametrize("policy", [NanPolicy.refuse, NanPolicy.zero])
def test_missing_data(root: Path, policy: NanPolicy) -> None:
    dataset = _open(root, nan_policy=policy)
    column = NAN_VOXEL - 6
    if policy is NanPolicy.zero:
        values = np.concatenate([values for _, values in dataset.response_blocks()])
        assert (values[5:, column] == 0).all()
        assert (values[:5, column] != 0).all()
        return
    with pytest.raises(DataError, match="voxels have no data") as caught:
        list(dataset.response_blocks())
    assert f"target {column} (1 voxels)" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "count"),
    [({"mask": "all"}, 23), ({"mask": "V1v"}, 4), ({"mask": "brain", "rois": ["FFA1"]}, 17)],
)
def test_masks(root: Path, settings: dict[str, object], count: int) -> None:
    assert len(_open(root, **settings).targets) == count


def test_the_mask_from_the_mean_fit(root: Path) -> None:
    mask = next((root / "derivatives").rglob("*meanR2gt15mask*"))
    name = "sub-01_task-images_space-T1w_stat-rsquare_desc-R2mean_statmap.nii.gz"
    mask.unlink()
    _nifti(mask.with_name(name), _volume(np.arange(24)))
    assert _open(root).targets["vertex"].tolist() == list(range(16, 24))


def test_sessions(root: Path) -> None:
    dataset = _open(root, sessions=[3])
    assert dataset.trials["image"].tolist() == SHOWN[3]
    with pytest.raises(MissingDataError, match="no session 2"):
        _open(root, sessions=[1, 2])


def test_leaves_and_the_command(root: Path, tmp_path: Path) -> None:
    named = leaves(LaionFmriConfig(root=str(root)))
    assert "splits/shared/tau.json" in named
    assert not any("hemi-L" in name for name in named)
    ran = neuroattn(
        "prepare", "dataset=laion_fmri", f"dataset.root={root}", f"paths.root={tmp_path / 'out'}"
    )
    assert ran.code == 0, ran.err
    assert (ran.path / "DONE").is_file()


def test_files_that_do_not_fit(root: Path) -> None:
    trials = next((root / "derivatives").rglob("*ses-01*trials.tsv"))
    text = trials.read_text()
    trials.write_text(text.rsplit("\n", 2)[0] + "\n")
    with pytest.raises(DataError, match="trials and the betas of a session do not fit"):
        _open(root)
    trials.write_text(text.replace(NAMES[3], "other.jpg"))
    with pytest.raises(DataError, match="does not know"):
        _open(root)
    trials.write_text(text)
    split = root / "splits" / "sub-01" / "tau.json"
    content = json.loads(split.read_text())
    content["variants"][0]["test_ids"].append(NAMES[7])
    split.write_text(json.dumps(content))
    with pytest.raises(LeakError, match="both sides"):
        _ = _open(root).splits
    split.write_text('{"variants": []}')
    with pytest.raises(DataError, match="the split has another form"):
        _ = _open(root).splits
    metadata = root / "stimuli" / "task-images_metadata.csv"
    metadata.write_text(metadata.read_text() + f"{NAMES[0]},x,y\n")
    with pytest.raises(DataError, match="listed twice"):
        _open(root)


def test_settings_that_lead_nowhere(root: Path) -> None:
    with pytest.raises(ConfigError, match="not set"):
        LaionFmriDataset(LaionFmriConfig())
    with pytest.raises(MissingDataError, match="no betas of sub-09"):
        _open(root, subjects=["sub-09"])
    with pytest.raises(ConfigError, match="no region EBA"):
        _open(root, rois=["EBA"])
    with pytest.raises(DataError):
        _open(root).stimuli.read(9)
