"""The transformer readout behind the contract of readouts: fit, predict, store, look.

Tokens of the chosen layers are standardised per channel and responses per target, both with
statistics of the training images alone; layers with one grid are joined channel by channel.
Training is `neuroattn.training.loop.fit`; the best epoch is chosen on images held out from the
training side, never on test images.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.seeding import derive_seed, generator
from neuroattn.encoding.attention import Architecture, AttentionEncoder
from neuroattn.encoding.queries import (
    QueryTable,
    query_table,
    table_from_json,
    table_to_json,
)
from neuroattn.encoding.readout import Features, TrainingSet, chosen_layers
from neuroattn.encoding.registry import AttentionConfig
from neuroattn.stats.correlation import pearson
from neuroattn.training.batches import Batch, EvaluationLoader
from neuroattn.training.loop import Runtime, fit
from neuroattn.training.sampler import Indices
from neuroattn.training.selection import SelectionSet, TrainingData
from neuroattn.training.tracking import Silent

Images = NDArray[np.int64]
BLOCK = 64  # pictures whose tokens are held at a time outside training
_FLOOR = 1e-6  # of the largest spread: channels and targets below it are constant


class TokenSource:
    """Tokens and standardised responses by training row, read from the store batch by batch.

    Parameters
    ----------
    images : (rows,) image id of each row.
    responses : (rows, targets) in units of standard deviations.
    """

    def __init__(
        self,
        features: Features,
        layers: list[str],
        images: Images,
        responses: NDArray[np.float32],
    ) -> None:
        self.features, self.layers = features, layers
        self.images, self.responses = images, responses

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Tokens (images, tokens, dim) fp32 and responses (images, targets)."""
        rows = np.asarray(indices)
        return {
            "tokens": torch.from_numpy(read_tokens(self.features, self.layers, self.images[rows])),
            "responses": torch.from_numpy(self.responses[rows]),
        }


def read_tokens(features: Features, layers: list[str], images: Images) -> NDArray[np.float32]:
    """Tokens (images, tokens, dim) of layers with one grid, joined along their channels."""
    parts = [features.read(layer, images).astype(np.float32) for layer in layers]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


