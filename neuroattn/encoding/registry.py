"""Choices of the encoder group and the stage ``encode``.

Imported by the command line at start-up, so it names code and never imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from neuroattn.core.config import Choice, Section, execution, science, section
from neuroattn.core.errors import ConfigError
from neuroattn.core.registry import Entry, Registry
from neuroattn.core.stage import Stage
from neuroattn.training.registry import (
    Decay,
    Mode,
    OptimiserConfig,
    ScheduleConfig,
    ScheduleKind,
    StoppingConfig,
    TrainingConfig,
)


class Arithmetic(Enum):
    """Floating-point type of a closed-form solution."""

    float32 = "float32"
    float64 = "float64"


class QueryKind(Enum):
    """What has a query of its own."""

    rois = "rois"  # every region of every hemisphere, and the targets in none
    hemispheres = "hemispheres"
    one = "one"


class Overlap(Enum):
    """What a target in several regions reads."""

    summed = "summed"  # the sum of their outputs, the bias as often: as in the public code
    mean = "mean"


class Place(Enum):
    """Where the code of a token's place enters."""

    none = "none"
    keys = "keys"  # it routes and is not read out (the paper)
    learned = "learned"  # in the keys, starting at the sine code and trained
    free = "free"  # one free logit per query and token: a receptive field for each query


class Norm(Enum):
    """Where the decoder layer normalises."""

    pre = "pre"
    post = "post"
    none = "none"  # what a query attends to is read out linearly


@dataclass(kw_only=True)
class EncoderConfig(Choice):
    """Keys that every encoder has."""

    layers: list[str] | None = science(
        None,
        "Layers of the backbone that are read; null reads all that were stored.",
        check=lambda names: names is None or (len(names) > 0 and len(set(names)) == len(names)),
        must="name at least one layer, and none twice",
    )


