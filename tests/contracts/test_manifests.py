"""Shipped manifests: their form, their names against the readers' layouts, their stages."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from neuroattn.core.resources import shipped
from neuroattn.data.manifests.load import load_manifest, manifests
from neuroattn.data.manifests.schema import Manifest
from neuroattn.data.nsd import layout
from neuroattn.pipeline.stages import catalogue

ROOT = Path("R")
NAMES = ("algonauts2023", "laion_fmri", "nsd", "simulated", "things_eeg2")


@pytest.fixture(scope="module")
def nsd() -> Manifest:
    return load_manifest("nsd")


def _paths(manifest: Manifest, id_: str) -> set[str]:
    return {entry.path for entry in manifest.entries() if entry.id == id_}


def _names(paths: list[Path]) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in paths}


def test_all_datasets_have_a_manifest() -> None:
    assert tuple(manifests()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_manifest_is_valid_and_expands(name: str) -> None:
    manifest = load_manifest(name)
    entries = list(manifest.entries())
    assert len({(entry.id, entry.path) for entry in entries}) == len(entries)
    assert all("{" not in entry.path for entry in entries)
    assert all(entry.bytes is not None for entry in entries if entry.exact)
    for text in (manifest.title, manifest.licence, manifest.terms, manifest.citation):
        assert text.strip()
    table = shipped("data_manifests") / f"{name}.files.tsv"
    assert len(table.read_text().splitlines()) == len(manifest.templates) + 1


@pytest.mark.parametrize("name", NAMES)
def test_subsets_name_stages_that_exist(name: str) -> None:
    stages = set(catalogue().stages)
    manifest = load_manifest(name)
    for subset in manifest.subsets.values():
        assert set(subset.stages) <= stages
        assert subset.about
        for stage in subset.stages:
            assert list(manifest.entries(subset, stage=stage))


def test_every_file_of_a_manifest_is_in_a_subset_or_optional(nsd: Manifest) -> None:
    used = {id_ for subset in nsd.subsets.values() for id_ in subset.ids()}
    left = [row.id for row in nsd.templates.values() if row.id not in used and row.needed]
    assert not left


@pytest.mark.parametrize("space", layout.SPACES)
def test_betas_and_ncsnr_have_the_layouts_names(space: str, nsd: Manifest) -> None:
    for kind in layout.FORMATS[space]:
        id_ = f"betas_{space}" + ("_hdf5" if kind == "hdf5" and space in layout.VOLUMES else "")
        assert _paths(nsd, id_) == _names(
            [
                layout.betas(ROOT, subject, space, version, session, hemisphere=side, format=kind)
                for subject, sizes in nsd.subjects.items()
                for version in layout.VERSIONS
                for side in layout.sides(space)
                for session in range(1, sizes["sessions"] + 1)
            ]
        )
    assert _paths(nsd, f"ncsnr_{space}") == _names(
        [
            layout.ncsnr(ROOT, subject, space, version, side)
            for subject in nsd.subjects
            for version in layout.VERSIONS
            for side in layout.sides(space)
        ]
    )


def test_labels_have_the_layouts_names(nsd: Manifest) -> None:
    atlases, collections = nsd.placeholders["atlas"], nsd.placeholders["collection"]
    both = list(itertools.product(nsd.subjects, collections, layout.HEMISPHERES))
    assert _paths(nsd, "labels_subject") == _names(
        [layout.roi_surface(ROOT, subject, name, side) for subject, name, side in both]
    )
    assert _paths(nsd, "labels_fsaverage") == _names(
        [layout.roi_surface(ROOT, "fsaverage", a, s) for a in atlases for s in layout.HEMISPHERES]
    )
    assert _paths(nsd, "ctab_subject") == _names(
        [layout.ctab(ROOT, subject, name) for subject, name, _ in both]
    )
    assert _paths(nsd, "ctab_fsaverage") == _names(
        [layout.ctab(ROOT, "fsaverage", name) for name in atlases]
    )
    for space in layout.VOLUMES:
        assert _paths(nsd, f"rois_{space}") == _names(
            [layout.roi_volume(ROOT, subject, space, name) for subject, name, _ in both]
        )
        assert _paths(nsd, f"rois_{space}_sides") == _names(
            [layout.roi_volume(ROOT, subject, space, name, side) for subject, name, side in both]
        )


def test_maps_and_transforms_have_the_layouts_names(nsd: Manifest) -> None:
    contrasts = nsd.placeholders["contrast"]
    assert set(contrasts) == set(layout.FLOC_CONTRASTS.values())
    for space in layout.VOLUMES:
        assert _paths(nsd, f"floc_{space}") == _names(
            [layout.floc_tmap(ROOT, s, space, c) for s in nsd.subjects for c in contrasts]
        )
    quantities = nsd.placeholders["quantity"]
    assert list(quantities) == list(layout.PRF_QUANTITIES)
    for space in layout.VOLUMES:
        assert _paths(nsd, f"prf_{space}") == _names(
            [layout.prf_map(ROOT, s, space, q) for s in nsd.subjects for q in quantities]
        )
    sides = list(itertools.product(nsd.subjects, layout.HEMISPHERES))
    assert _paths(nsd, "prf_subject") == _names(
        [layout.prf_map(ROOT, s, "nativesurface", q, h) for s, h in sides for q in quantities]
    )
    assert _paths(nsd, "floc_subject") == _names(
        [layout.floc_tmap(ROOT, s, "nativesurface", c, h) for s, h in sides for c in contrasts]
    )
    assert _paths(nsd, "to_fsaverage") == _names(
        [layout.to_fsaverage(ROOT, subject, side) for subject, side in sides]
    )


def test_tables_and_pictures_have_the_layouts_names(nsd: Manifest) -> None:
    subjects = list(nsd.subjects)
    expected = {
        "expdesign": [layout.expdesign(ROOT)],
        "stim_info": [layout.stim_info(ROOT)],
        "stimuli": [layout.stimuli(ROOT)],
        "responses": [layout.responses(ROOT, subject) for subject in subjects],
        "coco": [
            layout.coco_annotations(ROOT, split, kind)
            for split in layout.COCO_SPLITS
            for kind in ("captions", "instances")
        ],
        "synthetic_design": [layout.expdesign(ROOT, layout.SYNTHETIC)],
        "synthetic_stimuli": [layout.synthetic_stimuli(ROOT)],
        "synthetic_colour": [layout.synthetic_stimuli(ROOT, subject) for subject in subjects],
        "imagery_runs": [
            layout.imagery_behaviour(ROOT, subject, run)
            for subject in subjects
            for run in layout.IMAGERY_RUNS
        ],
    }
    for id_, trial_set in (("synthetic", layout.SYNTHETIC), ("imagery", layout.IMAGERY)):
        expected[f"{id_}_betas"] = [
            layout.betas(ROOT, subject, "fsaverage", version, 1, hemisphere=side,
                         trial_set=trial_set)
            for subject in subjects
            for version in layout.VERSIONS
            for side in layout.HEMISPHERES
        ]  # fmt: skip
    for id_, paths in expected.items():
        assert _paths(nsd, id_) == _names(paths), id_
    folders = {f"{path}/*" for path in _names(list(layout.imagery_pictures(ROOT)))}
    assert {
        path for letter in "abc" for path in _paths(nsd, f"imagery_pictures_{letter}")
    } == folders


def test_constants_of_the_layout_hold_in_the_manifest(nsd: Manifest) -> None:
    assert nsd.placeholders["version"] == tuple(layout.VERSIONS.values())
    assert nsd.placeholders["run"] == layout.IMAGERY_RUNS
    betas = nsd.templates["betas_fsaverage"]
    assert betas.shape == f"{layout.FSAVERAGE_VERTICES} 1 1 750"
    assert betas.dtype == layout.FSAVERAGE_DTYPE
    stimuli = nsd.templates["stimuli"].shape.split()
    assert stimuli == [*map(str, (layout.N_STIMULI, *[layout.STIMULUS_SIDE] * 2, 3))]


def test_counts_of_nsd_agree_with_each_other(nsd: Manifest) -> None:
    sizes = nsd.subjects.values()
    assert sum(each["sessions"] for each in sizes) == 284
    assert sum(each["trials"] for each in sizes) == 213_000
    assert all(each["trials"] == 750 * each["sessions"] for each in sizes)
    # Shared images are counted once; what each saw alone adds to them: 70,566 in all (data manual).
    own = sum(each["images"] - each["shared"] for each in sizes)
    assert own + max(each["shared"] for each in sizes) == 70_566


def test_known_sizes(nsd: Manifest) -> None:
    entry = next(entry for entry in nsd.entries() if entry.id == "betas_fsaverage")
    assert entry.bytes == 163_842 * 750 * 4 + 284
    volume = next(entry for entry in nsd.entries() if entry.id == "betas_func1pt8mm")
    assert volume.bytes == 352 + 81 * 104 * 83 * 750 * 2
    assert not volume.exact
    turned = next(entry for entry in nsd.entries() if entry.id == "betas_func1pt8mm_hdf5")
    assert turned.shape == (750, 83, 104, 81)


def test_simulated_names_are_those_of_nsd(nsd: Manifest) -> None:
    simulated = load_manifest("simulated")
    for id_, row in simulated.templates.items():
        if id_ not in ("marker", "truth"):
            assert row.path == nsd.templates[id_].path
    assert _paths(simulated, "marker") == _names([layout.simulated(ROOT)])