@dataclass(frozen=True)
class HemisphereLoss:
    """Mean squared error per hemisphere, added up, as published; evaluation by mean r.

    Parameters
    ----------
    columns : one index array of targets per hemisphere.
    """

    columns: tuple[Tensor, ...]

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Sum over hemispheres of the mean squared error over pictures and targets."""
        error: Tensor = (model(batch["tokens"]) - batch["responses"]).square()
        if len(self.columns) == 1:
            return error.mean()
        parts = [error[:, columns.to(error.device)].mean() for columns in self.columns]
        return torch.stack(parts).sum()

    def evaluate(self, model: nn.Module, loader: EvaluationLoader) -> Mapping[str, float]:
        """``r``: Pearson correlation per target over the selection images, averaged; ``loss``."""
        predicted, measured, total, rows = [], [], 0.0, 0
        for batch in loader:
            guess = model(batch["tokens"])
            predicted.append(guess.cpu().numpy())
            measured.append(batch["responses"].cpu().numpy())
            total += float((guess - batch["responses"]).square().mean()) * len(guess)
            rows += len(guess)
        r = pearson(np.concatenate(predicted), np.concatenate(measured))
        known = r[np.isfinite(r)]
        return {"r": float(known.mean()) if known.size else 0.0, "loss": total / rows}


@dataclass(frozen=True, eq=False)
class AttentionModel:
    """A fitted transformer readout.

    Parameters
    ----------
    network : tokens (images, tokens, channels) to responses in training units, on the CPU.
    table : who reads what, and the names of the queries.
    layers : layers of the store that are joined.
    grid : rows and columns of the tokens.
    mean, sd : (targets,) of the training responses.
    """

    network: AttentionEncoder
    table: QueryTable
    layers: list[str]
    grid: tuple[int, int]
    mean: NDArray[np.float32]
    sd: NDArray[np.float32]

    @property
    def queries(self) -> tuple[str, ...]:
        """Names of the queries, in the order of their attention maps."""
        return self.table.names

    def predict(self, features: Features, images: Images) -> NDArray[np.float32]:
        """Predicted responses (images, targets) of these image ids."""
        out = np.empty((len(images), len(self.mean)), dtype=np.float32)
        for rows in _blocks(len(images)):
            tokens = torch.from_numpy(read_tokens(features, self.layers, images[rows]))
            with torch.no_grad():
                out[rows] = self.network(tokens).numpy()
        return out * self.sd + self.mean

    def attention(self, features: Features, images: Images) -> NDArray[np.float16]:
        """Weights (images, queries, tokens), averaged over heads, row by row of `grid`."""
        shape = (len(images), len(self.table.names), self.grid[0] * self.grid[1])
        out = np.empty(shape, dtype=np.float16)
        for rows in _blocks(len(images)):
            tokens = torch.from_numpy(read_tokens(features, self.layers, images[rows]))
            with torch.no_grad():
                out[rows] = self.network.looks(tokens).mean(1).numpy().astype(np.float16)
        return out

    def module(self) -> nn.Module:
        """Tokens by layer to responses (images, targets), differentiable."""
        return _Responses(self)

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Nothing beside the scores."""
        return {}

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Weights, statistics and the table of queries."""
        arrays = {name: value.numpy() for name, value in self.network.state_dict().items()}
        return arrays | {"response_mean": self.mean, "response_sd": self.sd}, {
            "readout": "attention",
            "layers": self.layers,
            "grid": list(self.grid),
            "channels": len(self.network.mean),
            "queries": table_to_json(self.table),
        }


class _Responses(nn.Module):
    """A fitted readout as a module, in measured units."""

    def __init__(self, model: AttentionModel) -> None:
        super().__init__()
        self.network, self.layers = model.network, model.layers
        self.register_buffer("shift", torch.from_numpy(model.mean))
        self.register_buffer("sd", torch.from_numpy(model.sd))
        self.shift: Tensor
        self.sd: Tensor

    def forward(
        self, tokens: dict[str, Float[Tensor, "images tokens _"]]
    ) -> Float[Tensor, "images targets"]:
        """Predicted responses."""
        joined = torch.cat([tokens[layer] for layer in self.layers], dim=2)
        out: Tensor = self.network(joined) * self.sd + self.shift
        return out


class AttentionReadout:
    """The transformer readout, before training.

    Parameters
    ----------
    config : the section ``encoder``.
    """

    def __init__(self, config: AttentionConfig) -> None:
        self.config = config

    def fit(self, train: TrainingSet) -> AttentionModel:
        """Train on the training images alone; resumes from ``train.work``.

        Raises
        ------
        ConfigError : the keys do not fit the tokens or the targets.
        DataError : responses are not finite, or layers have different grids.
        """
        config = self.config
        layers = chosen_layers(train.features, config.layers)
        grid, channels = joined_shape(train.features, layers)
        table = query_table(train.targets, config.queries, rois=config.rois, overlap=config.overlap)
        mean, sd = response_statistics(train.responses)
        responses = (train.responses - mean) / sd
        torch.manual_seed(derive_seed(train.seed, "weights"))
        network = self._network(table, channels, grid)
        images = np.unique(train.images)
        network.mean, network.scale = channel_statistics(train.features, layers, images)
        held = held_out(images, config.selection, train.seed)
        is_held = np.isin(train.images, held)

        def source(rows: NDArray[np.bool_]) -> TokenSource:
            return TokenSource(train.features, layers, train.images[rows], responses[rows])

        data = TrainingData(
            train=source(~is_held),
            train_images=train.images[~is_held],
            selection=SelectionSet("selection", held, source(is_held)),
        )
        self._train(network, data, train)
        return AttentionModel(network.cpu().eval(), table, layers, grid, mean, sd)

    def _train(self, network: AttentionEncoder, data: TrainingData, train: TrainingSet) -> None:
        training = self.config.training
        steps = -(-len(data.train) // (training.batch_size * training.accumulate))
        reporter = (
            nullcontext(Silent())
            if train.open_progress is None
            else train.open_progress("training steps", steps * training.epochs)
        )
        with reporter as progress:
            fit(
                network, HemisphereLoss(_hemispheres(train.targets)), data, training,
                seed=train.seed, folder=train.work / "training",
                runtime=Runtime(
                    device=train.device, tracker=train.tracker or Silent(), progress=progress
                ),
            )  # fmt: skip

    def restore(self, arrays: dict[str, NDArray[Any]], description: Any) -> AttentionModel:
        """The fitted readout whose `AttentionModel.state` this is."""
        table = table_from_json(description["queries"])
        rows, columns = description["grid"]
        network = self._network(table, int(description["channels"]), (rows, columns))
        mean, sd = arrays.pop("response_mean"), arrays.pop("response_sd")
        network.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
        layers = list(description["layers"])
        return AttentionModel(network.eval(), table, layers, (rows, columns), mean, sd)

    def methods(self) -> str:
        """A sentence for the Methods text."""
        config = self.config
        return (
            "Responses were predicted by a transformer readout (Adeli, Sun & Kriegeskorte, 2025):"
            f" learned queries ({config.queries.value}) attend to the tokens with {config.heads}"
            f" head{'s' if config.heads > 1 else ''} and targets read linearly from their query;"
            f" trained for at most {config.training.epochs} epochs, the best one chosen on"
            f" {100 * config.selection:g} % of the training images"
        )

    def _network(self, table: QueryTable, channels: int, grid: tuple[int, int]) -> AttentionEncoder:
        config = self.config
        dim = config.dim or channels
        if dim % config.heads:
            raise ConfigError(
                "the heads do not divide the channels",
                expected=f"encoder.heads that divides {dim}",
                found=config.heads,
                fix=f"set encoder.heads=1, or encoder.dim to a multiple of {config.heads}",
            )
        sizes = Architecture(
            channels=channels,
            dim=dim,
            heads=config.heads,
            hidden=config.hidden,
            dropout=config.dropout,
            norm=config.norm,
            place=config.place,
        )
        return AttentionEncoder(table, grid, sizes)


def joined_shape(features: Features, layers: list[str]) -> tuple[tuple[int, int], int]:
    """Grid and channels of the joined layers.

    Raises
    ------
    DataError : the layers have different numbers of tokens.
    """
    shapes = {layer: features.shape(layer) for layer in layers}
    tokens = {shape[1] for shape in shapes.values()}
    if len(tokens) > 1:
        raise DataError(
            "layers with different grids cannot be joined cell by cell",
            expected="one number of tokens",
            found=", ".join(f"{layer}: {shape[1]}" for layer, shape in shapes.items()),
            fix="choose one layer with encoder.layers=[…], or one grid with backbone.pool",
        )
    count, channels = tokens.pop(), sum(shape[2] for shape in shapes.values())
    grid = getattr(features, "grid", None)
    if grid is not None:
        rows, columns = grid(layers[0])
        return (int(rows), int(columns)), channels
    side = isqrt(count)
    return ((side, side) if side * side == count else (1, count)), channels


def response_statistics(
    responses: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation (targets,) of the training responses; 1 where constant.

    Raises
    ------
    DataError : a response is NaN or infinite.
    """
    mean = responses.mean(axis=0, dtype=np.float64)
    sd = responses.std(axis=0, dtype=np.float64)
    if not np.isfinite(sd).all():
        raise DataError(
            "the training responses are not all finite",
            expected="a number for every row and target",
            found=f"{int((~np.isfinite(sd)).sum())} targets with NaN or infinity",
            fix="leave these targets out when the dataset is prepared",
        )
    return mean.astype(np.float32), np.where(sd > 0, sd, 1.0).astype(np.float32)


