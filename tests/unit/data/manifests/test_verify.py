"""Verifying and locking: what is looked at, what is demanded, what is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroattn.core.errors import MissingDataError
from neuroattn.data.manifests.lock import read_lock
from neuroattn.data.manifests.locking import lock
from neuroattn.data.manifests.verify import manifest_of, verify
from neuroattn.data.nsd import layout
from tests.nsd_copy import clone, rewrite, write_copy


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_copy(tmp_path_factory.mktemp("source") / "nsd")


@pytest.fixture
def copy(source: Path, tmp_path: Path) -> Path:
    return clone(source, tmp_path / "nsd")


def test_a_folder_without_the_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="holds no file of"):
        verify("nsd", tmp_path)


def test_the_marker_frees_the_sizes(copy: Path) -> None:
    assert manifest_of("nsd", copy).name == "simulated"
    layout.simulated(copy).unlink()
    assert manifest_of("nsd", copy).name == "nsd"
    problems = {finding.problem for finding in verify("nsd", copy).findings}
    assert "the array has another shape" in problems
    assert "this is not the design of NSD" in problems


def test_a_subset_demands_its_files(copy: Path) -> None:
    layout.simulated(copy).unlink()
    layout.expdesign(copy).unlink()
    found = verify("nsd", copy, subset="design", subjects=("subj01",)).findings
    missing = [each.file for each in found if each.problem == "a file of the subset is missing"]
    assert missing == ["nsddata/experiments/nsd/nsd_expdesign.mat"]


def test_a_lock_covers_its_files_and_new_ones_are_checked(copy: Path, tmp_path: Path) -> None:
    path, count, findings = lock("nsd", copy, path=tmp_path / "lock.json", check=False)
    assert (findings, count) == ((), len(read_lock(path).files))
    name = layout.betas(copy, "subj01", "fsaverage", "b2", 1, hemisphere="lh")
    name.parent.mkdir(parents=True)
    name.write_bytes(b"<html></html>")
    report = verify("nsd", copy, lock=read_lock(path), structure=False)
    assert report.locked == count == report.files - 1
    assert "a server's answer was saved in place of the file" in [
        finding.problem for finding in report.findings
    ]


def test_a_damaged_copy_is_not_locked(copy: Path) -> None:
    rewrite(layout.ctab(copy, "subj01", "prf-visualrois"), b"nothing\n")
    path, count, findings = lock("nsd", copy)
    assert count == 0
    assert findings
    assert not path.exists()


def test_a_lock_is_kept_unless_it_is_renewed(copy: Path) -> None:
    path, count, _ = lock("nsd", copy, check=False)
    before = path.read_text()
    rewrite(layout.coco_annotations(copy, "train2017"), b"{}")
    assert lock("nsd", copy, check=False)[2][0].problem == "the file differs from its lock"
    assert path.read_text() == before
    assert lock("nsd", copy, check=False, renew=True)[1:] == (count, ())
    assert path.read_text() != before


def test_part_of_a_copy_is_added_to_its_lock(copy: Path) -> None:
    path, few, _ = lock("nsd", copy, subset="fsaverage", subjects=("subj01",), check=False)
    assert len(read_lock(path).files) == few
    _, more, _ = lock("nsd", copy, check=False)
    assert len(read_lock(path).files) == more > few
