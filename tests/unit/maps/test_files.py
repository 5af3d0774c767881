"""Files that others read: intent, hemisphere, mesh, values, and equal bytes."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from neuroattn.maps.files import file_name, gifti_bytes, mgz_bytes

VALUES = np.array([0.1, np.nan, -0.3, 0.0])
FACTS = {"Mesh": "fsaverage5", "Units": "Pearson r", "Source": "encode/x"}


@pytest.mark.parametrize(("side", "structure"), [("lh", "CortexLeft"), ("rh", "CortexRight")])
def test_gifti_says_what_it_holds(side: str, structure: str, tmp_path: Path) -> None:
    path = tmp_path / "map.func.gii"
    path.write_bytes(gifti_bytes(VALUES, side, name="r", facts=FACTS))
    image = nib.load(path)
    (array,) = image.darrays
    np.testing.assert_array_equal(array.data, VALUES.astype(np.float32))
    assert image.meta["AnatomicalStructurePrimary"] == structure
    assert array.meta["Name"] == "r"
    assert {name: array.meta[name] for name in FACTS} == FACTS
    assert nib.nifti1.intent_codes.niistring[array.intent] == "NIFTI_INTENT_CORREL"


def test_mgz_reads_back_and_has_no_time(tmp_path: Path) -> None:
    path = tmp_path / "map.mgz"
    content = mgz_bytes(VALUES)
    path.write_bytes(content)
    data = np.asarray(nib.load(path).dataobj)
    np.testing.assert_array_equal(data[:, 0, 0], VALUES.astype(np.float32))
    assert content[4:8] == b"\0\0\0\0"
    assert gzip.decompress(content)[:4] == b"\0\0\0\1", "the MGH version, big-endian"


def test_names_follow_bids() -> None:
    assert (
        file_name("r", "lh", "fsaverage5", ".func.gii")
        == "hemi-L_space-fsaverage5_stat-r_statmap.func.gii"
    )