def channel_statistics(
    features: Features, layers: list[str], images: Images
) -> tuple[Float[Tensor, " channels"], Float[Tensor, " channels"]]:
    """Mean, and inverse standard deviation, of each channel over training pictures and tokens.

    A channel that hardly varies is silenced: its inverse is 0.
    """
    total, squares, count = 0.0, 0.0, 0
    shift = read_tokens(features, layers, images[:1]).astype(np.float64).mean((0, 1))
    for rows in _blocks(len(images)):
        tokens = read_tokens(features, layers, images[rows]).astype(np.float64) - shift
        total = total + tokens.sum((0, 1))
        squares = squares + (tokens**2).sum((0, 1))
        count += tokens.shape[0] * tokens.shape[1]
    mean = np.asarray(total / count)
    sd = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    inverse = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > _FLOOR * sd.max())
    return torch.from_numpy((mean + shift).astype(np.float32)), torch.from_numpy(
        inverse.astype(np.float32)
    )


def held_out(images: Images, share: float, seed: int) -> Images:
    """Images (ascending) held out to choose the best epoch: all rows of an image, or none.

    Raises
    ------
    DataError : there are too few images for two sides.
    """
    count = max(1, round(share * len(images)))
    if len(images) < 4 or count >= len(images):
        raise DataError(
            "there are too few training images to hold some out",
            expected="4 or more, and some left to train on",
            found=f"{len(images)} images, {count} of them held out",
            fix="lower encoder.selection, or use encoder=ridge",
        )
    return np.sort(generator(seed, "selection").permutation(images)[:count])


def _hemispheres(targets: Any) -> tuple[Tensor, ...]:
    sides = targets["hemisphere"].fillna("").to_numpy(dtype=str)
    return tuple(torch.from_numpy(np.flatnonzero(sides == side)) for side in np.unique(sides))


def _blocks(total: int) -> list[slice]:
    return [slice(start, start + BLOCK) for start in range(0, total, BLOCK)]
