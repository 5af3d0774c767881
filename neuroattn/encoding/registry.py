"""Choices of the encoder group and the stage ``encode``.

Imported by the command line at start-up, so it names code and never imports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from neuroattn.core.config import Choice, execution, science
from neuroattn.core.errors import ConfigError
from neuroattn.core.registry import Entry, Registry
from neuroattn.core.stage import Stage


class Arithmetic(Enum):
    """Floating-point type of a closed-form solution."""

    float32 = "float32"
    float64 = "float64"


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


ENCODERS = Registry("encoder", {"ridge": Entry(RidgeConfig, "neuroattn.encoding.ridge:Ridge")})

STAGES = (
    Stage(
        name="encode",
        version=1,
        about="fit a readout from features to responses, fold by fold, and predict the test images",
        reads=("encoder", "dataset.split", "dataset.responses", "seed"),
        parents=lambda _: ("prepare", "features"),
        leaves="neuroattn.data.dataset:split_leaves",
        run="neuroattn.encoding.stage:run",
        label=lambda config: str(config.encoder.name),
    ),
)
