"""Decoders of epochs (EEG, MEG): channels by times, one network for all subjects.

``eeg_project`` is the encoder with which Wu et al. 2025 ran their main table; ``tsconv`` is the
convolutional one of Song et al. 2024 ("Decoding natural images from EEG for object recognition").
Both end at the width of the target, behind a layer norm: no linear head follows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroattn.core.errors import ConfigError
from neuroattn.decoding.decoder import DecodingSet
from neuroattn.decoding.eeg_schemas import EegProjectConfig, TsconvConfig
from neuroattn.decoding.network import DecoderNetwork, Encoder
from neuroattn.decoding.trained import TrainedDecoder


class Project(nn.Module):
    """``norm(y + dropout(W gelu(y)))`` with ``y`` linear in the input."""

    def __init__(self, inputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        self.inner = nn.Sequential(nn.GELU(), nn.Linear(width, width), nn.Dropout(dropout))
        self.norm = nn.LayerNorm(width)

    def forward(self, values: Tensor) -> Tensor:
        """(rows, width)."""
        entered = self.enter(values)
        out: Tensor = self.norm(entered + self.inner(entered))
        return out


class EpochEncoder(Encoder):
    """A network that all subjects share: an epoch of one is an epoch of any.

    Parameters
    ----------
    front : what turns flat epochs into what is projected; None takes them flat.
    inputs : numbers of that.
    """

    def __init__(self, front: nn.Module | None, inputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.width, self.front = width, front
        self.project = Project(inputs, width, dropout)

    def first(self, subject: int, inputs: Tensor) -> Tensor:  # noqa: ARG002
        """The first layers; no subject has one of its own."""
        out: Tensor = inputs if self.front is None else self.front(inputs)
        return out

    def rest(self, hidden: Tensor) -> Tensor:
        """The projection."""
        out: Tensor = self.project(hidden)
        return out


class TimeThenSpace(nn.Sequential):
    """Filters over time, means of neighbouring samples, filters over channels.

    Parameters
    ----------
    channels, samples : of an epoch.

    Raises
    ------
    ConfigError : an epoch has too few samples for these filters.
    """

    def __init__(self, channels: int, samples: int, config: TsconvConfig) -> None:
        left = samples - config.kernel + 1
        self.steps = (left - config.pool) // config.stride + 1
        if left < config.pool:
            raise ConfigError(
                "the epochs are too short for these filters",
                expected=f"{config.kernel + config.pool - 1} samples or more",
                found=f"{samples} samples of {channels} channels",
                fix="lower decoder.kernel and decoder.pool, or widen dataset.window",
            )
        count = config.filters
        super().__init__(
            nn.Unflatten(1, (1, channels, samples)),
            nn.Conv2d(1, count, (1, config.kernel)),
            nn.AvgPool2d((1, config.pool), (1, config.stride)),
            nn.BatchNorm2d(count),
            nn.ELU(),
            nn.Conv2d(count, count, (channels, 1)),
            nn.BatchNorm2d(count),
            nn.ELU(),
            nn.Dropout(config.conv_dropout),
            nn.Conv2d(count, count, 1),
            nn.Flatten(),
        )


class EegProjectDecoder(TrainedDecoder):
    """``decoder=eeg_project``."""

    config: EegProjectConfig

    def encoder(self, train: DecodingSet) -> Encoder:
        """One encoder for all subjects.

        Raises
        ------
        ConfigError : subjects have different channels or times.
        """
        inputs = _one_width(train)
        return EpochEncoder(None, inputs, train.space.dim, self.config.dropout)

    def network(self, train: DecodingSet, prior: nn.Module | None = None) -> DecoderNetwork:
        """Without linear heads: the encoder ends at the width of the target."""
        network = super().network(train, prior)
        network.head, network.retrieval = nn.Identity(), None
        return network

    def methods(self) -> str:
        """A sentence for the Methods text."""
        return (
            "Image embeddings were predicted from whole epochs by a linear layer, a residual layer"
            " and a layer norm (after Wu et al., 2025)"
        )


class TsconvDecoder(EegProjectDecoder):
    """``decoder=tsconv``."""

    config: TsconvConfig

    def encoder(self, train: DecodingSet) -> Encoder:
        """One encoder for all subjects.

        Raises
        ------
        ConfigError : inputs are no channels by times, or too few samples.
        """
        inputs = _one_width(train)
        channels = channel_count(train.subjects[0].parcels, inputs)
        front = TimeThenSpace(channels, inputs // channels, self.config)
        width = self.config.filters * front.steps
        return EpochEncoder(front, width, train.space.dim, self.config.dropout)

    def methods(self) -> str:
        """A sentence for the Methods text."""
        return (
            f"Image embeddings were predicted by {self.config.filters} filters over time, as many"
            " over channels, and a residual projection (after Song et al., 2024)"
        )


def channel_count(names: NDArray[np.object_] | None, inputs: int) -> int:
    """Channels of an epoch that is laid out channel by channel.

    Parameters
    ----------
    names : (inputs,) channel of each input.

    Raises
    ------
    ConfigError : they do not follow one another in equal blocks.
    """
    known = [] if names is None else list(dict.fromkeys(names.tolist()))
    samples = inputs // max(len(known), 1)
    if not known or names is None or list(np.repeat(known, samples)) != names.tolist():
        raise ConfigError(
            "these inputs are no epochs, channel by channel",
            expected="targets of dataset=things_eeg2 or things_meg, not projected",
            found=f"{inputs} inputs in {len(known)} groups",
            fix="choose decoder=eeg_project or ridge_mlp, or set decoder.input.projection=none",
        )
    return len(known)


def _one_width(train: DecodingSet) -> int:
    widths = {rows.table.shape[1] for rows in train.subjects}
    if len(widths) > 1:
        raise ConfigError(
            "subjects have epochs of different sizes",
            expected="the same channels and times for all",
            found=", ".join(map(str, sorted(widths))),
            fix="set dataset.channels and dataset.window, or choose decoder=ridge_mlp",
        )
    return int(widths.pop())
