"""Parcels: clusters that are known, small ones that join the nearest, and atlas files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroattn.core.errors import DataError, MissingDataError
from neuroattn.core.tables import write_tsv
from neuroattn.encoding.parcels import (
    AXES,
    atlas_names,
    clusters,
    merged,
    parcel_names,
    response_points,
)
from neuroattn.encoding.registry import AttentionConfig, atlas_leaves


def far_apart(counts: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(counts)), counts)
    places = np.array([[0, 0], [30, 0], [0, 50], [80, 80]])[: len(counts)]
    points = places[truth] + rng.normal(size=(len(truth), 2))
    return points.astype(np.float32), truth


def test_clusters_that_lie_apart_are_found() -> None:
    points, truth = far_apart([20, 30, 10, 5])
    found = clusters(points, 4, np.random.default_rng(1))
    assert len(set(zip(found.tolist(), truth.tolist(), strict=True))) == 4


def test_a_small_cluster_joins_the_nearest() -> None:
    points, truth = far_apart([20, 3, 20, 20])
    joined = merged(points, truth, least=10)
    assert set(joined[truth == 1]) == {0}, "30 away; the others are 58 and 94 away"
    assert set(joined[truth == 3]) == {3}


def test_all_may_end_in_one() -> None:
    points, truth = far_apart([2, 2, 2])
    assert len(set(merged(points, truth, least=10))) == 1


def test_parcels_keep_to_their_hemisphere_and_are_numbered_without_gaps() -> None:
    points, truth = far_apart([12, 12, 12, 12])
    sides = ["lh" if index % 2 else "rh" for index in range(len(points))]
    names = parcel_names(points, sides, 4, 2, np.random.default_rng(0))
    again = parcel_names(points, sides, 4, 2, np.random.default_rng(0))
    assert names == again
    assert sorted(set(names)) == [f"parcel-{n:04d}" for n in range(4)]
    for side in ("lh", "rh"):
        pairs = {(n, t) for n, t, s in zip(names, truth, sides, strict=True) if s == side}
        assert len(pairs) == 4
    few = parcel_names(points[:3], ["lh"] * 3, 100, 1, np.random.default_rng(0))
    assert len(set(few)) == 3, "no more parcels than targets"


@pytest.mark.parametrize("rows", [AXES // 2, AXES * 4])
def test_targets_that_respond_alike_lie_near_whatever_their_scale(rows: int) -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, rows))
    columns = [one, 7 * one + 3, other, 0.1 * other - 9, np.full(rows, 4.0)]
    points = response_points(np.stack(columns, 1).astype(np.float32), np.random.default_rng(1))
    near, far = (np.linalg.norm(points[a] - points[b]) for a, b in ((0, 1), (0, 2)))
    assert near < 0.01 * far
    assert np.linalg.norm(points[2] - points[3]) < 0.01 * far
    np.testing.assert_allclose(points[4], 0, atol=1e-3)
    assert far == pytest.approx((2 * rows) ** 0.5, rel=0.35)


def test_an_atlas_goes_by_the_number_of_a_target(tmp_path: Path) -> None:
    fitted = pd.DataFrame({"target": [4, 0, 2]})
    table = pd.DataFrame({"target": [0, 2, 4], "parcel": ["a.1", "", "c"]})
    write_tsv(tmp_path / "atlas.tsv", table)
    assert atlas_names(tmp_path / "atlas.tsv", fitted) == ["c", "a.1", ""]
    np.save(tmp_path / "atlas.npy", np.array([7, 8, 9, 10, 11]))
    assert atlas_names(tmp_path / "atlas.npy", fitted) == ["11", "7", "9"]


def test_an_atlas_of_other_targets_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", np.array(["a", "b"]))
    with pytest.raises(DataError, match="does not belong") as caught:
        atlas_names(tmp_path / "short.npy", pd.DataFrame({"target": [0, 1, 2, 9]}))
    assert "2, 9" in str(caught.value)
    np.save(tmp_path / "floats.npy", np.zeros(3))
    with pytest.raises(DataError, match="no list of parcels"):
        atlas_names(tmp_path / "floats.npy", pd.DataFrame({"target": [0]}))
    (tmp_path / "broken.npy").write_bytes(b"no array")
    with pytest.raises(DataError, match="cannot be read"):
        atlas_names(tmp_path / "broken.npy", pd.DataFrame({"target": [0]}))


def test_the_atlas_enters_the_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "mine.npy"
    np.save(path, np.array(["a"]))
    assert atlas_leaves(AttentionConfig(atlas=str(path))) == {"atlas.npy": path}
    assert atlas_leaves(AttentionConfig()) == {}
    with pytest.raises(MissingDataError, match="atlas"):
        atlas_leaves(AttentionConfig(atlas=str(tmp_path / "none.npy")))
