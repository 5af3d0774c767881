"""Inner folds, and himalaya's global backend."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from himalaya.backend import get_backend, set_backend

from neuroattn.core.errors import DataError
from neuroattn.encoding.solvers import (
    himalaya_backend,
    inner_folds,
    solve_dual,
    solver_device,
)


def test_inner_folds_divide_the_rows_and_keep_images_together() -> None:
    row_image = np.repeat(np.arange(11), 1 + np.arange(11) % 3)
    folds = inner_folds(row_image, 4, 0)
    held_out = np.concatenate([test for _, test in folds])
    assert sorted(held_out) == list(range(len(row_image)))
    for train, test in folds:
        assert len(train) + len(test) == len(row_image)
        assert not set(row_image[train]) & set(row_image[test])
    sizes = [len(set(row_image[test])) for _, test in folds]
    assert max(sizes) - min(sizes) <= 1


def test_inner_folds_depend_on_the_seed_alone() -> None:
    rows = np.arange(20)
    first, same, other = (inner_folds(rows, 5, seed)[0][1] for seed in (1, 1, 2))
    assert first.tolist() == same.tolist() != other.tolist()


def fail_inside() -> None:
    with himalaya_backend(torch.device("cpu")):
        assert get_backend().name == "torch"
        raise DataError("on the way")


@pytest.mark.parametrize("before", ["numpy", "torch"])
def test_himalayas_backend_is_put_back(before: str) -> None:
    original = get_backend().name
    try:
        set_backend(before)
        with pytest.raises(DataError):
            fail_inside()
        assert get_backend().name == before
    finally:
        set_backend(original)


def test_chosen_penalties_are_exact_members_of_the_grid() -> None:
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.normal(size=(20, 30)))
    x = x - x.mean(0)
    grid = np.logspace(-2, 2, 7)
    y = torch.tensor(rng.normal(size=(20, 50)))
    found = solve_dual(x @ x.T, y, grid, inner_folds(np.arange(20), 5, 0), 16)
    assert set(found.alpha) <= set(grid)


def test_penalties_count_in_units_of_the_features() -> None:
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.normal(size=(20, 30)))
    x = x - x.mean(0)
    y, folds = torch.tensor(rng.normal(size=(20, 5))), inner_folds(np.arange(20), 5, 0)
    small, large = (
        solve_dual(factor * x @ x.T, y, np.logspace(-2, 2, 5), folds, 5) for factor in (1.0, 1e6)
    )
    np.testing.assert_array_equal(small.alpha, large.alpha)
    np.testing.assert_allclose(small.weights, 1e6 * large.weights, rtol=1e-6)


@pytest.mark.parametrize("name", ["cpu", "mps"])
def test_the_solver_stays_on_the_cpu(name: str) -> None:
    assert solver_device(name).type == "cpu"
