"""A fitted decoder from its artefact, with the inputs of each subject as they were fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.core.config import restore
from neuroattn.core.errors import ArtefactError
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import DATASETS, DatasetConfig, ResponsesMode
from neuroattn.data.splits import folds
from neuroattn.data.store_scale import SessionScale
from neuroattn.decoding.decoder import WEIGHTS, DecodingSet, FittedDecoder, Ids, Rows, SubjectRows
from neuroattn.decoding.decoder_schemas import DecoderConfig
from neuroattn.decoding.inputs import SubjectInput
from neuroattn.decoding.registry import DECODERS
from neuroattn.decoding.ridge import FittedRidge, RidgeDecoder
from neuroattn.decoding.sides import on_scale
from neuroattn.decoding.targets import Block, TargetSpace, _layers
from neuroattn.decoding.trained import FittedTrained
from neuroattn.encoding.sides import Unit, images_of, units_of
from neuroattn.features.store import FeatureStore

PARCELS = "parcels{}.json"


@dataclass(frozen=True, eq=False)
class LoadedSide:
    """One subject of a fitted decoder.

    Parameters
    ----------
    view : responses on the scale of the fit.
    input : from responses to inputs, as it was fitted.
    train, test : image ids of the fold.
    """

    unit: Unit
    view: Prepared
    input: SubjectInput
    train: Ids
    test: Ids

    def tested(self) -> Rows:
        """Standardised responses (images, targets) to the test images, averaged over repeats."""
        found = self.view.image_responses(self.test, ResponsesMode.mean, columns=self.input.columns)
        return self.input.standardised(found)

    def standardised_raw(self, responses: Rows) -> Rows:
        """Raw responses (rows, targets) of sessions that the fit has no z-scores of.

        All training trials stand in for their session: with the raw mean and deviation over these
        they become what z-scores are in the fit.
        """
        scale = self.view.scale
        if isinstance(scale, SessionScale):
            mean, sd = (part[self.input.columns] for part in over_sessions(scale))
            responses = np.asarray((responses - mean) / sd, dtype=np.float32)
        return self.input.standardised(responses)


@dataclass(frozen=True, eq=False)
class Loaded:
    """A decoder as ``decode`` left it."""

    artefact: Artefact
    config: DecoderConfig
    model: FittedDecoder
    space: TargetSpace
    sides: Sequence[LoadedSide]

    def embed(self, subject: int, standardised: Rows) -> Rows:
        """Embeddings (rows, dim) of standardised responses (rows, targets)."""
        inputs = self.sides[subject].input.projected(standardised)
        return self.space.normalised(self.model.embed(subject, inputs))


def over_sessions(scale: SessionScale) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation (targets,) of the trials of all sessions together."""
    share = (scale.trials / scale.trials.sum())[:, None]
    mean = (share * scale.mean).sum(0)
    variance = (share * (scale.sd**2 + (scale.mean - mean) ** 2)).sum(0)
    return mean, np.sqrt(variance)


def load_decoder(artefact: Artefact, prepare: Artefact, stores: Sequence[FeatureStore]) -> Loaded:
    """A decoder from its ``decode`` artefact and that artefact's parents.

    Parameters
    ----------
    stores : features of the backbone, then those of ``decoder.target.also``.

    Raises
    ------
    ArtefactError : the artefact lacks a file, or belongs to other parents.
    """
    section, data = artefact.config["decoder"], artefact.config["dataset"]
    config: DecoderConfig = restore(DECODERS[section["name"]].schema, section)
    dataset: DatasetConfig = restore(DATASETS[data["name"]].schema, data)
    prepared = Prepared(prepare)
    fold = folds(prepared, dataset.split)[config.fold]
    seed = int(artefact.config["seed"])
    sides = [
        _side(artefact, unit, images_of(fold, unit, config.images, seed), dataset)
        for unit in units_of(prepared)
    ]
    space = read_space(artefact, config, stores)
    model = read_model(artefact, config, space, sides)
    return Loaded(artefact, config, model, space, sides)


def _side(
    artefact: Artefact, unit: Unit, images: tuple[Ids, Ids], dataset: DatasetConfig
) -> LoadedSide:
    suffix = f"-{unit.name}" if unit.name else ""
    fitted = SubjectInput.from_arrays(_arrays(artefact, f"input{suffix}.safetensors"))
    train, test = images
    return LoadedSide(unit, on_scale(unit.data, train, dataset), fitted, train, test)


def read_space(
    artefact: Artefact, config: DecoderConfig, stores: Sequence[FeatureStore]
) -> TargetSpace:
    """The target space with the statistics of its training images."""
    arrays = _arrays(artefact, "space.safetensors")
    wanted = _layers(config.target, stores)
    total = sum(weight for _, _, weight in wanted)
    blocks = []
    for index, (number, layer, weight) in enumerate(wanted):
        store = stores[number]
        name = layer if number == 0 else f"{store.artefact.label}/{layer}"
        mean, sd = arrays[f"mean/{index}"], arrays[f"sd/{index}"]
        blocks.append(Block(name, store, layer, weight / total, len(mean), mean, sd))
    return TargetSpace(blocks, config.target.pool, config.target.scale, stores)


def read_model(
    artefact: Artefact, config: DecoderConfig, space: TargetSpace, sides: Sequence[LoadedSide]
) -> FittedDecoder:
    """The fitted decoder itself; it embeds, and knows no prior.

    Raises
    ------
    ArtefactError : the weights are not those of this decoder.
    """
    arrays = _arrays(artefact, WEIGHTS)
    decoder = DECODERS.load(config.name)(config)
    if isinstance(decoder, RidgeDecoder):
        return _ridge(arrays, space, sides)
    train = _shapes(artefact, space, sides)
    network = decoder.network(train)
    try:
        network.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
    except RuntimeError as error:
        raise ArtefactError(
            "the weights are not those of this decoder", file=artefact.folder / WEIGHTS,
            expected=f"the state of decoder={config.name}", found=str(error).splitlines()[-1],
            fix="delete its folder and run decode again",
        ) from error  # fmt: skip
    return FittedTrained(config.name, network.eval(), space, train)


def _ridge(
    arrays: Mapping[str, NDArray[Any]], space: TargetSpace, sides: Sequence[LoadedSide]
) -> FittedRidge:
    count = range(len(sides))
    weights = [arrays[f"weights/{index}"] for index in count]
    folded = [side.input.fold(table) for side, table in zip(sides, weights, strict=True)]
    intercept = [arrays[f"intercept/{index}"] for index in count]
    return FittedRidge(
        space, weights, intercept, [arrays[f"alpha/{index}"] for index in count], folded
    )


def _shapes(artefact: Artefact, space: TargetSpace, sides: Sequence[LoadedSide]) -> DecodingSet:
    """A training side without rows, from which a network of the right shape is built."""
    subjects = []
    none = np.empty(0, dtype=np.int64)
    for side in sides:
        width, name = side.input.trs * side.input.width, side.unit.name
        file = PARCELS.format(f"-{name}" if name else "")
        parcels = np.array(artefact.json(file), dtype=object) if artefact.has(file) else None
        table = np.empty((0, width), dtype=np.float32)
        subjects.append(SubjectRows(name, side.input, table, none, parcels))
    return DecodingSet(
        subjects=subjects, space=space, selection=("", none), forbidden=none,
        make_prior=lambda _bank: None, seed=0, work=Path(),
    )  # fmt: skip


def _arrays(artefact: Artefact, name: str) -> dict[str, NDArray[Any]]:
    from safetensors.numpy import load_file

    return dict(load_file(artefact.path(name)))
