"""Algonauts and LAION-fMRI copies: sound ones pass, contradictions are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from neuroattn.data.manifests.verify import verify

SUBJECT, ROWS = "subj01", 6
COLUMNS = {"lh": 5, "rh": 4}
LAION = "derivatives/glmsingle-tedana/sub-01"


@pytest.fixture
def algonauts(tmp_path: Path) -> Path:
    root = tmp_path / "algonauts"
    (root / SUBJECT / "training_split" / "training_images").mkdir(parents=True)
    (root / SUBJECT / "training_split" / "training_fmri").mkdir()
    (root / SUBJECT / "roi_masks").mkdir()
    (root / "SIMULATED.json").write_text("{}")
    for row in range(ROWS):
        _picture(root, row + 1, 10 * row)
    for side, columns in COLUMNS.items():
        np.save(_fmri(root, side), np.ones((ROWS, columns), np.float32))
        masks = root / SUBJECT / "roi_masks"
        np.save(masks / f"{side}.streams_challenge_space.npy", np.arange(columns))
        whole = np.arange(20) < columns
        np.save(masks / f"{side}.all-vertices_fsaverage_space.npy", whole.astype(int))
    return root


def _picture(root: Path, number: int, image: int) -> Path:
    from PIL import Image

    folder = root / SUBJECT / "training_split" / "training_images"
    path = folder / f"train-{number:04d}_nsd-{image:05d}.png"
    Image.new("RGB", (2, 2), (image, 0, 0)).save(path)
    return path


def _fmri(root: Path, side: str) -> Path:
    return root / SUBJECT / "training_split" / "training_fmri" / f"{side}_training_fmri.npy"


def _less_pictures(root: Path) -> str:
    next((root / SUBJECT / "training_split" / "training_images").iterdir()).unlink()
    return "training_fmri.npy"


def _disorder(root: Path) -> str:
    _picture(root, ROWS + 1, 3)
    return "training_images"


def _lose_side(root: Path) -> str:
    _fmri(root, "rh").unlink()
    return "rh_training_fmri.npy"


def _swap_sides(root: Path) -> str:
    for side, columns in COLUMNS.items():
        np.save(_fmri(root, side), np.ones((ROWS, 9 - columns), np.float32))
    return "streams_challenge_space.npy"


def _nan(root: Path) -> str:
    np.save(_fmri(root, "lh"), np.full((ROWS, 5), np.nan, np.float32))
    return "lh_training_fmri.npy"


def _vertices(root: Path) -> str:
    np.save(root / SUBJECT / "roi_masks" / "lh.all-vertices_fsaverage_space.npy", np.ones(20))
    return "lh.all-vertices_fsaverage_space.npy"


def test_a_sound_algonauts_copy_passes(algonauts: Path) -> None:
    report = verify("algonauts2023", algonauts)
    assert report.findings == ()
    assert report.files == ROWS + 6


@pytest.mark.parametrize(
    "damage", [_less_pictures, _disorder, _lose_side, _swap_sides, _nan, _vertices]
)
def test_algonauts_contradictions_are_named(damage: Callable[[Path], str], algonauts: Path) -> None:
    due = damage(algonauts)
    findings = verify("algonauts2023", algonauts).findings
    assert any(finding.file.endswith(due) and finding.remedy for finding in findings)


def test_the_real_sizes_are_demanded(algonauts: Path) -> None:
    (algonauts / "SIMULATED.json").unlink()
    problems = {finding.problem for finding in verify("algonauts2023", algonauts).findings}
    assert {"the array has another shape", "pictures are missing"} <= problems


@pytest.fixture
def laion(tmp_path: Path) -> Path:
    root = tmp_path / "laion"
    for session, trials in (("ses-01", 3), ("ses-02", 4)):
        _session(root, session, (2, 2, 2, trials), trials)
    return root


def _session(root: Path, session: str, shape: tuple[int, ...], rows: int) -> None:
    folder = root / LAION / session / "func"
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"sub-01_{session}_task-images"
    betas = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    name = f"{stem.name}_space-T1w_stat-effect_desc-SingletrialBetas_statmap.nii.gz"
    nib.save(nib.Nifti1Image(betas, np.eye(4)), folder / name)
    lines = ["label\tbeta_index", *(f"image{row}\t{row}" for row in range(rows))]
    table = folder / f"{stem.name}_desc-SingletrialBetas_trials.tsv"
    table.write_text("\n".join(lines) + "\n")


def test_a_sound_laion_copy_passes(laion: Path) -> None:
    assert verify("laion_fmri", laion).findings == ()


def test_laion_contradictions_are_named(laion: Path) -> None:
    _session(laion, "ses-02", (2, 2, 2, 4), 3)
    _session(laion, "ses-03", (2, 2, 3, 2), 2)
    next((laion / LAION / "ses-01/func").glob("*_trials.tsv")).unlink()
    found = {finding.problem for finding in verify("laion_fmri", laion).findings}
    assert found == {
        "the table has another number of trials than the betas",
        "the betas have another grid",
        "a session has betas and no table of trials",
    }
