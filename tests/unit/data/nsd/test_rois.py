"""Regions: labels, names, thresholds, and the way from a subject's surface to fsaverage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroattn.core.errors import DataError
from neuroattn.data.nsd.files import LabelFiles
from neuroattn.data.nsd.rois import joined_names, labels_of, names_of, read_ctab
from tests.nsd_files import VOLUME, write_map


def _labels(tmp_path: Path, values: list[float], **settings: object) -> LabelFiles:
    write_map(tmp_path / "lh.x.mgz", np.array(values))
    return LabelFiles("x", (tmp_path / "lh.x.mgz",), **settings)


def test_only_labels_above_zero_are_regions(tmp_path: Path) -> None:
    values = np.resize([-1.0, 0.0, 1.0, 2.0], 24)
    write_map(tmp_path / "x.nii.gz", values)
    labels = labels_of(LabelFiles("x", (tmp_path / "x.nii.gz",)), 0, VOLUME, None)
    np.testing.assert_array_equal(labels, values)
    rows = joined_names([(labels, {1: "one", 2: "two"})], 24)
    assert rows[:4] == ["", "", "one", "two"]


def test_the_threshold_is_strict_and_explicit(tmp_path: Path) -> None:
    write_map(tmp_path / "t.mgz", np.array([3.0, 2.0, 2.5, np.nan, 9.0]))
    files = _labels(tmp_path, [1, 1, 2, 1, 0], tmaps=(tmp_path / "t.mgz",))
    assert labels_of(files, 0, (5,), None).tolist() == [1, 1, 2, 1, 0]
    assert labels_of(files, 0, (5,), 2.0).tolist() == [1, 0, 2, 0, 0]
    assert labels_of(files, 0, (5,), -5.0).tolist() == [1, 1, 2, 0, 0]  # NaN is above nothing


def test_the_nearest_vertex_carries_labels_whole(tmp_path: Path) -> None:
    write_map(tmp_path / "near.mgz", np.array([3, 3, 1, 2, 9999]))
    write_map(tmp_path / "t.mgz", np.array([1.0, 5.0, 1.0]))
    files = _labels(tmp_path, [1, 2, 3], nearest=(tmp_path / "near.mgz",))
    assert labels_of(files, 0, (5, 1, 1), None).tolist() == [3, 3, 1, 2, 0]
    above = LabelFiles("x", files.parts, files.nearest, tmaps=(tmp_path / "t.mgz",))
    assert labels_of(above, 0, (5, 1, 1), 2.0).tolist() == [0, 0, 0, 2, 0]
    with pytest.raises(DataError, match="another number of vertices"):
        labels_of(files, 0, (6, 1, 1), None)
    short = _labels(tmp_path, [1, 2], nearest=files.nearest)
    with pytest.raises(DataError, match="leads outside it"):
        labels_of(short, 0, (5, 1, 1), None)


def test_maps_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="another shape than the betas"):
        labels_of(_labels(tmp_path, [1, 2, 3]), 0, (4,), None)
    with pytest.raises(DataError, match="no file of labels"):
        labels_of(_labels(tmp_path, [1, 2.5]), 0, (2,), None)
    with pytest.raises(DataError, match="no file of labels"):
        labels_of(_labels(tmp_path, [1, np.nan]), 0, (2,), None)


def test_names_with_spaces_and_colours(tmp_path: Path) -> None:
    path = tmp_path / "x.mgz.ctab"
    path.write_text(
        "# a comment\n0 Unknown\n1  mid temporal faces\n2 area 7 12 255 0 0 0\n\n10 b 4\n"
    )
    assert read_ctab(path) == {0: "Unknown", 1: "mid temporal faces", 2: "area 7 12", 10: "b 4"}


@pytest.mark.parametrize(
    "text", ["V1v 1\n", "1\n", "1 a\n1 b\n", "1 a\n2 a\n", "1 a|b\n", "-1 a\n"]
)
def test_tables_of_another_form(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.ctab").write_text(text)
    with pytest.raises(DataError, match="table of label names"):
        read_ctab(tmp_path / "x.ctab")


def test_where_names_come_from(tmp_path: Path) -> None:
    ctab = tmp_path / "x.ctab"
    ctab.write_text("0 Unknown\n1 V1v\n2 V1d\n")
    part = (tmp_path / "f",)
    assert names_of(LabelFiles("prf-visualrois", part, ctab=ctab), [-1, 0, 1]) == {1: "V1v"}
    assert names_of(LabelFiles("Kastner2015", part, ctab=ctab), [2]) == {2: "Kastner2015:V1d"}
    assert names_of(LabelFiles("nsdgeneral", part), [0, 1]) == {1: "nsdgeneral"}
    assert names_of(LabelFiles("x", part), [1, 4]) == {1: "x-1", 4: "x-4"}
    with pytest.raises(DataError, match="have no name"):
        names_of(LabelFiles("x", part, ctab=ctab), [1, 3])


def test_memberships_overlap() -> None:
    first, second = np.array([1, 0, 2, -1]), np.array([0, 3, 3, 3])
    rows = joined_names([(first, {1: "V1v", 2: "V2v"}), (second, {3: "early"})], 4)
    assert rows == ["V1v", "early", "V2v|early", "early"]
