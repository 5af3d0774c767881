"""Which blur levels there are, and whether they are those that a prior needs.

Known from the config, before any feature is computed; no heavy import.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from neuroattn.core.errors import ConfigError
from neuroattn.decoding.prior_schemas import (
    AdaptivePriorConfig,
    FixedPriorConfig,
    FusionPriorConfig,
    PriorConfig,
)

ORIGINAL = 0.0


@dataclass(frozen=True)
class Levels:
    """Which blur levels there are.

    Parameters
    ----------
    kind : of the blur: uniform, lowres, fovea; empty where only originals are there.
    strengths : ascending; 0, the original, first.
    """

    kind: str
    strengths: tuple[float, ...]

    def __post_init__(self) -> None:
        rising = all(low < high for low, high in pairwise(self.strengths))
        if self.strengths[:1] != (ORIGINAL,) or not rising:
            raise ConfigError(
                "these are no blur levels",
                expected="different strengths, ascending from 0",
                found=", ".join(f"{one:g}" for one in self.strengths),
                fix="run the stage features again with other backbone.blur.levels",
            )

    @property
    def strongest(self) -> float:
        """Strength of the last level."""
        return self.strengths[-1]

    def check(self, strength: float, key: str) -> float:
        """``strength``, where the bank reaches so far.

        Raises
        ------
        ConfigError : it does not.
        """
        if not 0 <= strength <= self.strongest:
            raise ConfigError(
                "a blur beyond the levels that were computed",
                expected=f"{key} between 0 and {self.strongest:g}",
                found=f"{strength:g}",
                fix=f"set backbone.blur.levels so that they end with {strength:g} or more",
            )
        return strength


def check_levels(prior: PriorConfig, levels: Levels) -> None:
    """Refuse levels that ``prior`` cannot be made from.

    Raises
    ------
    ConfigError : too few of them, another kind of blur, or a strength beyond them.
    """
    if isinstance(prior, FixedPriorConfig):
        fixed_strength(prior, levels)
    elif isinstance(prior, AdaptivePriorConfig):
        three_levels(prior, levels)
    elif isinstance(prior, FusionPriorConfig):
        some_levels(prior.name, levels)


def fixed_strength(config: FixedPriorConfig, levels: Levels) -> float:
    """The one blur of all pictures.

    Raises
    ------
    ConfigError : no level, another kind of blur, or a strength beyond the levels.
    """
    some_levels(config.name, levels)
    _check_kind(config.name, levels)
    wanted = levels.strongest if config.strength is None else config.strength
    return levels.check(wanted, "prior.strength")


def some_levels(name: str, levels: Levels) -> None:
    """Refuse originals alone.

    Raises
    ------
    ConfigError : there is no level beside them.
    """
    if len(levels.strengths) < 2:
        raise _no_levels(name, 1, levels)


def three_levels(config: AdaptivePriorConfig, levels: Levels) -> tuple[float, float, float]:
    """Low, medium and high blur.

    Raises
    ------
    ConfigError : the bank has other levels than three, and the config names none.
    """
    wanted = list(config.strengths) or list(levels.strengths[1:])
    if len(wanted) != 3:
        raise _no_levels(config.name, 3, levels)
    low, medium, high = (levels.check(float(one), "prior.strengths") for one in wanted)
    return low, medium, high


def _check_kind(name: str, levels: Levels) -> None:
    if levels.kind != name:
        raise ConfigError(
            f"prior={name} needs another blur than was computed",
            expected=f"backbone.blur.kind={name}",
            found=f"backbone.blur.kind={levels.kind}",
            fix=f"set backbone.blur.kind={name}, or choose prior={levels.kind}",
        )


def _no_levels(name: str, count: int, levels: Levels) -> ConfigError:
    wanted = "[7.1,8.0,8.9]" if count == 3 else "[8.0]"
    kind = name if name in ("uniform", "lowres", "fovea") else "fovea"
    told = ", ".join(f"{one:g}" for one in levels.strengths[1:]) or "none"
    return ConfigError(
        f"prior={name} needs {'three blur levels' if count == 3 else 'a blur level'}",
        expected=f"{count} strength{'s' if count > 1 else ' or more'} in backbone.blur.levels",
        found=told,
        fix=f"set backbone.blur.kind={kind} backbone.blur.levels={wanted}",
    )
