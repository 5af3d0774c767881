"""Keys of the readouts that are trained by gradients, beside the transformer's. No heavy import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from neuroattn.core.config import execution, science, section
from neuroattn.core.errors import MissingDataError
from neuroattn.core.resources import user_path
from neuroattn.encoding.ridge_schemas import EncoderConfig
from neuroattn.training.registry import (
    Decay,
    Mode,
    OptimiserConfig,
    ScheduleConfig,
    ScheduleKind,
    StoppingConfig,
    TrainingConfig,
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
    components: int | None = science(
        None,
        "Principal components of each layer's channels that are read, fitted on the training"
        " images; null reads the channels as they are.",
        check=lambda count: count is None or count >= 1,
        must="be 1 or more, or null",
    )
    training: TrainingConfig = section(TrainingConfig, "How it is trained.")


def training(lr: float, *, epochs: int = 20, batch_size: int = 32) -> TrainingConfig:
    """AdamW at a constant rate; the epoch with the best selection r is kept."""
    return TrainingConfig(
        epochs=epochs,
        batch_size=batch_size,
        clip_norm=1.0,
        optimiser=OptimiserConfig(lr=lr, weight_decay=1e-4, decay=Decay.all),
        schedule=ScheduleConfig(kind=ScheduleKind.constant),
        stopping=StoppingConfig(monitor="r", mode=Mode.max),
    )


class Mask(Enum):
    """How free spatial weights are made into a mask."""

    softmax = "softmax"  # non-negative, sums to 1
    unit = "unit"  # any sign, length 1 (Klindt et al. 2017)


class MaskOf(Enum):
    """What has a mask of its own."""

    targets = "targets"
    rois = "rois"  # the targets of a region and hemisphere share one


class Reading(Enum):
    """How a Gaussian reads."""

    pooled = "pooled"  # its weighted mean over cells
    sampled = "sampled"  # one point drawn from it in training, its centre afterwards


@dataclass(kw_only=True)
class EfficientProbeConfig(TrainedConfig):
    """Learned queries attend to raw tokens; each reads its own share of the value channels."""

    name: str = science("efficient_probe", "The choice's name in its registry.")
    queries: int = science(
        32,
        "Learned queries; they divide the channels of the tokens.",
        check=lambda count: count >= 1,
        must="be 1 or more",
    )
    training: TrainingConfig = section(lambda: training(1e-3), "How it is trained.")


@dataclass(kw_only=True)
class SpatialFeatureConfig(TrainedConfig):
    """A mask over places times a vector over channels for each target (Klindt et al. 2017)."""

    name: str = science("spatial_feature", "The choice's name in its registry.")
    mask: Mask = science(Mask.softmax, "softmax (a distribution over places) or unit (length 1).")
    mask_of: MaskOf = science(MaskOf.targets, "targets: one mask each; rois: shared in a region.")
    l1: float = science(
        0.0,
        "Weight of the mean over targets of |mask|_1 |features|_1 in the loss.",
        check=lambda weight: weight >= 0,
        must="be 0 or more",
    )
    training: TrainingConfig = section(lambda: training(3e-3), "How it is trained.")


@dataclass(kw_only=True)
class GaussianRfConfig(TrainedConfig):
    """A Gaussian receptive field of learned place and size for each target."""

    name: str = science("gaussian_rf", "The choice's name in its registry.")
    reading: Reading = science(
        Reading.pooled, "pooled (mean under the Gaussian) or sampled (a point of it; Lurz 2021)."
    )
    size: float = science(
        0.3,
        "Size at the start: standard deviation in units of half the picture's width.",
        check=lambda size: size > 0,
        must="be above 0",
    )
    training: TrainingConfig = section(lambda: training(1e-2), "How it is trained.")


@dataclass(kw_only=True)
class SemanticSpatialConfig(TrainedConfig):
    """Masks that move with the picture's content (Semantic Spatial Transformer)."""

    name: str = science("semantic_spatial", "The choice's name in its registry.")
    translation: bool = science(True, "The mask may move.")
    rotation: bool = science(True, "The mask may turn.")
    scale: bool = science(True, "The mask may grow and shrink along each axis.")
    shear: bool = science(True, "The mask may shear.")
    summary: int = science(
        4,
        "Channels to which the tokens are reduced before the movement is read from them.",
        check=lambda count: count >= 1,
        must="be 1 or more",
    )
    hidden: int = science(
        32,
        "Hidden units between the reduced tokens and the movements.",
        check=lambda count: count >= 1,
        must="be 1 or more",
    )
    training: TrainingConfig = section(lambda: training(3e-3), "How it is trained.")


@dataclass(kw_only=True)
class RetinaMapConfig(TrainedConfig):
    """A network from a target's place on the cortex to a point in the picture, and to layers."""

    name: str = science("retina_map", "The choice's name in its registry.")
    coordinates: str | None = execution(
        None,
        "A .npy file (targets, axes) of places on the cortex; null takes those of fsaverage5"
        " vertices. Its digest enters the fingerprint.",
    )
    dim: int = science(
        64,
        "Channels to which every layer is projected before a target reads it.",
        check=lambda count: count >= 1,
        must="be 1 or more",
    )
    hidden: int = science(
        64,
        "Hidden units of the network from place to point.",
        check=lambda count: count >= 1,
        must="be 1 or more",
    )
    jitter: float = science(
        0.1,
        "Deviation of the random shift of points in training, in units of half the picture.",
        check=lambda deviation: deviation >= 0,
        must="be 0 or more",
    )
    training: TrainingConfig = section(lambda: training(3e-3), "How it is trained.")


def coordinate_leaves(config: RetinaMapConfig) -> Mapping[str, Path]:
    """The file of coordinates, where one is given."""
    if config.coordinates is None:
        return {}
    path = user_path(config.coordinates)
    if not path.is_file():
        raise MissingDataError(
            "the file of coordinates is not there",
            file=path,
            expected="a .npy file (targets, axes)",
            found="nothing",
            fix="correct encoder.coordinates, or leave it out for fsaverage5 vertices",
        )
    return {"coordinates.npy": path}
