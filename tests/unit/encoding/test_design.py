"""Scaling and streaming of the feature matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroattn.core.errors import DataError
from neuroattn.encoding.design import COLUMNS, Design, Reader, Scaler, fit_scaler

from .conftest import Store

ONES = np.ones(60, dtype=np.int64)


def test_scaler_is_the_mean_and_sd_over_rows(store: Store) -> None:
    counts = 1 + np.arange(60) % 3
    scaler = fit_scaler(Reader(store, 64), "early", store.images, counts, True)
    rows = np.repeat(store.values["early"].reshape(60, -1).astype(np.float64), counts, axis=0)
    np.testing.assert_allclose(scaler.mean, rows.mean(0), atol=1e-12)
    np.testing.assert_allclose(scaler.sd, rows.std(0), atol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 6e4])
@pytest.mark.parametrize("standardise", [True, False])
def test_constant_features_get_no_scale(store: Store, value: float, standardise: bool) -> None:
    store.values["early"][:, 1, 2] = value
    scaler = fit_scaler(Reader(store, 64), "early", store.images, ONES, standardise)
    assert np.flatnonzero(scaler.sd == 0).tolist() == [5]
    block = scaler.apply(np.full((3, 12), 7.0), slice(0, 12), torch.float32)
    assert not block[:, 5].any()
    if not standardise:
        assert set(scaler.sd) == {0.0, 1.0}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_not_finite_are_named(store: Store, bad: float) -> None:
    store.values["late"][4, 0, 0] = bad
    with np.errstate(invalid="ignore"), pytest.raises(DataError, match="layer late"):
        fit_scaler(Reader(store, 64), "late", store.images, ONES, True)


class Wide(Store):
    """Remembers how many images were read at once."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layers = ["wide"]
        self.values = {"wide": np.ones((60, 1, dim), dtype=np.float16)}
        self.most = 0

    def read(self, layer: str, images: object = None) -> np.ndarray:
        values = super().read(layer, images)
        self.most = max(self.most, values.nbytes)
        return values


def test_tiles_and_blocks_cover_everything_and_stay_small() -> None:
    store = Wide(2 * COLUMNS + 5)
    reader = Reader(store, tile_mib=1)
    rows, columns = reader.rows("wide", store.images), reader.columns("wide")
    assert sum(len(store.images[part]) for part in rows) == 60
    assert sum(part.stop - part.start for part in columns) == 2 * COLUMNS + 5
    scaler = fit_scaler(reader, "wide", store.images, ONES, True)
    Design(reader, {"wide": scaler}, torch.float32, torch.device("cpu")).gram(store.images)
    assert 0 < store.most < (1 << 20) / 4


def test_width_adds_up_over_layers(store: Store) -> None:
    zero = Scaler(np.zeros(1), np.zeros(1))
    design = Design(
        Reader(store, 64), dict.fromkeys(store.layers, zero), torch.float64, torch.device("cpu")
    )
    assert design.width == 4 * 3 + 2 * 40
