"""Keys of the readouts with a closed form: ridge and its relatives.

They stand beside `registry`, which names their code, because they are many. No heavy import.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from neuroattn.core.config import Choice, execution, science
from neuroattn.core.errors import ConfigError


class Grid(Protocol):
    """Smallest, largest, and how many of them, evenly spaced in the exponent."""

    alpha_min: float
    alpha_max: float
    n_alphas: int


def check_grid(grid: Grid, section: str) -> None:
    """Refuse a grid without a penalty, under the keys of ``section``.

    Raises
    ------
    ConfigError : the largest is below the smallest.
    """
    if grid.alpha_max < grid.alpha_min:
        raise ConfigError(
            "the grid of penalties is empty",
            expected=f"{section}.alpha_max of at least {section}.alpha_min ({grid.alpha_min})",
            found=grid.alpha_max,
            fix=f"raise {section}.alpha_max or lower {section}.alpha_min",
        )


class Arithmetic(Enum):
    """Floating-point type of a closed-form solution."""

    float32 = "float32"
    float64 = "float64"


class Inputs(Enum):
    """What of each layer a readout is given."""

    all = "all"  # every token
    mean = "mean"  # the mean over tokens
    cls = "cls"  # the one vector of a layer that has one, such as `pooled`


class Select(Enum):
    """How several layers are read."""

    joined = "joined"
    best_layer = "best_layer"


_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def _names(further: Any) -> bool:
    return all(_NAME.fullmatch(name) and reference for name, reference in further.items())


@dataclass(kw_only=True)
class EncoderConfig(Choice):
    """Keys that every encoder has."""

    also: dict[str, str] = execution(
        {},
        "Further features by name: overrides of this run (backbone=gabor), or a features artefact."
        " Their layers are called name:layer, and their fingerprints enter as those of parents.",
        check=_names,
        must="use names of letters, digits and _, each with a reference or overrides",
    )
    layers: list[str] | None = science(
        None,
        "Layers that are read (name:layer of further features); null reads all that were stored.",
        check=lambda names: names is None or (len(names) > 0 and len(set(names)) == len(names)),
        must="name at least one layer, and none twice",
    )
    images: int | None = science(
        None,
        "Training images of each subject and fold, drawn at random; null takes all.",
        check=lambda count: count is None or count >= 1,
        must="be 1 or more, or null",
    )
    sessions: list[int] = science(
        [],
        "Sessions of each subject whose trials are trained on; empty takes all.",
        check=lambda sessions: len(set(sessions)) == len(sessions),
        must="name each session once",
    )


@dataclass(kw_only=True)
class PenaltyConfig(EncoderConfig):
    """Keys of every readout that chooses a ridge penalty for each target."""

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
        check_grid(self, "encoder")


@dataclass(kw_only=True)
class RidgeConfig(PenaltyConfig):
    """Exact ridge regression on all tokens and channels, with one penalty a target."""

    name: str = science("ridge", "The choice's name in its registry.")
    inputs: Inputs = science(
        Inputs.all,
        "What of each layer is read: all tokens, their mean, or its one vector (cls).",
    )
    select: Select = science(
        Select.joined,
        "joined (all layers as one), or best_layer (each target the one with the least inner"
        " error).",
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


def _only(config: RidgeConfig, *, inputs: bool = False) -> None:
    """Refuse what this relative of ridge does not do."""
    if config.select is not Select.joined:
        raise ConfigError(
            f"encoder={config.name} has its own way with layers",
            expected="encoder.select=joined",
            found=config.select.value,
            fix="leave encoder.select out, or set encoder=ridge",
        )
    if inputs and config.inputs is not Inputs.all:
        raise ConfigError(
            f"encoder={config.name} needs to know where tokens stand",
            expected="encoder.inputs=all",
            found=config.inputs.value,
            fix="leave encoder.inputs out, or set encoder=ridge",
        )


@dataclass(kw_only=True)
class LinearPoolConfig(RidgeConfig):
    """Ridge on the mean over tokens: what is there, and not where."""

    name: str = science("linear_pool", "The choice's name in its registry.")
    inputs: Inputs = science(Inputs.mean, "What of each layer is read: the mean over tokens.")


@dataclass(kw_only=True)
class LinearClsConfig(RidgeConfig):
    """Ridge on the network's one vector for a picture (its pooled output or class token)."""

    name: str = science("linear_cls", "The choice's name in its registry.")
    inputs: Inputs = science(Inputs.cls, "What of each layer is read: its one vector.")


