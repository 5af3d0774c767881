"""Keys of every decoder: what it reads, what it is to predict, how, and how it is tested.

No heavy import.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from neuroattn.core.config import Choice, Section, execution, science, section
from neuroattn.core.errors import ConfigError
from neuroattn.encoding.ridge_schemas import check_grid
from neuroattn.training.registry import (
    Mode,
    OptimiserConfig,
    ScheduleConfig,
    ScheduleKind,
    StoppingConfig,
    TrainingConfig,
)


class Source(Enum):
    """What a trial is."""

    betas = "betas"  # one number for each target
    series = "series"  # several: columns are blocks of one TR each, all with the same targets


class Frames(Enum):
    """How betas enter an encoder that reads series."""

    one = "one"  # as the only frame
    repeated = "repeated"  # as `input.trs` equal frames


class Reduce(Enum):
    """What is made of the standardised responses before anything is trained."""

    none = "none"
    parcels = "parcels"  # means over the parcels of an atlas, or over clusters of targets
    pca = "pca"  # principal components, by a randomised decomposition


class Pool(Enum):
    """What of a layer's tokens is the target."""

    mean = "mean"
    max = "max"
    tokens = "tokens"  # all, side by side


class Scale(Enum):
    """How an embedding is scaled, by statistics of the training images, before it has length 1."""

    none = "none"
    centre = "centre"
    zscore = "zscore"


class Average(Enum):
    """What is averaged over the repeats of a test image."""

    responses = "responses"
    embeddings = "embeddings"


class LossKind(Enum):
    """The contrastive part of the loss."""

    infonce = "infonce"
    softclip = "softclip"
    bimixco = "bimixco"
    siglip = "siglip"
    none = "none"


class Negatives(Enum):
    """What a brain is contrasted with."""

    batch = "batch"
    bank = "bank"  # every training image: embeddings are frozen, so that is exact and cheap


@dataclass(kw_only=True)
class InputConfig(Section):
    """What is read of a trial, and its projection, which is fitted on training trials alone."""

    source: Source = science(Source.betas, "betas, or series (blocks of columns, one TR each).")
    trs: int = science(
        1,
        "TRs of a trial of source=series, or equal frames for frames=repeated.",
        check=lambda count: count >= 1,
        must="be 1 or more",
    )
    frames: Frames = science(
        Frames.one, "How betas enter an encoder of series: as one frame, or repeated."
    )
    rois: list[str] = science([], "Regions that are read; empty reads every target.")
    without: list[str] = science([], "Regions that are left out (all but V1: [V1v, V1d]).")
    networks: list[str] = science([], "Names of the atlas that are read; empty reads all.")
    atlas: str | None = execution(
        None,
        "Network or parcel of each target: a .tsv (target, parcel) or a .npy (targets,). Its"
        " digest enters the fingerprint.",
    )
    projection: Reduce = science(Reduce.none, "none, parcels (means) or pca (randomised).")
    parcels: int = science(
        100,
        "Clusters of each hemisphere, for parcels without an atlas.",
        check=lambda count: count >= 1,
        must="be 1 or more",
    )
    components: int = science(
        512,
        "Principal components, for projection=pca.",
        check=lambda count: count >= 1,
        must="be 1 or more",
    )


@dataclass(kw_only=True)
class TargetConfig(Section):
    """The embeddings that are to be predicted: of ``backbone``, and of further features."""

    layers: list[str] | None = science(
        None, "Layers of the backbone; null takes the last that was stored."
    )
    weights: list[float] = science([], "Weight of each layer; empty weighs them alike.")
    also: list[str] = science(
        [],
        "Further features: artefacts, or overrides that make them, as in"
        " 'backbone=captions backbone.layers=[captions]'.",
    )
    also_weights: list[float] = science([], "Weight of each of these; empty gives each 1.")
    pool: Pool = science(Pool.mean, "mean or max over tokens, or all tokens side by side.")
    scale: Scale = science(Scale.centre, "none, centre or zscore, fitted on training images.")

    def __post_init__(self) -> None:
        super().__post_init__()
        pairs = (
            ("weights", self.weights, self.layers),
            ("also_weights", self.also_weights, self.also),
        )
        for name, weights, of in pairs:
            if weights and len(weights) != len(of or ()):
                raise ConfigError(
                    "there is not one weight for each target",
                    expected=f"{len(of or ())} in decoder.target.{name}, or none",
                    found=len(weights),
                    fix="give one number for each, in the same order",
                )
            if any(weight <= 0 for weight in weights):
                raise ConfigError(
                    "a target weighs nothing",
                    expected=f"numbers above 0 in decoder.target.{name}",
                    found=weights,
                    fix="leave that target out",
                )


