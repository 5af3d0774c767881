"""What the training of an embedded model is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neuroattn.core.seeding import derive_seed
from neuroattn.features.backbones import Backbone
from neuroattn.generators.cards import identity, read_card
from neuroattn.generators.registry import ModelConfig
from neuroattn.training.loop import Outcome, Runtime, fit
from neuroattn.training.selection import TrainingData
from neuroattn.training.task import Task


@dataclass(frozen=True)
class Workplace:
    """Where a model is made.

    Parameters
    ----------
    root : finished models stand here by name; scenes and checkpoints below it.
    name : of the model in the making.
    """

    root: Path
    name: str
    runtime: Runtime = field(default_factory=Runtime)

    @property
    def cache(self) -> Path:
        """Scenes, and what frozen networks make of them; shared by the models."""
        return self.root / "scenes"

    @property
    def work(self) -> Path:
        """Checkpoints of this model."""
        return self.root / ".work" / self.name

    @property
    def device(self) -> torch.device:
        """Where frozen networks compute."""
        from neuroattn.features.backbones import choose_device

        return choose_device(self.runtime.device)

    def needed(self, name: str) -> Any:
        """Another model that this one is made from, as `Maker.read` gives it."""
        from neuroattn.generators.registry import MODELS

        read_card(self.root / name)
        maker: Maker = MODELS.load(name)
        return maker.read(self.root / name, self.device)

    def identity_of(self, name: str) -> str:
        """First digits of the digest of another model, to name what is computed with it."""
        return identity(read_card(self.root / name))[:8]


@dataclass(frozen=True)
class Made:
    """A trained model, not yet on the disk.

    Parameters
    ----------
    save : writes its files into an empty folder.
    scores : held-out figures.
    """

    save: Callable[[Path], None]
    scores: Mapping[str, float]
    steps: int


@dataclass(frozen=True)
class Maker:
    """One embedded model: how it is trained, how it is read, and what to say of it.

    Parameters
    ----------
    data : one sentence on what it is trained on, by its configuration.
    score : held-out figures of the finished model, by its configuration; None where they can be
        had at the end of its training alone.
    """

    about: str
    limits: str
    data: Callable[[Any], str]
    train: Callable[[Any, Workplace], Made]
    read: Callable[[Path, torch.device], Any]
    score: Callable[[Any, Workplace], Mapping[str, float]] | None = None


def seeded(config: ModelConfig, make: Callable[[], nn.Module]) -> nn.Module:
    """A network with the first weights that the configuration's seed gives.

    Its images lie channels last: on two cores the autoencoder's forward and backward pass takes
    0.52 s so, and 0.71 s channels first.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(config.seed, config.name, "weights"))
        made = make()
    # torch's own type stub leaves this argument out.
    made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return made


def trained(
    network: nn.Module, task: Task, data: TrainingData, config: ModelConfig, place: Workplace
) -> Outcome:
    """Train ``network``, or resume where it was stopped; afterwards it holds the best weights."""
    return fit(
        network,
        task,
        data,
        config.training,
        seed=derive_seed(config.seed, config.name, "order"),
        folder=place.work,
        runtime=place.runtime,
    )


def image_network(name: str, side: int, device: torch.device) -> Backbone:
    """A frozen image network of the features, for pictures of ``side`` pixels."""
    from neuroattn.features.registry import BACKBONES

    config = BACKBONES.entry(name).schema(image_size=side, layers=["pooled"])
    made: Backbone = BACKBONES.load(name)(config, device)
    return made


def half_weights(network: nn.Module) -> dict[str, torch.Tensor]:
    """All weights on the CPU, floating ones in half precision: what is shipped."""
    return {
        name: (value.half() if value.is_floating_point() else value).detach().cpu().contiguous()
        for name, value in network.state_dict().items()
    }


def put_half_weights(network: nn.Module, file: Path) -> None:
    """Put shipped weights into ``network`` in single precision.

    Raises
    ------
    ArtefactError : they belong to another network.
    """
    from neuroattn.training.weights import put_weights, read_weights

    weights = {
        name: value.float() if value.is_floating_point() else value
        for name, value in read_weights(file).items()
    }
    put_weights(network, weights, file)
