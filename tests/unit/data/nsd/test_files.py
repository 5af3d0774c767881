"""Which files make a dataset, and what is said where one is missing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from neuroattn.core.config import science_values, walk
from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from neuroattn.data.files import of_all_subjects
from neuroattn.data.nsd import layout
from neuroattn.data.nsd.files import find, leaves
from neuroattn.data.registry import NsdConfig, NsdFormat, NsdSpace, SuppliedCeiling
from tests.nsd_files import Nsd


def _config(nsd: Nsd, **settings: object) -> NsdConfig:
    return NsdConfig(root=str(nsd.root), **{"rois": ["prf-visualrois"], **settings})


def test_leaves_are_every_file_that_is_read(whole: Nsd) -> None:
    named = leaves(_config(whole))
    assert all(whole.root / name == path for name, path in named.items())
    for name in (
        "nsddata/experiments/nsd/nsd_expdesign.mat",
        "nsddata/experiments/nsd/nsd_stim_info_merged.csv",
        "nsddata/ppdata/subj01/behav/responses.tsv",
        "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5",
        "nsddata_stimuli/stimuli/nsd/annotations/captions_val2017.json",
        "nsddata_betas/ppdata/subj01/fsaverage/betas_fithrf_GLMdenoise_RR/rh.betas_session04.mgh",
        "nsddata_betas/ppdata/subj01/fsaverage/betas_fithrf_GLMdenoise_RR/lh.ncsnr.mgh",
        "nsddata/freesurfer/fsaverage/label/rh.prf-visualrois.mgz",
        "nsddata/freesurfer/fsaverage/label/lh.nsdgeneral.mgz",
        "nsddata/freesurfer/fsaverage/label/prf-visualrois.mgz.ctab",
    ):
        assert name in named
    assert sum("betas_session" in name for name in named) == 2 * whole.n_sessions
    assert not any("func1" in name or "tval" in name for name in named)


def test_only_the_sessions_asked_for(whole: Nsd) -> None:
    assert sorted(find(_config(whole, sessions=[3, 1])).sessions) == [1, 3]


def test_the_threshold_adds_the_maps(whole: Nsd) -> None:
    named = leaves(_config(whole, rois=["floc-faces"], floc_threshold=2.0))
    assert "nsddata/freesurfer/fsaverage/label/lh.flocfacestval.mgz" in named


def test_the_more_complete_format_is_taken(small: Callable[..., Nsd]) -> None:
    nsd = small("func1mm", "hdf5")
    nsd.write_betas("func1mm", "nifti", [1])
    assert find(_config(nsd, space=NsdSpace.func1mm)).format == "hdf5"
    nsd.write_betas("func1mm", "nifti")
    assert find(_config(nsd, space=NsdSpace.func1mm)).format == "nifti"
    forced = _config(nsd, space=NsdSpace.func1mm, format=NsdFormat.hdf5)
    assert find(forced).format == "hdf5"


def test_a_hole_in_the_sessions_is_no_early_release(small: Callable[..., Nsd]) -> None:
    nsd = small()
    for side in layout.HEMISPHERES:
        layout.betas(nsd.root, "subj01", "fsaverage", "b3", 2, hemisphere=side).unlink()
    with pytest.raises(MissingDataError, match="betas of sessions are missing") as caught:
        find(_config(nsd))
    assert "no file of session 2" in str(caught.value)
    assert sorted(find(_config(nsd, sessions=[1, 3])).sessions) == [1, 3]


def test_one_side_missing(small: Callable[..., Nsd]) -> None:
    nsd = small()
    gone = layout.betas(nsd.root, "subj01", "fsaverage", "b3", 3, hemisphere="rh")
    gone.unlink()
    with pytest.raises(MissingDataError) as caught:
        find(_config(nsd))
    assert "rh.betas_session03.mgh" in str(caught.value)


def test_a_stub_is_named(small: Callable[..., Nsd]) -> None:
    nsd = small()
    path = layout.betas(nsd.root, "subj01", "fsaverage", "b3", 1, hemisphere="lh")
    path.write_bytes(b"../../.git/annex/objects/xx/MD5E-s1--abc.mgh/MD5E-s1--abc.mgh")
    with pytest.raises(MissingDataError, match="was not fetched"):
        find(_config(nsd))
    path.unlink()
    path.symlink_to("/nowhere/annex")
    with pytest.raises(MissingDataError, match="was not fetched"):
        find(_config(nsd))


@pytest.mark.parametrize(
    ("gone", "fix"),
    [
        (layout.expdesign, "fetch it"),
        (layout.stimuli, "fetch it"),
        (lambda r: layout.ncsnr(r, "subj01", "fsaverage", "b3", "lh"), "dataset.ncsnr=none"),
        (lambda r: layout.roi_surface(r, "fsaverage", "nsdgeneral", "rh"), "dataset.mask"),
    ],
)
def test_a_missing_file_is_named_with_a_remedy(
    small: Callable[..., Nsd], gone: Callable[..., object], fix: str
) -> None:
    nsd = small()
    path = gone(nsd.root)
    path.unlink()
    with pytest.raises(MissingDataError) as caught:
        find(_config(nsd))
    assert str(path) in str(caught.value)
    assert fix in str(caught.value)


def test_optional_files(small: Callable[..., Nsd]) -> None:
    nsd = small()
    for path in (
        layout.responses(nsd.root, "subj01"),
        layout.stim_info(nsd.root),
        *(layout.ncsnr(nsd.root, "subj01", "fsaverage", "b3", side) for side in ("lh", "rh")),
    ):
        path.unlink()
    files = find(_config(nsd, ncsnr=SuppliedCeiling.none))
    assert (files.behaviour, files.stim_info, files.ncsnr, files.captions) == (None, None, (), {})


def test_half_of_the_captions_are_none(small: Callable[..., Nsd]) -> None:
    nsd = small()
    nsd.write_coco()
    assert set(find(_config(nsd)).captions) == set(layout.COCO_SPLITS)
    layout.coco_annotations(nsd.root, "val2017").unlink()
    assert find(_config(nsd)).captions == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"root": None}, "the folder of NSD is not set"),
        ({"subjects": ["sub-01"]}, "this is no subject of NSD"),
        ({"format": NsdFormat.nifti}, "do not come as nifti"),
        ({"mask": "file"}, "go together"),
        ({"mask_file": "/nowhere.npy"}, "go together"),
        ({"space": NsdSpace.func1mm, "betas": "b1"}, "there are no betas"),
        ({"subjects": ["subj07"]}, "there are no betas b3 of subj07 in fsaverage"),
        ({"root": "/"}, "this is not the folder of NSD"),
    ],
)
def test_settings_that_lead_nowhere(whole: Nsd, settings: dict[str, object], message: str) -> None:
    from neuroattn.data.registry import NsdBetas

    if settings.get("betas") == "b1":
        settings = {**settings, "betas": NsdBetas.b1}
    config = _config(whole)
    for key, value in settings.items():
        setattr(config, key, value)
    with pytest.raises((ConfigError, MissingDataError), match=message):
        find(config)


def test_subjects_are_named_once_and_bring_their_files(whole: Nsd) -> None:
    for subjects in ([], ["subj01", "subj01"]):
        with pytest.raises(ConfigError, match="each once"):
            NsdConfig(subjects=subjects)
    assert science_values(walk(NsdConfig(subjects=["subj01"])), ("subjects",)) == {}
    two = _config(whole, subjects=["subj01", "subj02"])
    assert science_values(walk(two), ("subjects",)) == {"subjects": ["subj01", "subj02"]}
    found = of_all_subjects(two, lambda one: {one.subjects[0]: whole.root})
    assert found == {"subj01": whole.root, "subj02": whole.root}
    with pytest.raises(ConfigError, match="each session once"):
        NsdConfig(sessions=[1, 1])


def test_a_mask_of_another_kind(whole: Nsd, tmp_path: object) -> None:
    path = whole.root.parent / "mask.csv"
    path.write_text("1\n")
    with pytest.raises(DataError, match="a mask of this kind"):
        find(_config(whole, mask="file", mask_file=str(path)))
    np.save(path.with_suffix(".npy"), np.ones(60))
    config = _config(whole, mask="file", mask_file=str(path.with_suffix(".npy")))
    assert leaves(config)["mask"] == path.with_suffix(".npy")


def test_native_labels_reach_fsaverage_through_the_transform(small: Callable[..., Nsd]) -> None:
    nsd = small()
    nsd.write_maps("nativesurface")
    from tests.nsd_files import write_map

    assert find(_config(nsd)).labels["prf-visualrois"].nearest == ()
    for side in layout.HEMISPHERES:
        path = layout.to_fsaverage(nsd.root, "subj01", side)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_map(path, np.arange(30) % 17 + 1)
    labels = find(_config(nsd)).labels
    assert len(labels["prf-visualrois"].nearest) == 2  # drawn in the subject
    assert labels["nsdgeneral"].nearest == ()  # drawn on fsaverage