@dataclass(kw_only=True)
class EvaluationConfig(Section):
    """How the decoder is tested."""

    average: Average = science(
        Average.responses, "Average a test image's responses over repeats, or their embeddings."
    )
    ways: int = science(
        300,
        "Items of a retrieval draw; all test images where there are fewer.",
        check=lambda count: count >= 2,
        must="be 2 or more",
    )
    draws: int = science(
        30, "Retrieval draws.", check=lambda count: count >= 1, must="be 1 or more"
    )
    permutations: int = science(
        1000,
        "Permutations of the pairing, within subject; 0 leaves p out.",
        check=lambda count: count >= 0,
        must="be 0 or more",
    )
    bootstraps: int = science(
        1000,
        "Bootstrap draws of the test images; 0 leaves intervals out.",
        check=lambda count: count >= 0,
        must="be 0 or more",
    )
    top: list[int] = science(
        [1, 5],
        "Found means: within the first so many.",
        check=lambda ranks: bool(ranks) and min(ranks) >= 1,
        must="be numbers of 1 or more",
    )
    hard_ways: int = science(
        10,
        "Gallery of images with the same objects, the own one included.",
        check=lambda count: count >= 2,
        must="be 2 or more",
    )
    shown: int = science(
        8,
        "Queries of each subject whose first five images are kept, drawn at random.",
        check=lambda count: count >= 0,
        must="be 0 or more",
    )


@dataclass(kw_only=True)
class DecoderConfig(Choice):
    """Keys that every decoder has."""

    fold: int = science(
        0, "The fold of the split that is decoded.", check=lambda k: k >= 0, must="be 0 or more"
    )
    images: int | None = science(
        None,
        "Training images of each subject, drawn at random; null takes all.",
        check=lambda count: count is None or count >= 1,
        must="be 1 or more, or null",
    )
    input: InputConfig = section(InputConfig, "What is read of a trial.")
    target: TargetConfig = section(TargetConfig, "The embeddings that are predicted.")
    evaluation: EvaluationConfig = section(EvaluationConfig, "How it is tested.")


