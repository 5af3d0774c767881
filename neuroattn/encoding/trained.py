"""What every readout that is trained by gradients shares: data, loss, fitting, storing.

Tokens are standardised per channel and responses per target, both with statistics of the
training images alone. Training is `neuroattn.training.loop.fit`; the best epoch is chosen on
images held out from the training side, never on test images.

A readout of this family says which network it trains (`TrainedReadout.network`) and what that
network must know beside the shapes of its tokens (`TrainedReadout.plan`, kept as JSON).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from neuroattn.core.errors import ArtefactError, DataError
from neuroattn.core.seeding import derive_seed, generator
from neuroattn.encoding.joint import (
    SeenCorrelation,
    SeenScores,
    SubjectResponses,
    masked_sum,
)
from neuroattn.encoding.kept import keep_history
from neuroattn.encoding.readout import Features, TrainingSet, chosen_layers
from neuroattn.encoding.registry import TrainedConfig
from neuroattn.encoding.tokens import (
    Front,
    Images,
    Shape,
    Tokens,
    TokenSource,
    blocks,
    layer_shape,
    projected,
    read,
    tokens_of,
)
from neuroattn.training.batches import Batch, EvaluationLoader
from neuroattn.training.loop import Runtime, fit
from neuroattn.training.selection import SelectionSet, TrainingData
from neuroattn.training.tracking import Silent

Plan = dict[str, Any]
Shapes = Mapping[str, Shape]
_FEWEST_HELD = 3  # of fewer images there is no correlation


class Network(nn.Module):
    """Standardising front and trained core: tokens by layer to responses in training units.

    Parameters
    ----------
    core : takes standardised tokens by layer and gives (images, targets).
    """

    def __init__(self, shapes: Shapes, core: nn.Module) -> None:
        super().__init__()
        self.front, self.core = Front(shapes), core

    def forward(self, tokens: Tokens) -> Float[Tensor, "images targets"]:
        """Predicted responses in training units (z-scores)."""
        out: Tensor = self.core(self.front(tokens))
        return out


@dataclass(frozen=True)
class HemisphereLoss:
    """Mean squared error per hemisphere, added up, as published; evaluation by mean r.

    Parameters
    ----------
    columns : one index array of targets per hemisphere.
    """

    columns: tuple[Tensor, ...]

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Sum over hemispheres of the mean squared error over pictures and targets.

        With several subjects each mean is over what was measured.
        """
        error: Tensor = (model(tokens_of(batch)) - batch["responses"]).square()
        if "seen" in batch:
            return masked_sum(error, batch["seen"], self.columns)
        if len(self.columns) == 1:
            return error.mean()
        parts = [error[:, columns.to(error.device)].mean() for columns in self.columns]
        return torch.stack(parts).sum()

    def evaluate(self, model: nn.Module, loader: EvaluationLoader) -> Mapping[str, float]:
        """``r``: Pearson correlation per target over the selection images, averaged; ``loss``."""
        scores = SeenScores()
        for batch in loader:
            guess, measured = model(tokens_of(batch)), batch["responses"]
            scores.add(
                guess, measured, batch.get("seen", torch.ones_like(measured, dtype=torch.bool))
            )
        return scores.scores()


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A fitted readout of this family.

    Parameters
    ----------
    name : of the readout in its registry.
    network : on the CPU, in evaluation mode.
    shapes : layer -> shape of its tokens, as the core takes them.
    plan : what the network was built from, as JSON.
    mean, sd : (targets,) of the training responses.
    r_selection : (targets,) correlation over the images that chose the epoch.
    """

    name: str
    network: Network
    shapes: Shapes
    plan: Plan
    mean: NDArray[np.float32]
    sd: NDArray[np.float32]
    r_selection: NDArray[np.float64]

    @property
    def layers(self) -> list[str]:
        """Layers of the store that are read."""
        return list(self.shapes)

    def predict(self, features: Features, images: Images) -> NDArray[np.float32]:
        """Predicted responses (images, targets) of these image ids."""
        out = np.empty((len(images), len(self.mean)), dtype=np.float32)
        for rows in blocks(len(images)):
            with torch.no_grad():
                out[rows] = self.network(read(features, self.layers, images[rows])).numpy()
        return out * self.sd + self.mean

    def module(self) -> nn.Module:
        """Tokens by layer to responses (images, targets), differentiable, in measured units."""
        return _Responses(self)

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Correlation of each target over the images that chose the epoch."""
        return {"r_selection": self.r_selection}

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Weights, statistics, shapes and plan."""
        arrays = {name: value.numpy() for name, value in self.network.state_dict().items()}
        statistics = {
            "response_mean": self.mean,
            "response_sd": self.sd,
            "r_selection": self.r_selection,
        }
        shapes = {
            layer: {"grid": list(shape.grid), "channels": shape.channels}
            for layer, shape in self.shapes.items()
        }
        return arrays | statistics, {"readout": self.name, "shapes": shapes, "plan": self.plan}


class _Responses(nn.Module):
    """A fitted readout as a module, in measured units."""

    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        self.network = model.network
        self.register_buffer("shift", torch.from_numpy(model.mean))
        self.register_buffer("sd", torch.from_numpy(model.sd))
        self.shift: Tensor
        self.sd: Tensor

    def forward(self, tokens: Tokens) -> Float[Tensor, "images targets"]:
        """Predicted responses."""
        out: Tensor = self.network(tokens) * self.sd + self.shift
        return out


class TrainedReadout(ABC):
    """A readout that is trained by gradients.

    Parameters
    ----------
    config : the section ``encoder``.
    """

    fitted: ClassVar[type[TrainedModel]] = TrainedModel

    def __init__(self, config: TrainedConfig) -> None:
        self.config = config

    @abstractmethod
    def plan(self, targets: pd.DataFrame, shapes: Shapes) -> Plan:
        """What the network must know beside the config and the shapes, as JSON.

        Raises
        ------
        ConfigError, DataError : the keys do not fit the targets or the tokens.
        """

    def plan_for(self, train: TrainingSet, shapes: Shapes) -> Plan:
        """The plan from all that may be learned from; most need the targets alone."""
        return self.plan(train.targets, shapes)

    @abstractmethod
    def network(self, plan: Plan, shapes: Shapes) -> nn.Module:
        """The untrained core: standardised tokens by layer in, (images, targets) out.

        Its random weights come from torch's global stream, which `fit` has seeded.
        """

    @abstractmethod
    def methods(self) -> str:
        """A sentence for the Methods text, without a full stop."""

    def fewer(self) -> str:
        """What follows "the tokens" in a sentence where their channels were projected."""
        count = self.config.components
        kept = f" (projected on {count} principal components of each layer's channels over the"
        return "" if count is None else f"{kept} training images)"

    def task(self, targets: pd.DataFrame) -> HemisphereLoss:
        """Loss and evaluation."""
        return HemisphereLoss(hemispheres(targets))

    def begin(self, network: Network) -> Optimizer | None:  # noqa: ARG002
        """Change an untrained network before it is trained; most leave it as it is.

        Returns an optimiser in place of the configured one, or None.
        """
        return None

    def fit(self, train: TrainingSet) -> TrainedModel:
        """Train on the training images alone; resumes from ``train.work``.

        Raises
        ------
        ConfigError : the keys do not fit the tokens or the targets.
        DataError : responses are not finite, or layers have different grids.
        """
        layers = chosen_layers(train.features, self.config.layers)
        stored = {layer: layer_shape(train.features, layer) for layer in layers}
        shapes = projected(stored, self.config.components)
        mean, sd = response_statistics(train.responses)
        plan = self.plan_for(train, shapes)
        torch.manual_seed(derive_seed(train.seed, "weights"))
        network = Network(shapes, self.network(plan, shapes))
        network.front.learn(train.features, np.unique(train.images), self.config.components)
        optimiser = self.begin(network)
        held = held_out(np.unique(train.images), self.config.selection, train.seed)
        is_held = np.isin(train.images, held)

        def source(rows: NDArray[np.bool_]) -> TokenSource:
            return TokenSource(
                train.features, layers, train.images, train.responses, mean, sd,
                np.flatnonzero(rows),
            )  # fmt: skip

        data = TrainingData(
            train=source(~is_held),
            train_images=train.images[~is_held],
            selection=SelectionSet("selection", held, source(is_held)),
        )
        self._train(network, data, train, optimiser)
        none = np.full(len(mean), np.nan)
        model = self.fitted(
            self.config.name, network.cpu().eval(), shapes, plan, mean, sd, r_selection=none
        )
        none[:] = _over(model, train, np.flatnonzero(is_held))
        return model

    def _train(
        self,
        network: nn.Module,
        data: TrainingData,
        train: TrainingSet,
        optimiser: Optimizer | None,
    ) -> None:
        training = self.config.training
        steps = -(-len(data.train) // (training.batch_size * training.accumulate))
        reporter = (
            nullcontext(Silent())
            if train.open_progress is None
            else train.open_progress("training steps", steps * training.epochs)
        )
        with reporter as progress:
            outcome = fit(
                network, self.task(train.targets), data, training,
                seed=train.seed, folder=train.work / "training",
                optimiser=optimiser,
                runtime=Runtime(
                    device=train.device, tracker=train.tracker or Silent(), progress=progress
                ),
            )  # fmt: skip
        keep_history(train.work, outcome.history)

    def restore(self, arrays: dict[str, NDArray[Any]], description: Any) -> TrainedModel:
        """The fitted readout whose `TrainedModel.state` this is.

        Raises
        ------
        ArtefactError : it is of another readout, or has keys that this version does not know.
        """
        unknown = sorted(set(description) ^ {"readout", "shapes", "plan"})
        if unknown or description["readout"] != self.config.name:
            raise ArtefactError(
                "this model was stored in another form", expected=f"readout {self.config.name}",
                found=", ".join(unknown) or description["readout"],
                fix="load it with the version of neuroattn that wrote it, or fit it again",
            )  # fmt: skip
        shapes = {
            layer: Shape((int(shape["grid"][0]), int(shape["grid"][1])), int(shape["channels"]))
            for layer, shape in description["shapes"].items()
        }
        plan = description["plan"]
        network = Network(shapes, self.network(plan, shapes))
        network.front.expect(arrays, "front.")
        mean, sd, r = (arrays.pop(n) for n in ("response_mean", "response_sd", "r_selection"))
        network.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
        return self.fitted(self.config.name, network.eval(), shapes, plan, mean, sd, r)


def _over(model: TrainedModel, train: TrainingSet, rows: Images) -> NDArray[np.float64]:
    """Correlation (targets,) over some rows of a training set, a block at a time."""
    found = SeenCorrelation(len(model.mean))
    for part in blocks(len(rows)):
        some = rows[part]
        guess = (model.predict(train.features, train.images[some]) - model.mean) / model.sd
        table = (np.asarray(train.responses[some]) - model.mean) / model.sd
        found.add(guess, table, np.isfinite(table))
    return found.r()


def response_statistics(
    responses: NDArray[np.float32] | SubjectResponses,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation (targets,) of the training responses; 1 where constant.

    Raises
    ------
    DataError : a response is NaN or infinite.
    """
    if isinstance(responses, SubjectResponses):
        parts = [response_statistics(part) for part in responses.seen()]
        means, deviations = zip(*parts, strict=True)
        return np.concatenate(means), np.concatenate(deviations)
    mean, squares = np.zeros((2, responses.shape[1]))
    for rows in blocks(len(responses)):
        mean += responses[rows].sum(0, dtype=np.float64) / len(responses)
    for rows in blocks(len(responses)):
        squares += np.square(responses[rows] - mean).sum(0) / len(responses)
    sd = np.sqrt(squares)
    if not np.isfinite(sd).all():
        raise DataError(
            "the training responses are not all finite",
            expected="a number for every row and target",
            found=f"{int((~np.isfinite(sd)).sum())} targets with NaN or infinity",
            fix="leave these targets out when the dataset is prepared",
        )
    return mean.astype(np.float32), np.where(sd > 0, sd, 1.0).astype(np.float32)


def held_out(images: Images, share: float, seed: int) -> Images:
    """Images (ascending) held out to choose the best epoch: all rows of an image, or none.

    Never fewer than three: of fewer there is no correlation that could tell epochs apart.

    Raises
    ------
    DataError : there are too few images for two sides.
    """
    count = max(_FEWEST_HELD, round(share * len(images)))
    if len(images) < 2 * _FEWEST_HELD or count >= len(images):
        raise DataError(
            "there are too few training images to hold some out",
            expected=f"{2 * _FEWEST_HELD} or more, and some left to train on",
            found=f"{len(images)} images, {count} of them held out",
            fix="take more images, lower encoder.selection, or use encoder=ridge",
        )
    return np.sort(generator(seed, "selection").permutation(images)[:count])


def hemispheres(targets: pd.DataFrame) -> tuple[Tensor, ...]:
    """Columns of the targets of each hemisphere."""
    sides = targets["hemisphere"].fillna("").to_numpy(dtype=str)
    return tuple(torch.from_numpy(np.flatnonzero(sides == side)) for side in np.unique(sides))
