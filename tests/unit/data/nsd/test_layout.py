"""File names of NSD."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from neuroattn.data.nsd import layout

ROOT = Path("/r")


def test_names_of_betas() -> None:
    folder = "/r/nsddata_betas/ppdata/subj02"
    names = {
        layout.betas(ROOT, "subj02", "func1pt8mm", "b1", 3): "func1pt8mm/betas_assumehrf/"
        "betas_session03.nii.gz",
        layout.betas(ROOT, "subj02", "func1mm", "b2", 40, format="hdf5"): "func1mm/betas_fithrf/"
        "betas_session40.hdf5",
        layout.betas(ROOT, "subj02", "fsaverage", "b3", 7, hemisphere="lh"): "fsaverage/"
        "betas_fithrf_GLMdenoise_RR/lh.betas_session07.mgh",
        layout.betas(ROOT, "subj02", "nativesurface", "b2", 1, hemisphere="rh"): "nativesurface/"
        "betas_fithrf/rh.betas_session01.hdf5",
        layout.betas(ROOT, "subj02", "func1mm", "b3", 1, trial_set="synthetic"): "func1mm/"
        "nsdsyntheticbetas_fithrf_GLMdenoise_RR/betas_nsdsynthetic.nii.gz",
        layout.betas(ROOT, "subj02", "func1mm", "b2", 1, trial_set="imagery_seen"): "func1mm/"
        "nsdimagerybetas_fithrf/betas_nsdimagery.nii.gz",
    }
    for path, name in names.items():
        assert path == Path(f"{folder}/{name}")


def test_session_of_a_name() -> None:
    for session in (1, 7, 40):
        path = layout.betas(ROOT, "subj01", "fsaverage", "b3", session, hemisphere="lh")
        assert layout.session_of(path) == session
    assert layout.session_of(Path("lh.ncsnr.mgh")) is None


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("subj01", 1),
        ("subj08", 8),
        ("subj1", None),
        ("01", None),
        ("subj00", None),
        ("sub-01", None),
    ],
)
def test_subject_numbers(name: str, number: int | None) -> None:
    assert layout.subject_number(name) == number
    if number:
        assert layout.subject_name(number) == name


def test_files_are_found_without_heavy_imports() -> None:
    heavy = ("torch", "pandas", "scipy", "h5py", "nibabel", "sklearn")
    code = (
        "import sys\nimport neuroattn.data.nsd.files, neuroattn.data.nsd.layout\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
