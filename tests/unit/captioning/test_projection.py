from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neuroattn.captioning.projection import project, unit_weights
from neuroattn.core.errors import DataError

DIM = 16


def _bank(count: int = 600, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    cone = 2 * rng.standard_normal(DIM)
    return np.asarray(cone + rng.standard_normal((count, DIM)), dtype=np.float32)


def _tiles(bank: NDArray[Any], draws: int = 1, size: int = 100) -> Callable[[], Any]:
    def tiles() -> Any:
        for draw in range(draws):
            rows = range(draw * len(bank) // draws, (draw + 1) * len(bank) // draws)
            for start in range(rows.start, rows.stop, size):
                yield draw, start, bank[start : min(start + size, rows.stop)]

    return tiles


def _weights(count: int = 30) -> NDArray[np.float32]:
    return unit_weights(np.random.default_rng(1).standard_normal((count, DIM)))


def _direct(weights: NDArray[Any], bank: NDArray[Any], temperature: float) -> Any:
    """As in the definition, in double precision: embeddings, weights of the items."""
    norms = np.linalg.norm(bank.astype(np.float64), axis=1)
    unit = bank / norms[:, None]
    logits = temperature * weights.astype(np.float64) @ unit.T
    share = np.exp(logits - logits.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    mean = share @ unit
    return mean / np.linalg.norm(mean, axis=1, keepdims=True) * (share @ norms)[:, None], share


@pytest.mark.parametrize("temperature", [0.01, 10.0, 150.0, 1e4])
def test_the_stream_gives_what_the_definition_gives(temperature: float) -> None:
    bank, weights = _bank(), _weights()
    wanted, share = _direct(weights, bank, temperature)
    found = project(weights, _tiles(bank, draws=3), draws=3, temperature=temperature, top=7)
    off = max(1e-5, 6e-8 * temperature)  # a cosine in single precision is known to 6e-8
    np.testing.assert_allclose(found.embedding, wanted, rtol=1e-4, atol=off * np.abs(wanted).max())
    np.testing.assert_allclose(found.effective, 1 / (share**2).sum(1), rtol=2e-4 + 2 * off)
    cosine = weights @ (bank / np.linalg.norm(bank, axis=1, keepdims=True)).T
    np.testing.assert_allclose(found.best_cosine, cosine.max(1), atol=1e-6)
    np.testing.assert_array_equal(found.top, np.argsort(-cosine, axis=1)[:, :7])


@pytest.mark.parametrize("items", [5, 16, 20, 33])
def test_a_bank_smaller_than_the_nearest_asked_for_gives_all_of_it(items: int) -> None:
    bank, weights = _bank()[:items], _weights(4)
    found = project(weights, _tiles(bank), top=50)
    cosine = weights @ (bank / np.linalg.norm(bank, axis=1, keepdims=True)).T
    np.testing.assert_array_equal(found.top, np.argsort(-cosine, axis=1))
    assert np.isfinite(found.top_cosine).all()


def test_tiles_and_groups_of_targets_change_nothing() -> None:
    bank, weights = _bank(), np.tile(_weights(), (40, 1))
    one = project(weights, _tiles(bank, 2, 300), draws=2, keep_draws=True)
    other = project(weights, _tiles(bank, 2, 37), draws=2, memory=1, keep_draws=True)
    for name in ("embedding", "effective", "stability", "top_cosine", "draws"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-3, atol=1e-4)


def test_draws_are_projections_of_their_own_parts() -> None:
    bank, weights = _bank(), _weights()
    found = project(weights, _tiles(bank, 2), draws=2, temperature=20.0, keep_draws=True)
    for draw, part in enumerate((bank[:300], bank[300:])):
        wanted, _ = _direct(weights, part, 20.0)
        wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
        np.testing.assert_allclose(found.draws[draw], wanted, atol=1e-5)
    pair = (found.draws[0] * found.draws[1]).sum(1)
    np.testing.assert_allclose(found.stability, pair, atol=1e-5)


def test_the_norm_is_that_of_the_bank_and_not_that_of_a_mean() -> None:
    bank, weights = _bank(), _weights()
    found = project(weights, _tiles(bank), temperature=1.0)
    norms = np.linalg.norm(bank, axis=1)
    assert np.allclose(np.linalg.norm(found.embedding, axis=1), norms.mean(), rtol=0.05)
    assert np.linalg.norm(bank.mean(0)) < 0.95 * norms.mean(), "a mean of items would be shorter"


def test_a_temperature_near_zero_gives_everybody_the_mean() -> None:
    found = project(_weights(), _tiles(_bank()), temperature=1e-3)
    assert (found.direction @ found.direction.T).min() > 0.999
    assert found.effective.min() > 599


def _with(value: float) -> NDArray[np.float32]:
    bank = _bank()
    bank[5] = value
    return bank


BAD = {
    "of another space": (_bank()[:, :8], "different spaces"),
    "not numbers": (_with(np.nan), "no embeddings"),
    "nothing": (_with(0.0), "no embeddings"),
    "empty": (_bank()[:0], "too small"),
    "one item": (_bank()[:1], "too small"),
}


@pytest.mark.parametrize("case", list(BAD))
def test_a_bank_that_is_none_is_refused(case: str) -> None:
    bank, says = BAD[case]
    with pytest.raises(DataError, match=says):
        project(_weights(), _tiles(bank))


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_weight_that_points_nowhere_is_refused(value: float) -> None:
    weights = np.ones((3, DIM))
    weights[1] = value
    with pytest.raises(DataError, match="row 1"):
        unit_weights(weights)
