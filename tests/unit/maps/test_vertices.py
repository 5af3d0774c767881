"""Targets on whole hemispheres."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.maps.vertices import SIZES, outlined, vertices_of

TARGETS = pd.DataFrame(
    {
        "target": [0, 1, 2],
        "subject": "s",
        "hemisphere": ["lh", "rh", "rh"],
        "vertex": [5, 5, 10_241],
        "rois": ["V1", "V1|FFA", ""],
    }
)


def test_values_stand_at_their_vertices_and_nowhere_else() -> None:
    places = vertices_of(TARGETS, {"space": "fsaverage5"})
    sides = places.spread(np.array([0.1, 0.2, 0.3]))
    assert sides["lh"].shape == (10_242,)
    assert sides["lh"][5] == 0.1
    assert sides["rh"][[5, 10_241]].tolist() == [0.2, 0.3]
    assert np.isfinite(sides["lh"]).sum() == 1
    assert np.isfinite(sides["rh"]).sum() == 2


def test_outlines_hold_the_members_of_each_region() -> None:
    places = vertices_of(TARGETS, {"space": "fsaverage5"})
    members = places.outlines(TARGETS["rois"], None).members
    assert list(members) == ["V1", "FFA"]
    assert np.flatnonzero(members["V1"]["lh"]).tolist() == [5]
    assert np.flatnonzero(members["FFA"]["rh"]).tolist() == [5]
    assert list(places.outlines(TARGETS["rois"], ["FFA"]).members) == ["FFA"]


def test_a_finer_mesh_is_drawn_on_its_leading_vertices() -> None:
    places = vertices_of(TARGETS, {"space": "fsaverage"})
    assert places.size == SIZES["fsaverage"] == 163_842
    assert places.outlines(TARGETS["rois"], None).members["V1"]["lh"].shape == (10_242,)


@pytest.mark.parametrize(
    ("change", "space", "message"),
    [
        ({}, "none", "no mesh"),
        ({"vertex": [5, np.nan, 6]}, "fsaverage5", "no mesh"),
        ({"vertex": [5, 5, 10_242]}, "fsaverage5", "outside"),
        ({"hemisphere": ["lh", "", "rh"]}, "fsaverage5", "outside"),
    ],
)
def test_targets_without_a_place_are_refused(
    change: dict[str, list[object]], space: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        vertices_of(TARGETS.assign(**change), {"space": space})


def test_large_regions_and_those_that_hold_others_are_outlined_only_when_asked_for() -> None:
    cells = [["ventral"]] * 52 + [["ventral", "FFA-1"]] * 8 + [["PPA"]] * 5
    cells += [["medial", "PPA"]] * 4 + [["medial"]] * 5 + [[]] * 26
    assert outlined(cells, None) == ["FFA-1", "PPA", "medial"]
    assert outlined(cells, ["ventral"]) == ["ventral"]
    with pytest.raises(ConfigError, match="region V9"):
        outlined(cells, ["ventral", "V9"])
    assert outlined([["all"]] * 5, None) == ["all"], "better large ones than none"


def test_a_stream_is_not_outlined_round_the_region_that_it_holds() -> None:
    cells = [["parietal"]] * 3 + [["parietal", "RSC"]] * 4 + [[]] * 93
    assert outlined(cells, None) == ["RSC"]


def test_subjects_at_one_vertex_are_averaged_over_those_with_a_value() -> None:
    both = pd.concat([TARGETS, TARGETS.assign(subject="t")], ignore_index=True)
    places = vertices_of(both, {"space": "fsaverage5"})
    sides = places.spread(np.array([0.1, 0.2, np.nan, 0.3, np.nan, np.nan]))
    assert places.shared
    assert places.subjects == 2
    assert sides["lh"][5] == pytest.approx(0.2)
    assert sides["rh"][5] == pytest.approx(0.2)
    assert np.isnan(sides["rh"][10_241])
