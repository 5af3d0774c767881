"""Where things are planted."""

from __future__ import annotations

import numpy as np
import pytest

from neuroattn.data.simulate import atlas
from neuroattn.data.simulate.cortex import PER_ROI, Cortex, plan_cortex
from neuroattn.data.simulate.retinotopy import FIELD_DEGREES, retinotopy
from neuroattn.data.simulate.rois import VISUAL_AREAS, Kind, label_names, load_rois
from neuroattn.surface.coordinates import HEMISPHERES, to_mni305
from neuroattn.surface.meshes import N_VERTICES, load_mesh, mid_surface


@pytest.fixture(scope="module")
def cortex() -> Cortex:
    return plan_cortex(0, 1)


def side(cortex: Cortex, name: str, number: int) -> np.ndarray:
    members = cortex.members(name)
    return cortex.vertex(members[members // cortex.per_hemisphere == number])


def test_every_region_has_about_36_vertices_in_each_hemisphere(cortex):
    for roi in load_rois():
        for number in range(2):
            assert 29 <= len(side(cortex, roi.name, number)) <= 40, roi.name
    assert 2300 <= len(cortex.planted) <= 2500


def test_no_region_is_on_the_medial_wall(cortex):
    assert cortex.cortex[cortex.planted].all()


def test_regions_lie_around_their_peaks(cortex):
    for roi in load_rois():
        if roi.peak is None:
            continue
        for number, hemisphere in enumerate(HEMISPHERES):
            points = mid_surface(hemisphere).coordinates[side(cortex, roi.name, number)]
            peak = to_mni305(roi.peak_in(hemisphere))
            assert np.linalg.norm(points - peak, axis=1).min() < 9, roi.name
            assert np.linalg.norm(points.mean(axis=0) - peak) < 12, roi.name


def test_the_right_hemisphere_is_on_the_right(cortex):
    for name in ("FFA-1", "EBA", "V1v", "PCC"):
        for number, sign in ((0, -1), (1, 1)):
            x = load_mesh(HEMISPHERES[number]).coordinates[side(cortex, name, number), 0]
            assert np.mean(np.sign(x) == sign) > 0.9


def test_the_left_cortex_sees_the_right_field(cortex):
    early = np.isfinite(cortex.x)
    left = np.arange(len(cortex.x)) < cortex.per_hemisphere
    assert (cortex.x[early & left] >= 0).all()
    assert (cortex.x[early & ~left] <= 0).all()


def test_ventral_areas_see_the_upper_field_and_hv4_both():
    template = retinotopy("lh")
    for number, name in enumerate(VISUAL_AREAS):
        y = template.y[template.area == number]
        if name.endswith("v"):
            assert (y >= 0).all()
        elif name.endswith("d"):
            assert (y <= 0).all()
        else:
            assert y.min() < -1 < 1 < y.max()


def test_dorsal_lies_above_ventral_and_areas_follow_one_another():
    template, points = retinotopy("rh"), load_mesh("rh").coordinates
    height = [points[template.area == number, 2].mean() for number in range(6)]
    v1v, v1d, v2v, v2d, v3v, v3d = height
    assert v3d > v2d > v1d > v1v > max(v2v, v3v)
    lateral = [points[template.area == number, 0].mean() for number in (2, 4, 6)]
    assert lateral == sorted(lateral)  # V2v, V3v, hV4 run outwards


def test_receptive_fields_are_inside_the_picture_and_one_to_two_degrees_wide():
    template = retinotopy("lh")
    inside = template.area >= 0
    assert (np.abs(template.x[inside]) < FIELD_DEGREES / 2).all()
    assert (np.abs(template.y[inside]) < FIELD_DEGREES / 2).all()
    assert template.width[inside].min() >= 1.0
    assert template.width[inside].max() <= 2.0


def test_eccentricity_grows_away_from_the_pole():
    template, sphere = retinotopy("lh"), load_mesh("lh", "sphere").coordinates
    v1 = template.area == 0
    eccentricity = np.hypot(template.x, template.y)[v1]
    far = np.linalg.norm(sphere[v1] - sphere[v1][np.argmin(eccentricity)], axis=1)
    assert np.corrcoef(eccentricity, far)[0, 1] > 0.8


def test_the_second_subject_has_other_positions(cortex):
    other = plan_cortex(0, 2)
    shared = np.intersect1d(cortex.planted, other.planted)
    assert not np.array_equal(cortex.roi, other.roi)
    assert len(shared) > 0.4 * len(cortex.planted)  # the same brain areas all the same


def test_positions_depend_on_nothing_but_the_seed():
    first, second = plan_cortex(1, 2), plan_cortex(1, 2)
    assert np.array_equal(first.roi, second.roi)


def test_a_coarser_cortex_holds_the_leading_vertices(cortex):
    coarse = plan_cortex(0, 1, 642)
    assert np.array_equal(coarse.roi[:642], cortex.roi[:642])
    assert np.array_equal(coarse.roi[642:], cortex.roi[N_VERTICES : N_VERTICES + 642])


def test_a_region_never_takes_more_than_its_share(cortex):
    late = [roi.name for roi in load_rois() if roi.kind is not Kind.early]
    assert max(len(side(cortex, name, 0)) for name in late) == PER_ROI


def test_labels_name_the_planted_regions(cortex):
    for collection in ("prf-visualrois", "floc-faces", "floc-words"):
        values = atlas.labels(cortex, collection)
        for label, name in label_names(collection).items():
            assert np.array_equal(np.flatnonzero(values == label), cortex.members(name))


def test_the_group_atlases_hold_the_regions_and_null_vertices(cortex):
    general = atlas.labels(cortex, "nsdgeneral")
    assert general.sum() == pytest.approx(0.1159 * 2 * N_VERTICES, rel=0.01)
    assert (general[cortex.members("FFA-1")] == 1).mean() > 0.95
    assert not general[cortex.members("aMPFC")].any()
    assert (cortex.roi[general == 1] < 0).mean() > 0.1
    streams = atlas.labels(cortex, "streams")
    assert (streams[cortex.members("V1v")] == 1).all()
    assert (streams[cortex.members("FFA-1")] == 5).all()


def test_localiser_maps_are_high_in_their_regions_alone(cortex):
    t = atlas.t_map(cortex, "floc-faces", seed=0, subject=1)
    assert np.median(t[cortex.members("FFA-1")]) > 6
    assert abs(np.median(t[cortex.members("PPA")])) < 1
    assert (t[~cortex.cortex] == 0).all()


def test_every_region_has_a_source():
    for roi in load_rois():
        assert len(roi.source) > 10, roi.name
