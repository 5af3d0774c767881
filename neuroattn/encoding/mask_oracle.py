"""The mask oracle: a linear readout that is told where to look. Simulated data alone.

A target that reads the attributes of a category is given the mean of the tokens inside the true
mask of that category's thing, and whether there is one. What it reaches is what the tokens hold
of the attributes; an encoder that finds the thing by itself can at best come near. It has no
place among models: it cannot predict for pictures of which the truth is not known.

Targets of places are given the tokens outside all things, all others the mean over the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError
from neuroattn.encoding.readout import Features, TrainingSet, chosen_layers
from neuroattn.encoding.registry import Inputs, MaskOracleConfig, Select
from neuroattn.encoding.ridge import Ridge, RidgeModel
from neuroattn.encoding.tokens import blocks, layer_shape
from neuroattn.stats.planted import PLACE, Truth

Images = NDArray[np.int64]
Table = NDArray[np.float32]
WHOLE = "whole"  # what targets read that read no thing and no place
_LEAST = 1e-3  # weight of a covered cell in the background, so that weights always sum to 1


@dataclass(frozen=True, eq=False)
class Rows:
    """Pooled features in memory, as a store with one layer of one token.

    Parameters
    ----------
    images : (images,) ascending.
    values : (images, channels and presence).
    """

    images: Images
    values: Table

    @property
    def layers(self) -> list[str]:
        """The one layer."""
        return ["masked"]

    def shape(self, layer: str) -> tuple[int, int, int]:  # noqa: ARG002
        """(images, 1, channels and presence)."""
        return len(self.images), 1, self.values.shape[1]

    def read(self, layer: str, images: Any = None) -> Any:  # noqa: ARG002
        """(images, 1, channels and presence) of these image ids."""
        rows = slice(None) if images is None else np.searchsorted(self.images, images)
        return self.values[rows][:, None]


@dataclass(frozen=True, eq=False)
class Masks:
    """Where each kind of target looks in each image.

    Parameters
    ----------
    images : (images,) whose masks are known, ascending.
    weights : kind -> layer -> (images, tokens); a row sums to 1, or is 0 where there is no thing.
    """

    images: Images
    weights: Mapping[str, Mapping[str, Table]]

    def pool(self, features: Features, images: Images) -> dict[str, Table]:
        """Mean tokens inside the mask, layer beside layer, and presence, by kind of target.

        All kinds are pooled in one pass over the tokens, `BLOCK` images at a time.

        Raises
        ------
        ConfigError : the masks of an image are not known.
        """
        rows = np.minimum(np.searchsorted(self.images, images), len(self.images) - 1)
        if (self.images[rows] != images).any():
            raise ConfigError(
                "the mask oracle cannot predict for pictures without planted truth",
                expected="images of the simulation", found="others",
                fix="use an encoder for pictures of your own",
            )  # fmt: skip
        parts: dict[str, list[Table]] = {kind: [] for kind in self.weights}
        for block in blocks(len(images)):
            tokens = {
                layer: features.read(layer, images[block]).astype(np.float32)
                for layer in next(iter(self.weights.values()))
            }
            for kind, weights in self.weights.items():
                looks = {layer: table[rows[block]] for layer, table in weights.items()}
                means = [(looks[layer][:, None] @ tokens[layer])[:, 0] for layer in looks]
                there = np.any(next(iter(looks.values())), axis=1, keepdims=True)
                parts[kind].append(np.concatenate([*means, there], axis=1, dtype=np.float32))
        return {kind: np.concatenate(tables) for kind, tables in parts.items()}


@dataclass(frozen=True, eq=False)
class Part:
    """The targets that read one kind of thing.

    Parameters
    ----------
    columns : (targets,) which they are.
    mean : (channels,) of the average thing, taken off where there is one.
    model : their ridge.
    """

    columns: NDArray[np.int64]
    mean: Table
    model: RidgeModel


class MaskOracleModel:
    """A fitted mask oracle: masks of all images, and a ridge for each kind of target."""

    def __init__(self, masks: Masks, parts: Mapping[str, Part]) -> None:
        self.masks, self.parts = masks, dict(parts)

    def predict(self, features: Features, images: Images) -> NDArray[np.float32]:
        """Predicted responses (images, targets) of images of the simulation."""
        count = sum(len(part.columns) for part in self.parts.values())
        out = np.empty((len(images), count), dtype=np.float32)
        distinct, back = np.unique(images, return_inverse=True)
        pooled = self.masks.pool(features, distinct)
        for kind, part in self.parts.items():
            rows = Rows(distinct, centred(pooled[kind], part.mean))
            out[:, part.columns] = part.model.predict(rows, distinct)[back]
        return out

    def module(self) -> Any:
        """There is none.

        Raises
        ------
        ConfigError : always, since the masks are no function of the picture.
        """
        raise ConfigError(
            "the mask oracle is no function of a picture",
            expected="an encoder that reads pictures alone", found="mask_oracle",
            fix="fit another encoder: encoder=attention, encoder=ridge …",
        )  # fmt: skip

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Columns of the ridge: penalty, and correlation where it was chosen."""
        found: dict[str, NDArray[np.float64]] = {}
        count = sum(len(part.columns) for part in self.parts.values())
        for part in self.parts.values():
            for name, values in part.model.columns().items():
                found.setdefault(name, np.full(count, np.nan))[part.columns] = values
        return found

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Masks and ridges by kind of thing."""
        arrays: dict[str, NDArray[Any]] = {"images": self.masks.images}
        about: dict[str, Any] = {"readout": "mask_oracle", "layers": [], "parts": {}}
        for kind, part in self.parts.items():
            inner, about["parts"][kind] = part.model.state()
            weights = self.masks.weights[kind]
            own: dict[str, NDArray[Any]] = {"columns": part.columns, "mean": part.mean}
            own |= {f"weights/{name}": table.astype(np.float16) for name, table in weights.items()}
            own |= {f"ridge/{key}": value for key, value in inner.items()}
            arrays |= {f"{kind}/{key}": value for key, value in own.items()}
            about["layers"] = list(weights)
        return arrays, about


class MaskOracle:
    """The mask oracle before fitting.

    Parameters
    ----------
    config : the section ``encoder``.
    """

    def __init__(self, config: MaskOracleConfig) -> None:
        self.config = config
        inner = replace(config, layers=None, inputs=Inputs.all, select=Select.joined)
        self._ridge = Ridge(inner)

    def fit(self, train: TrainingSet) -> MaskOracleModel:
        """Fit on training images alone; of the others it knows the masks.

        Raises
        ------
        ConfigError : nothing is known to be planted in these data.
        """
        if train.planted is None:
            raise ConfigError(
                "the mask oracle needs the planted truth of simulated data",
                expected="truth.h5 in the prepare artefact", found="none: these are recordings,"
                " several subjects, or a simulation whose truth/ is gone",
                fix="use another encoder, or data that `neuroattn data simulate` wrote",
            )  # fmt: skip
        truth = train.planted()
        layers = chosen_layers(train.features, self.config.layers)
        kinds = kinds_of(truth, train.targets["target"].to_numpy(dtype=np.int64))
        kinds = kinds_of(truth, train.targets["target"].to_numpy(dtype=np.int64))
        grids = {layer: layer_shape(train.features, layer).grid for layer in layers}
        masks = Masks(truth.images, {
            kind: {layer: pooling(truth, kind, grid) for layer, grid in grids.items()}
            for kind in dict.fromkeys(kinds.tolist())
        })  # fmt: skip
        images = np.unique(train.images)
        pooled = masks.pool(train.features, images)
        parts = {}
        for kind, table in pooled.items():
            columns = np.flatnonzero(kinds == kind)
            there = table[:, -1] > 0
            mean = table[there, :-1].mean(axis=0) if there.any() else np.zeros_like(table[0, :-1])
            own = replace(train, features=Rows(images, centred(table, mean)),
                          responses=train.responses[:, columns],
                          targets=train.targets.iloc[columns])  # fmt: skip
            parts[kind] = Part(columns, mean, self._ridge.fit(own))
        return MaskOracleModel(masks, parts)

    def restore(self, arrays: dict[str, NDArray[Any]], description: Any) -> MaskOracleModel:
        """The fitted oracle whose `MaskOracleModel.state` this is; it is given features later."""
        layers: list[str] = description["layers"]
        parts: dict[str, Part] = {}
        weights: dict[str, dict[str, Table]] = {}
        for kind, about in description["parts"].items():
            own = below(arrays, kind)
            weights[kind] = {name: own[f"weights/{name}"].astype(np.float32) for name in layers}
            model = self._ridge.restore(below(own, "ridge"), about)
            parts[kind] = Part(own["columns"], own["mean"], model)
        return MaskOracleModel(Masks(arrays["images"], weights), parts)

    def methods(self) -> str:
        """A sentence for the Methods text."""
        return (
            "An oracle, which is no model, was given the mean of the tokens inside the true mask"
            " of what each simulated target reads, and fitted by ridge regression"
        )


def below(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """Arrays whose names begin with ``prefix/``, without it."""
    start = f"{prefix}/"
    return {k.removeprefix(start): value for k, value in arrays.items() if k.startswith(start)}


def centred(pooled: Table, mean: Table) -> Table:
    """Pooled features (images, channels and presence) with 0 for the average thing and for none.

    Without this, whether there is a thing would be told by every channel.
    """
    there = pooled[:, -1:]
    return np.concatenate([pooled[:, :-1] - there * mean, there], axis=1)


def kinds_of(truth: Truth, targets: NDArray[np.int64]) -> NDArray[np.str_]:
    """What each target (targets,) reads: a category of things, the place, or `WHOLE`."""
    categories = {*truth.thing_category.tolist(), PLACE}
    reads = dict(zip(truth.target.tolist(), truth.category.tolist(), strict=True))
    found = (str(reads.get(target, WHOLE)) for target in targets.tolist())
    return np.array([name if name in categories else WHOLE for name in found])


def pooling(truth: Truth, kind: str, grid: tuple[int, int]) -> NDArray[np.float32]:
    """Weights (images, tokens) that average what a kind of target reads."""
    if kind == WHOLE:
        shape = (len(truth.images), grid[0] * grid[1])
        return np.full(shape, 1.0 / shape[1], dtype=np.float32)
    if kind != PLACE:
        cover = truth.coverage(truth.things(truth.images, kind), grid)
    else:
        cover = np.zeros((len(truth.images), grid[0] * grid[1]), dtype=np.float32)
        for name in dict.fromkeys(truth.thing_category.tolist()):
            cover += truth.coverage(truth.things(truth.images, name), grid)
        cover = np.clip(1 - cover, 0, 1) + np.float32(_LEAST)
    total = cover.sum(axis=1, keepdims=True)
    return np.asarray(cover / np.where(total > 0, total, 1.0), dtype=np.float32)
