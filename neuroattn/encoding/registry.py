"""Choices of the encoder group and the stage ``encode``.

Imported by the command line at start-up, so it names code and never imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from neuroattn.core.config import Section, execution, science, section
from neuroattn.core.errors import ConfigError, MissingDataError
from neuroattn.core.registry import Entry, Registry
from neuroattn.core.resources import user_path
from neuroattn.core.stage import Stage
from neuroattn.encoding.ridge_schemas import (
    Arithmetic,
    BandedRidgeConfig,
    EncoderConfig,
    FieldRidgeConfig,
    FwrfConfig,
    Inputs,
    LinearClsConfig,
    LinearPoolConfig,
    MaskOracleConfig,
    PcaRidgeConfig,
    RidgeConfig,
    Select,
)
from neuroattn.encoding.trained_schemas import (
    EfficientProbeConfig,
    GaussianRfConfig,
    RetinaMapConfig,
    SemanticSpatialConfig,
    SpatialFeatureConfig,
    TrainedConfig,
)
from neuroattn.training.registry import (
    Decay,
    Mode,
    OptimiserConfig,
    ScheduleConfig,
    ScheduleKind,
    StoppingConfig,
    TrainingConfig,
)

__all__ = [  # the keys of closed forms have a file of their own
    "Arithmetic",
    "BandedRidgeConfig",
    "EncoderConfig",
    "FieldRidgeConfig",
    "Inputs",
    "LinearClsConfig",
    "LinearPoolConfig",
    "MaskOracleConfig",
    "PcaRidgeConfig",
    "RidgeConfig",
    "Select",
    "TrainedConfig",
]


class QueryKind(Enum):
    """What has a query of its own."""

    rois = "rois"  # every region of every hemisphere, and the targets in none
    parcels = "parcels"  # clusters of targets, or the names of an atlas file
    streams = "streams"  # early, midventral, … of the NSD atlas, and the targets in none
    hemispheres = "hemispheres"
    one = "one"
    targets = "targets"  # every target
    free = "free"  # nothing: each target reads a learned mixture of so many queries


class ParcelBy(Enum):
    """What makes targets alike, for parcels without an atlas."""

    responses = "responses"  # to the training images
    vertices = "vertices"  # places on the sphere of fsaverage5


class Mix(Enum):
    """How several layers enter."""

    joined = "joined"  # side by side, channel by channel
    learned = "learned"  # one mixture of layers for all targets
    per_target = "per_target"  # a mixture for each target; each layer is attended by itself


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


class Subjects(Enum):
    """How several subjects are fitted by a readout that can share something over them."""

    shared = "shared"  # one routing, and linear readouts of each subject's targets
    separate = "separate"  # each subject alone


class Norm(Enum):
    """Where the decoder layer normalises."""

    pre = "pre"
    post = "post"
    none = "none"  # what a query attends to is read out linearly


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
class AttentionConfig(TrainedConfig):
    """Learned queries attend to tokens; targets read linearly (Adeli, Sun & Kriegeskorte 2025)."""

    name: str = science("attention", "The choice's name in its registry.")
    queries: QueryKind = science(
        QueryKind.rois,
        "What has a query of its own: rois, parcels, streams, hemispheres, one, targets, or free.",
    )
    rois: list[str] | None = science(
        None, "Regions that have a query; null takes all that the targets name."
    )
    overlap: Overlap = science(
        Overlap.summed, "A target in several regions reads their sum (the source) or their mean."
    )
    atlas: str | None = execution(
        None,
        "Parcel of each target, for queries=parcels: a .tsv (target, parcel) or a .npy (targets,)."
        " Its digest enters the fingerprint.",
    )
    parcels: int = science(
        100,
        "Clusters of each hemisphere for queries=parcels without an atlas.",
        check=lambda count: count >= 1,
        must="be 1 or more",
    )
    parcel_by: ParcelBy = science(
        ParcelBy.responses, "Cluster targets by training responses, or by their vertices."
    )
    parcel_size: int = science(
        10,
        "Fewest targets of a cluster; a smaller one joins the nearest.",
        check=lambda count: count >= 1,
        must="be 1 or more",
    )
    n_queries: int = science(
        16, "Queries for queries=free.", check=lambda count: count >= 1, must="be 1 or more"
    )
    mix: Mix = science(
        Mix.joined,
        "Several layers: joined, a learned mixture for all targets (learned), or per_target.",
    )
    depth: int = science(
        1,
        "Decoder layers; the queries of later ones know what the earlier ones found.",
        check=lambda count: count >= 1,
        must="be 1 or more",
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
    subjects: Subjects = science(
        Subjects.shared,
        "Several subjects: shared (one routing, linear readouts of each) or separate models.",
    )
    start: str | None = execution(
        None,
        "A fitted encode artefact whose routing is taken over: a folder, a label or a fingerprint;"
        " its fingerprint enters as that of a parent.",
    )
    start_lr: float = science(
        0.0,
        "Learning rate of the routing taken over, as a share of the other; 0 freezes it.",
        check=lambda share: 0 <= share <= 1,
        must="be 0 to 1",
    )
    training: TrainingConfig = section(_attention_training, "How it is trained.")


def atlas_leaves(config: AttentionConfig) -> Mapping[str, Path]:
    """The atlas file, where one is given."""
    if config.atlas is None:
        return {}
    path = user_path(config.atlas)
    if not path.is_file():
        raise MissingDataError(
            "the atlas is not there",
            file=path,
            expected="a .tsv (target, parcel) or a .npy (targets,)",
            found="nothing",
            fix="correct encoder.atlas, or leave it out to cluster the targets",
        )
    return {f"atlas{path.suffix}": path}


@dataclass(kw_only=True)
class PredictConfig(Section):
    """What a fitted encoder predicts for."""

    images: str | None = execution(
        None,
        "Folder of pictures to predict for, by category where they stand in folders of their own;"
        " their digests enter the fingerprint.",
    )
    scenes: int = science(
        0,
        "In the place of a folder: composed scenes of each category, of held-out exemplars.",
        check=lambda count: count == 0 or count >= 5,
        must="be 5 or more, or 0",
    )
    bootstraps: int = science(
        1000,
        "Bootstrap draws of the pictures for intervals of a localiser in silico.",
        check=lambda draws: draws >= 0,
        must="be 0 or more",
    )
    fold: int | None = science(
        None,
        "The fold whose model predicts; null averages the predictions of all.",
        check=lambda fold: fold is None or fold >= 0,
        must="be 0 or more, or null",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scenes and self.images:
            raise ConfigError(
                "predict has two kinds of pictures",
                expected="predict.images=FOLDER or predict.scenes=NUMBER",
                found=f"both: {self.images}, {self.scenes}",
                fix="leave one out",
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
    attention_heads: bool = science(
        False, "Keep the maps of every head beside their mean: as many times the space."
    )


ENCODERS = Registry(
    "encoder",
    {
        "ridge": Entry(RidgeConfig, "neuroattn.encoding.ridge:Ridge"),
        "linear_pool": Entry(LinearPoolConfig, "neuroattn.encoding.ridge:Ridge"),
        "linear_cls": Entry(LinearClsConfig, "neuroattn.encoding.ridge:Ridge"),
        "pca_ridge": Entry(PcaRidgeConfig, "neuroattn.encoding.pca_ridge:PcaRidge"),
        "banded_ridge": Entry(BandedRidgeConfig, "neuroattn.encoding.banded:BandedRidge"),
        "field_ridge": Entry(FieldRidgeConfig, "neuroattn.encoding.field_ridge:FieldRidge"),
        "mask_oracle": Entry(MaskOracleConfig, "neuroattn.encoding.mask_oracle:MaskOracle"),
        "fwrf": Entry(FwrfConfig, "neuroattn.encoding.fwrf:Fwrf"),
        "efficient_probe": Entry(
            EfficientProbeConfig, "neuroattn.encoding.efficient_probe:EfficientProbeReadout"
        ),
        "spatial_feature": Entry(
            SpatialFeatureConfig, "neuroattn.encoding.spatial_feature:SpatialFeatureReadout"
        ),
        "gaussian_rf": Entry(GaussianRfConfig, "neuroattn.encoding.gaussian_rf:GaussianRfReadout"),
        "semantic_spatial": Entry(
            SemanticSpatialConfig, "neuroattn.encoding.semantic_spatial:SemanticSpatialReadout"
        ),
        "retina_map": Entry(
            RetinaMapConfig,
            "neuroattn.encoding.retina_map:RetinaMapReadout",
            leaves="neuroattn.encoding.trained_schemas:coordinate_leaves",
        ),
        "attention": Entry(
            AttentionConfig,
            "neuroattn.encoding.attention_readout:AttentionReadout",
            leaves="neuroattn.encoding.registry:atlas_leaves",
        ),
    },
)


def leaves(config: Any) -> Mapping[str, Path]:
    """Input files of ``encode`` by stable name: those of the split and those of the readout."""
    from neuroattn.data.dataset import split_leaves  # brings numpy, which help need not wait for

    return {**split_leaves(config), **ENCODERS.leaves(config.encoder)}


def cited(config: Any) -> Mapping[str, tuple[str, str]]:
    """Further features, and the artefact whose routing is taken over; nothing in most."""
    also = config.encoder.also.items()
    found = {f"features/{name}": ("features", reference) for name, reference in also}
    reference = getattr(config.encoder, "start", None)
    return {**found, "start": ("encode", reference)} if reference else found


STAGES = (
    Stage(
        name="encode",
        version=7,
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
        cites=cited,
        leaves="neuroattn.encoding.registry:leaves",
        run="neuroattn.encoding.stage:run",
        label=lambda config: str(config.encoder.name),
    ),
    Stage(
        name="predict",
        version=2,
        about="predict responses to pictures with a fitted encoder; by category, a localiser",
        reads=("predict", "seed"),
        parents=lambda _: ("prepare", "encode"),
        leaves="neuroattn.encoding.predict:leaves",
        run="neuroattn.encoding.predict:run",
        label=lambda config: f"predict-{config.encoder.name}",
    ),
)