@dataclass(kw_only=True)
class RidgeConfig(EncoderConfig):
    """Exact ridge regression on all tokens and channels, with one penalty a target."""

    name: str = science("ridge", "The choice's name in its registry.")
    alpha_min: float = science(
        1e-3,
        "Smallest penalty, in units of the mean squared length of a training image's features.",
        check=lambda alpha: alpha > 0,
        must="be above 0",
    )
    alpha_max: float = science(
        1e5,
        "Largest penalty, in the same units.",
        check=lambda alpha: alpha > 0,
        must="be above 0",
    )
    n_alphas: int = science(
        17,
        "Number of penalties, evenly spaced in the exponent (17 over 8 decades: two a decade).",
        check=lambda count: count >= 1,
        must="be 1 or more",
    )
    inner_folds: int = science(
        5,
        "Folds over the training images that choose each target's penalty.",
        check=lambda count: count >= 2,
        must="be 2 or more",
    )
    standardise: bool = science(
        True,
        "Divide each feature by its standard deviation over the training images; all are centred.",
    )
    precision: Arithmetic = science(
        Arithmetic.float64,
        "Arithmetic of the Gram matrix and the solver: float64, or float32 at twice the speed.",
    )
    primal_gb: float = science(
        4.0,
        "Largest coefficient table (features x targets) that is written, GB; above it one"
        " coefficient per training image and target is, and predicting needs their features.",
        check=lambda size: size >= 0,
        must="be 0 or more",
    )
    n_targets_batch: int = execution(
        4096,
        "Targets that are solved at a time.",
        check=lambda count: count >= 1,
        must="be 1 or more",
    )
    tile_mib: int = execution(
        512,
        "Features held at a time while they stream past, MiB; more reads the store fewer times.",
        check=lambda size: size >= 1,
        must="be 1 or more",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alpha_max < self.alpha_min:
            raise ConfigError(
                "the grid of penalties is empty",
                expected=f"encoder.alpha_max of at least encoder.alpha_min ({self.alpha_min})",
                found=self.alpha_max,
                fix="raise encoder.alpha_max or lower encoder.alpha_min",
            )


def _attention_training() -> TrainingConfig:
    """AdamW, 5e-4, clipped at 0.1, batch 16, 15 epochs: the paper's settings."""
    return TrainingConfig(
        epochs=15,
        batch_size=16,
        clip_norm=0.1,
        optimiser=OptimiserConfig(lr=5e-4, weight_decay=1e-4, decay=Decay.all),
        schedule=ScheduleConfig(kind=ScheduleKind.constant),
        stopping=StoppingConfig(monitor="r", mode=Mode.max),
    )


@dataclass(kw_only=True)
class TrainedConfig(EncoderConfig):
    """Keys of every readout that is trained by gradients."""

    selection: float = science(
        0.1,
        "Share of the training images held out to choose the best epoch.",
        check=lambda share: 0 < share < 1,
        must="lie between 0 and 1",
    )
    training: TrainingConfig = section(TrainingConfig, "How it is trained.")


@dataclass(kw_only=True)
class AttentionConfig(TrainedConfig):
    """Learned queries attend to tokens; targets read linearly (Adeli, Sun & Kriegeskorte 2025)."""

    name: str = science("attention", "The choice's name in its registry.")
    queries: QueryKind = science(QueryKind.rois, "What has a query of its own: rois, …, one.")
    rois: list[str] | None = science(
        None, "Regions that have a query; null takes all that the targets name."
    )
    overlap: Overlap = science(
        Overlap.summed, "A target in several regions reads their sum (the source) or their mean."
    )
    heads: int = science(
        16, "Attention heads; they divide dim.", check=lambda n: n >= 1, must="be 1 or more"
    )
    dim: int | None = science(
        None,
        "Channels inside; null takes those of the tokens. Others put a linear projection first.",
        check=lambda n: n is None or n >= 1,
        must="be 1 or more, or null",
    )
    hidden: int = science(
        1024,
        "Width of the feed-forward part; 0 leaves it out.",
        check=lambda n: n >= 0,
        must="be 0 or more",
    )
    dropout: float = science(
        0.1,
        "Share of activations dropped in training.",
        check=lambda share: 0 <= share < 1,
        must="be 0 or more and below 1",
    )
    place: Place = science(
        Place.keys,
        "How a token's place routes: none, keys (fixed code), learned (code), free (logits).",
    )
    norm: Norm = science(
        Norm.pre, "Normalise before each part (pre, the paper), after it (post), or nowhere (none)."
    )
    training: TrainingConfig = section(_attention_training, "How it is trained.")


@dataclass(kw_only=True)
class PredictConfig(Section):
    """What a fitted encoder predicts for."""

    images: str | None = execution(
        None, "Folder of pictures to predict for; their digests enter the fingerprint."
    )
    fold: int | None = science(
        None,
        "The fold whose model predicts; null averages the predictions of all.",
        check=lambda fold: fold is None or fold >= 0,
        must="be 0 or more, or null",
    )


@dataclass(kw_only=True)
class ScoringConfig(Section):
    """How well scores are known: permutations and bootstrap of the test images."""

    permutations: int = science(
        1000,
        "Permutations of the test images for p values of each target; 0 leaves them out.",
        check=lambda draws: draws >= 0,
        must="be 0 or more",
    )
    bootstraps: int = science(
        1000,
        "Bootstrap draws of the test images for 95 % intervals; 0 leaves them out.",
        check=lambda draws: draws >= 0,
        must="be 0 or more",
    )
    attention_images: int = science(
        100,
        "Test images of each fold whose attention maps are kept; 0 keeps none.",
        check=lambda count: count >= 0,
        must="be 0 or more",
    )


ENCODERS = Registry(
    "encoder",
    {
        "ridge": Entry(RidgeConfig, "neuroattn.encoding.ridge:Ridge"),
        "attention": Entry(
            AttentionConfig, "neuroattn.encoding.attention_readout:AttentionReadout"
        ),
    },
)


def leaves(config: Any) -> Mapping[str, Path]:
    """Input files of ``encode`` by stable name: those of the split and those of the readout."""
    from neuroattn.data.dataset import split_leaves  # brings numpy, which help need not wait for

    return {**split_leaves(config), **ENCODERS.leaves(config.encoder)}


STAGES = (
    Stage(
        name="encode",
        version=3,
        about="fit a readout from features to responses, fold by fold, and predict the test images",
        reads=(
            "encoder",
            "dataset.split",
            "dataset.responses",
            "dataset.normalise",
            "dataset.ceiling",
            "scoring",
            "seed",
        ),
        parents=lambda _: ("prepare", "features"),
        leaves="neuroattn.encoding.registry:leaves",
        run="neuroattn.encoding.stage:run",
        label=lambda config: str(config.encoder.name),
    ),
    Stage(
        name="predict",
        version=1,
        about="predict the responses to a folder of pictures with a fitted encoder",
        reads=("predict",),
        parents=lambda _: ("prepare", "encode"),
        leaves="neuroattn.encoding.predict:leaves",
        run="neuroattn.encoding.predict:run",
        label=lambda config: f"predict-{config.encoder.name}",
    ),
)
