"""A planted training side: brains that are a linear map of their images' embeddings, and noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.decoding.decoder import DecodingSet, SubjectRows
from neuroattn.decoding.decoder_schemas import InputConfig, Pool, Scale
from neuroattn.decoding.inputs import fit_input
from neuroattn.decoding.prior import Plain
from neuroattn.decoding.targets import Block, TargetSpace

DIM, INPUTS = 8, 24


class Store:
    """Embeddings of images 0 … by seed; reads like a feature store of one layer."""

    blur: dict[str, Any] = {}  # noqa: RUF012
    levels = {0.0: ""}  # noqa: RUF012
    layers = ["last"]  # noqa: RUF012

    def __init__(self, images: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.table = rng.standard_normal((images, 1, DIM)).astype(np.float32)

    def shape(self, layer: str) -> tuple[int, int, int]:
        return self.table.shape[0], 1, DIM

    def read(self, layer: str, images: Any = None) -> NDArray[np.float32]:
        return self.table[np.asarray(images)]


def space_of(store: Store, shares: tuple[float, ...] = (1.0,)) -> TargetSpace:
    none, one = np.zeros(DIM, np.float32), np.ones(DIM, np.float32)
    blocks = [
        Block(f"last-{number}", store, "last", share, DIM, none, one)  # type: ignore[arg-type]
        for number, share in enumerate(shares)
    ]
    return TargetSpace(blocks, Pool.mean, Scale.none, [store])  # type: ignore[list-item]


@dataclass
class Planted:
    """A training side, and a test side that no decoder is handed."""

    train: DecodingSet
    inputs: list[NDArray[np.float32]]
    test: NDArray[np.int64]
    space: TargetSpace


def planted(
    work: Path,
    *,
    subjects: int = 1,
    images: int = 120,
    repeats: int = 1,
    noise: float = 0.5,
    shares: tuple[float, ...] = (1.0,),
    trs: int = 1,
) -> Planted:
    """The last quarter of the images are tested, the quarter before chooses the epoch."""
    store = Store(images)
    space = space_of(store, shares)
    ids = np.arange(images)
    test, held = ids[3 * images // 4 :], ids[images // 2 : 3 * images // 4]
    rows, inputs = [], []
    for subject in range(subjects):
        rng = np.random.default_rng(10 + subject)
        mixing = rng.standard_normal((DIM, INPUTS))
        shown = np.repeat(ids, repeats)
        brains = store.table[shown, 0] @ mixing + noise * rng.standard_normal((len(shown), INPUTS))
        values = brains.astype(np.float32)
        fit_on = np.flatnonzero(~np.isin(shown, test))
        about = pd.DataFrame({"target": range(INPUTS), "rois": "", "hemisphere": "lh"})
        from neuroattn.decoding.decoder_schemas import Source

        config = InputConfig(source=Source.series if trs > 1 else Source.betas, trs=trs)
        given = fit_input(config, about, np.arange(INPUTS), values[fit_on], 0)
        parcels = np.array([f"p{column % 4}" for column in range(INPUTS // trs)], dtype=object)
        name = f"subj{subject}" if subjects > 1 else ""
        rows.append(SubjectRows(name, given, given.apply(values[fit_on]), shown[fit_on], parcels))
        inputs.append(given.apply(values[np.searchsorted(shown, test)]))
    train = DecodingSet(
        subjects=rows, space=space, selection=("held_out", held), forbidden=test,
        make_prior=Plain, seed=0, work=work, device="cpu",
    )  # fmt: skip
    return Planted(train, inputs, test, space)


def top1(planted_: Planted, model: Any, subject: int = 0) -> float:
    """Share of the test brains whose image is the most similar."""
    found = planted_.space.normalised(model.embed(subject, planted_.inputs[subject]))
    similar = found @ planted_.space.read(planted_.test).T
    return float((similar.argmax(1) == np.arange(len(similar))).mean())
