"""Maps and masks, and that what is masked can be put back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from neuroattn.core.errors import DataError, SecurityError
from neuroattn.data.nsd.maps import carried, read_map, read_mask, read_nearest
from neuroattn.data.nsd.targets import Space
from tests.nsd_files import VOLUME, write_map


def test_maps_are_flat_in_the_order_of_the_file(tmp_path: Path) -> None:
    values = np.arange(24.0)
    write_map(tmp_path / "m.nii.gz", values)
    np.testing.assert_array_equal(read_map(tmp_path / "m.nii.gz", VOLUME), values)
    write_map(tmp_path / "m.mgh", values)
    np.testing.assert_array_equal(read_map(tmp_path / "m.mgh", (24,)), values)
    np.testing.assert_array_equal(read_map(tmp_path / "m.mgh", (24, 1, 1)), values)
    with pytest.raises(DataError, match="another shape"):
        read_map(tmp_path / "m.nii.gz", tuple(reversed(VOLUME)))


def test_the_transform_counts_from_one(tmp_path: Path) -> None:
    write_map(tmp_path / "n.mgz", np.array([1, 3, 2]))
    nearest = read_nearest(tmp_path / "n.mgz", 3)
    assert carried(np.array([10.0, 20.0, 30.0]), nearest, fill=np.nan).tolist() == [10, 30, 20]


def test_masks_that_a_user_brings(tmp_path: Path) -> None:
    mask = np.zeros(VOLUME, dtype=np.int8)
    mask[1, 0, 0] = 1
    mask[0, 1, 0] = -1
    np.save(tmp_path / "m.npy", mask)
    (kept,) = read_mask(tmp_path / "m.npy", [VOLUME])
    assert np.flatnonzero(kept).tolist() == [1]
    write_map(tmp_path / "m.nii.gz", mask.reshape(-1, order="F").astype(float))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.nii.gz", [VOLUME])[0], kept)
    np.save(tmp_path / "s.npy", np.array([True, False, True, True, False]))
    left, right = read_mask(tmp_path / "s.npy", [(2,), (3, 1, 1)])
    assert (left.tolist(), right.tolist()) == ([True, False], [True, True, False])
    with pytest.raises(DataError, match="another size"):
        read_mask(tmp_path / "s.npy", [(2,), (2,)])
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object))
    with pytest.raises(SecurityError):
        read_mask(tmp_path / "o.npy", [(1,)])


@given(
    left=arrays.arrays(np.bool_, st.integers(1, 40)),
    right=arrays.arrays(np.bool_, st.integers(1, 40)),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_unmasking_is_a_round_trip(left: np.ndarray, right: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps = [rng.standard_normal(len(mask)) for mask in (left, right)]
    space = Space(
        ("lh", "rh"), [left.shape, right.shape], [np.flatnonzero(left), np.flatnonzero(right)]
    )
    targets = np.concatenate(
        [values[kept] for values, kept in zip(maps, space.places, strict=True)]
    )
    back = space.unmask(targets)
    for values, mask, again in zip(maps, (left, right), back, strict=True):
        np.testing.assert_array_equal(again[mask], values[mask].astype(np.float32))
        assert np.isnan(again[~mask]).all()
    lost = rng.random(space.count) < 0.3
    fewer = space.without(lost)
    assert fewer.count == space.count - lost.sum()
    np.testing.assert_array_equal(
        np.concatenate(
            [kept[fewer_kept] for kept, fewer_kept in zip(maps, fewer.places, strict=True)]
        ),
        targets[~lost],
    )