@dataclass(kw_only=True)
class RidgeDecoderConfig(DecoderConfig):
    """Ridge regression from responses to embeddings, in closed form."""

    name: str = science("ridge", "The choice's name in its registry.")
    alpha_min: float = science(
        1e-3,
        "Smallest penalty, in units of the mean squared length of a trial.",
        check=lambda alpha: alpha > 0,
        must="be above 0",
    )
    alpha_max: float = science(
        1e5, "Largest penalty, in the same units.", check=lambda a: a > 0, must="be above 0"
    )
    n_alphas: int = science(
        17, "Number of penalties between them.", check=lambda n: n >= 1, must="be 1 or more"
    )
    inner_folds: int = science(
        5,
        "Folds over the training images that choose the penalty of each dimension.",
        check=lambda count: count >= 2,
        must="be 2 or more",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_grid(self, "decoder")


@dataclass(kw_only=True)
class LossConfig(Section):
    """What a trained decoder minimises."""

    kind: LossKind = science(
        LossKind.infonce, "infonce, softclip, bimixco, siglip or none: the contrastive part."
    )
    negatives: Negatives = science(
        Negatives.batch, "A brain's negatives: images of the batch, or the bank (all in training)."
    )
    scale: float = science(
        1 / 0.07,
        "What cosines are multiplied by at the start.",
        check=lambda scale: scale > 0,
        must="be above 0",
    )
    learn_scale: bool = science(True, "Learn the scale; false keeps it as it begins.")
    scale_max: float = science(
        100.0,
        "It never exceeds this.",
        check=lambda scale: scale > 0,
        must="be above 0",
    )
    mixco_until: float = science(
        0.0,
        "Share of the epochs, from the first, in which the loss is BiMixCo instead.",
        check=lambda share: 0 <= share <= 1,
        must="be 0 to 1",
    )
    mixco_beta: float = science(
        0.15, "Both parameters of its Beta distribution.", check=lambda b: b > 0, must="be above 0"
    )
    mixco_share: float = science(
        0.5,
        "Share of the trials that are mixed with another of their subject.",
        check=lambda share: 0 <= share <= 1,
        must="be 0 to 1",
    )
    soft_start: float = science(
        0.004, "Temperature of SoftCLIP at the start.", check=lambda t: t > 0, must="be above 0"
    )
    soft_end: float = science(
        0.0075, "And at the end, by a cosine.", check=lambda t: t > 0, must="be above 0"
    )
    contrastive: float = science(
        1.0, "Weight of the contrastive part.", check=lambda w: w >= 0, must="be 0 or more"
    )
    cosine: float = science(
        0.0, "Weight of 1 - cosine.", check=lambda w: w >= 0, must="be 0 or more"
    )
    l2: float = science(
        0.0,
        "Weight of the mean squared error of embeddings.",
        check=lambda w: w >= 0,
        must="be 0 or more",
    )

    @property
    def mixing(self) -> float:
        """Share of the epochs, from the first, in which trials are mixed."""
        return 1.0 if self.kind is LossKind.bimixco else self.mixco_until

    def __post_init__(self) -> None:
        super().__post_init__()
        contrasted = self.kind is not LossKind.none and self.contrastive > 0
        if not contrasted and self.cosine == 0 and self.l2 == 0:
            raise ConfigError(
                "there is nothing to minimise",
                expected="a contrastive loss, or decoder.loss.cosine or decoder.loss.l2 above 0",
                found="neither",
                fix="set decoder.loss.kind=infonce",
            )
        if self.negatives is Negatives.bank and self.kind in (LossKind.softclip, LossKind.siglip):
            raise ConfigError(
                f"{self.kind.value} has no negatives beside those of the batch",
                expected="decoder.loss.negatives=batch",
                found="bank",
                fix="set decoder.loss.negatives=batch, or decoder.loss.kind=infonce",
            )
        if self.scale > self.scale_max:
            raise ConfigError(
                "the scale begins above its limit",
                expected=f"decoder.loss.scale of at most {self.scale_max:g}",
                found=f"{self.scale:g}",
                fix="lower decoder.loss.scale or raise decoder.loss.scale_max",
            )


@dataclass(kw_only=True)
class SelectionConfig(Section):
    """The images that choose the best epoch: never those of the test."""

    split: str = science(
        "held_out",
        "held_out (a share of the training images), train (all of them, said openly), or a split"
        " of the dataset, whose test side chooses and is not trained on.",
        check=lambda name: bool(name.strip()),
        must="name a split",
    )
    share: float = science(
        0.1,
        "Share of the training images for held_out.",
        check=lambda share: 0 < share < 1,
        must="lie between 0 and 1",
    )


def training(lr: float, epochs: int, batch_size: int, decay: float = 1e-2) -> TrainingConfig:
    """AdamW under a cosine; the epoch with the best reciprocal rank on selection is kept."""
    return TrainingConfig(
        epochs=epochs,
        batch_size=batch_size,
        clip_norm=1.0,
        optimiser=OptimiserConfig(lr=lr, weight_decay=decay),
        schedule=ScheduleConfig(kind=ScheduleKind.cosine, warmup=min(1.0, epochs / 4)),
        stopping=StoppingConfig(monitor="mrr", mode=Mode.max),
    )


@dataclass(kw_only=True)
class TrainedDecoderConfig(DecoderConfig):
    """Keys of every decoder that is trained by gradients."""

    head: bool = science(
        False,
        "A projection of its own for retrieval, so that cosine and l2 do not pull on it.",
    )
    rank: int | None = science(
        None,
        "Rank of the last layer; null leaves it whole.",
        check=lambda rank: rank is None or rank >= 1,
        must="be 1 or more, or null",
    )
    loss: LossConfig = section(LossConfig, "What it minimises.")
    selection: SelectionConfig = section(SelectionConfig, "The images that choose the epoch.")
    training: TrainingConfig = section(TrainingConfig, "How it is trained.")
