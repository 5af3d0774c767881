"""The configuration and the stage ``compare``, light enough for the command line to import."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from neuroattn.core.config import Section, execution, science
from neuroattn.core.errors import ConfigError
from neuroattn.core.stage import Stage

ENSEMBLE = "ensemble"
GROUP = "@"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+]*(@[A-Za-z0-9][A-Za-z0-9_.+]*)?")
_LONGEST = 40


class Weights(Enum):
    """What the members of an ensemble weigh."""

    selection = "selection"  # by accuracy on training images that were held out to select
    equal = "equal"


def _names(members: Any) -> bool:
    return all(_NAME.fullmatch(name) and name.partition(GROUP)[0] != ENSEMBLE for name in members)


def _parts(partitions: Any) -> bool:
    return all(len(parts) == 2 and len({joint, *parts}) == 3 for joint, parts in partitions.items())


@dataclass(kw_only=True)
class CompareConfig(Section):
    """Which encoders are compared, and how."""

    members: dict[str, str] = execution(
        {},
        "Name -> encoder: overrides of this run's own keys (encoder=ridge), or the folder, label or"
        " fingerprint of a finished one. model@group puts it into a group: another dataset.",
        check=_names,
        must="use names of letters, digits, _ . + (model@group), none of them ensemble",
    )
    reference: str | None = science(
        None, "The model that all others are compared with; null compares every pair."
    )
    apart: list[str] = science(
        [],
        "Members that are compared and stay out of the ensemble, such as an oracle.",
        check=lambda names: len(set(names)) == len(names),
        must="name none twice",
    )
    weights: Weights = science(
        Weights.selection,
        "Weights of the ensemble: by r on training images held out to select, or equal.",
    )
    temperature: float = science(
        0.05,
        "Temperature of the softmax over the members' r: 0.05 weighs 0.1 of r by a factor of 7.",
        check=lambda value: value > 0,
        must="be above 0",
    )
    partitions: dict[str, list[str]] = science(
        {},
        "Joint model -> the two whose feature spaces it has: unique and shared variance.",
        check=_parts,
        must="name two other models for each joint one",
    )
    block_mib: int = execution(
        512,
        "Predictions held at a time, MiB.",
        check=lambda size: size >= 1,
        must="be 1 or more",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        models = {name.partition(GROUP)[0] for name in self.members}
        named = {*([self.reference] if self.reference else ()), *self.apart}
        named |= {name for joint, parts in self.partitions.items() for name in (joint, *parts)}
        absent = sorted(named - models - ({ENSEMBLE} if self.members else set()))
        if absent and self.members:
            raise ConfigError(
                f"compare names models that are no members: {', '.join(absent)}",
                expected=" | ".join(sorted(models)),
                found=", ".join(absent),
                fix="correct compare.reference, compare.apart or compare.partitions",
            )
        if models and models <= set(self.apart):
            raise ConfigError(
                "no member is left for the ensemble",
                expected="compare.apart with fewer than all members",
                found=", ".join(sorted(self.apart)),
                fix="leave a model out of compare.apart",
            )


def _cites(config: Any) -> Mapping[str, tuple[str, str]]:
    members = config.compare.members
    if not members:
        raise ConfigError(
            "there is nothing to compare",
            expected="two encoders or more in compare.members",
            found="none",
            fix="compare.members.ridge=encoder=ridge compare.members.attention=encoder=attention",
        )
    return {f"encode/{name}": ("encode", wanted) for name, wanted in members.items()}


def _label(config: Any) -> str:
    names = "-".join(sorted(name.replace(GROUP, ".") for name in config.compare.members))
    if len(names) > _LONGEST:
        names = f"{len(config.compare.members)}-members"
    return f"compare-{names}"


STAGES: tuple[Stage, ...] = (
    Stage(
        name="compare",
        version=3,
        about="compare encoders on the same test images: differences, ensemble, groups of subjects",
        reads=("compare", "scoring.permutations", "scoring.bootstraps", "seed"),
        parents=lambda _config: (),
        cites=_cites,
        run="neuroattn.compare.stage:run",
        label=_label,
    ),
)
