"""Other trials: on what scale they are decoded, and what they are held against."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import ArraysConfig, Normalise, ResponsesMode
from neuroattn.decoding import imagery
from neuroattn.decoding.ablation_schemas import Candidates, ImageryConfig, Standardise
from neuroattn.decoding.decoder_schemas import Average, InputConfig
from neuroattn.decoding.inputs import chosen_columns, fit_input
from neuroattn.decoding.load import LoadedSide
from neuroattn.decoding.sides import on_scale
from neuroattn.encoding.sides import training_rows, units_of
from tests.unit.decoding.side import DIM, Store, space_of
from tests.unit.encoding.conftest import TARGETS, trials_of, write_prepared

IMAGES, SESSIONS = 90, 3


def fitted(folder: Path, normalise: Normalise) -> tuple[LoadedSide, Prepared]:
    """One subject whose raw responses are far from 0 and drift from session to session."""
    trials = trials_of(np.ones(IMAGES, dtype=np.int64)).assign(
        session=1 + np.arange(IMAGES) % SESSIONS
    )
    session = trials["session"].to_numpy()[:, None]
    noise = np.random.default_rng(0).normal(size=(IMAGES, TARGETS))
    raw = 40 + 3 * session + (2 + session) * noise * np.linspace(0.5, 3, TARGETS)
    prepared = Prepared(write_prepared(folder, trials, raw.astype(np.float32)))
    (unit,) = units_of(prepared)
    train, test = prepared.image_ids[:-6], prepared.image_ids[-6:]
    view = on_scale(unit.data, train, ArraysConfig(normalise=normalise))
    columns = chosen_columns(InputConfig(without=["V4"]), unit.data.targets)
    _, table = training_rows(view, train, ResponsesMode.single, columns)
    made = fit_input(InputConfig(), unit.data.targets, columns, table, 0)
    return LoadedSide(unit, view, made, train, test), prepared


@pytest.mark.parametrize("normalise", Normalise)
def test_trials_drawn_like_those_of_training_come_out_standardised(
    normalise: Normalise, tmp_path: Path
) -> None:
    side, prepared = fitted(tmp_path, normalise)
    loaded: Any = SimpleNamespace(
        sides=[side], embed=lambda _number, standardised: standardised,
        config=SimpleNamespace(evaluation=SimpleNamespace(average=Average.responses)),
    )  # fmt: skip
    options = ImageryConfig(trials="", standardise=Standardise.training)
    found, ids, _ = imagery.decode(loaded, 0, prepared, options)
    drawn = found[np.isin(ids, side.train)].astype(np.float64)
    assert drawn.shape == (len(side.train), TARGETS - 1)
    slack = 0.1 if normalise is Normalise.session_all else 1e-4  # its z-scores saw other trials
    np.testing.assert_allclose(drawn.mean(0), 0, atol=slack)
    np.testing.assert_allclose(drawn.std(0), 1, atol=slack)


class Pictures(Store):
    """Pictures at two levels, the second without its second half, as a features artefact."""

    blur = {"kind": "uniform"}  # noqa: RUF012
    levels = {0.0: "", 8.0: "uniform"}  # noqa: RUF012
    artefact = SimpleNamespace(folder=Path("features"))

    def __init__(self, images: int) -> None:
        super().__init__(images)
        self.images = np.arange(images)

    def read(self, layer: str, images: Any = None, strength: float = 0.0) -> NDArray[np.float32]:
        found = super().read(layer, images)
        return found * np.where(np.arange(DIM) < DIM // 2, 1, 1 - strength / 8)


def test_what_was_imagined_and_the_test_images_are_held_against_as_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    space, test, ids = space_of(Pictures(20)), np.arange(12, 20), np.arange(3)

    @contextmanager
    def kept(_name: str) -> Iterator[Any]:
        """What the decoder of a blur prior was tested among."""
        yield {"test": {"image": space.read(test, 8.0), "centre": np.zeros((2, DIM))}}

    side = SimpleNamespace(test=test, unit=SimpleNamespace(name="s1"))
    loaded: Any = SimpleNamespace(
        artefact=SimpleNamespace(hdf5=kept), config=None, space=space, sides=[side]
    )
    monkeypatch.setattr(imagery, "FeatureStore", lambda store: store)
    monkeypatch.setattr(imagery, "read_space", lambda *_: space)
    context: Any = SimpleNamespace(parents={"imagery/features": space.stores[0]})
    options = ImageryConfig(trials="", candidates=Candidates.imagined_and_test)
    wanted, gallery = imagery._gallery(context, loaded, side, ids, options)  # type: ignore[arg-type]
    assert gallery.tolist() == [0, 1, 2, *(-1 - test)]
    np.testing.assert_array_equal(wanted, space.read([*ids, *test]))