@dataclass(kw_only=True)
class PcaRidgeConfig(RidgeConfig):
    """Ridge on principal components of the training images' features."""

    name: str = science("pca_ridge", "The choice's name in its registry.")
    components: int = science(
        250,
        "Principal components of the training images that are kept, at most one less than images.",
        check=lambda count: count >= 1,
        must="be 1 or more",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _only(self)


def _grams() -> float:
    size: float = execution(
        8.0,
        "Gram matrices that are held in memory, GB; above it they stand in a file in the work"
        " folder.",
        check=lambda size: size >= 0,
        must="be 0 or more",
    )
    return size


@dataclass(kw_only=True)
class BandedRidgeConfig(RidgeConfig):
    """Ridge with a weight for each layer and target (Dupre la Tour et al. 2022)."""

    name: str = science("banded_ridge", "The choice's name in its registry.")
    candidates: int = science(
        60,
        "Weightings of the layers that are tried: equal ones, each layer alone, then random ones.",
        check=lambda count: count >= 1,
        must="be 1 or more",
    )
    grams_gb: float = _grams()

    def __post_init__(self) -> None:
        super().__post_init__()
        _only(self)


@dataclass(kw_only=True)
class FieldRidgeConfig(RidgeConfig):
    """Ridge whose prior is a Gaussian receptive field, another one for each target."""

    name: str = science("field_ridge", "The choice's name in its registry.")
    standardise: bool = science(
        False,
        "Divide each feature by its standard deviation over the training images; all are centred.",
    )
    precision: Arithmetic = science(
        Arithmetic.float32,
        "Arithmetic of the Gram matrices; decompositions are made in float64.",
    )
    cells: int = science(
        7,
        "Layers with a larger grid are averaged to this many cells a side.",
        check=lambda count: count >= 2,
        must="be 2 or more",
    )
    places: int = science(
        5,
        "Centres of receptive fields that are tried, a side.",
        check=lambda count: count >= 1,
        must="be 1 or more",
    )
    sizes: list[float] = science(
        [0.1, 0.15, 0.21, 0.3],
        "Standard deviations of receptive fields that are tried, in sides of the picture; the"
        " whole picture is always tried.",
        check=lambda sizes: all(size > 0 for size in sizes),
        must="be above 0",
    )
    smoothness: float = science(
        1.0,
        "Distance over which weights of one channel resemble each other, in cells; 0 for none.",
        check=lambda distance: distance >= 0,
        must="be 0 or more",
    )
    grams_gb: float = _grams()

    def __post_init__(self) -> None:
        super().__post_init__()
        _only(self, inputs=True)


@dataclass(kw_only=True)
class MaskOracleConfig(RidgeConfig):
    """Ridge on tokens inside the true mask of what a target reads: simulated data alone.

    It is told where to look, so it says what the tokens could give at most, and is no model.
    """

    name: str = science("mask_oracle", "The choice's name in its registry.")


@dataclass(kw_only=True)
class FwrfConfig(PenaltyConfig):
    """The best of a grid of Gaussian receptive fields, then ridge on the features under it."""

    name: str = science("fwrf", "The choice's name in its registry.")
    inner_folds: int = science(
        3,
        "Folds over the training images that choose each target's field and penalty.",
        check=lambda count: count >= 2,
        must="be 2 or more",
    )
    n_alphas: int = science(
        9,
        "Number of penalties, evenly spaced in the exponent.",
        check=lambda count: count >= 1,
        must="be 1 or more",
    )
    centres: int = science(
        9,
        "Centres of fields along each side of the picture.",
        check=lambda count: count >= 1,
        must="be 1 or more",
    )
    sizes: list[float] = science(
        [0.1, 0.2, 0.4, 0.8, 10.0],
        "Standard deviations of fields, in units of half the picture; one of 4 or more is the whole"
        " picture, and tried in its middle alone.",
        check=lambda sizes: len(sizes) > 0 and all(size > 0 for size in sizes),
        must="name at least one, all above 0",
    )
