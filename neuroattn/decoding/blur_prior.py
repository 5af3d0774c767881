"""Blur priors: with which blur of its picture each brain response is matched in training.

A prior is a module without gradients (but for `FusionPrior`): what it remembers between steps is
a persistent buffer, so it is in every checkpoint and a resumed run knows it. Only `observe`
changes it, and only training calls that. `neuroattn.decoding.prior` is the contract.

Wu et al. 2025 ("Bridging the vision-brain gap with an uncertainty-aware blur prior", CVPR)
describe the prior that is called ``ubp`` here. Ours keys the state by (subject, picture), takes
means and deviations over all pairs of a subject and not over one batch, and judges moving
averages by moving averages.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroattn.core.errors import DataError
from neuroattn.decoding.blur_levels import (
    ORIGINAL,
    Levels,
    fixed_strength,
    some_levels,
    three_levels,
)
from neuroattn.decoding.level_bank import embeddings, interpolate, level_values
from neuroattn.decoding.prior import Bank
from neuroattn.decoding.prior_schemas import (
    AdaptivePriorConfig,
    FixedPriorConfig,
    FusionPriorConfig,
    PriorConfig,
    ReliabilityPriorConfig,
    Rule,
    UbpPriorConfig,
)

_FEWEST = 8  # pairs of a subject, below which no mean or deviation is worth anything


class BlurPrior(nn.Module):
    """What all of them share; see `neuroattn.decoding.prior.Prior`.

    Training rows that show one picture to one subject (its repeats) are one *pair*.

    Parameters
    ----------
    config : the section ``prior``.
    bank : of the training side.

    Attributes
    ----------
    subjects, images : of each pair: number of its subject, id of its picture.
    ids : pictures of all pairs, each once.
    levels : the blur levels there are.
    """

    def __init__(self, config: PriorConfig, bank: Bank) -> None:
        super().__init__()
        self.name, self.space = config.name, bank.space
        self.subjects, self.images, row = pairs_of(bank.subjects, bank.images)
        strengths = tuple(map(float, bank.space.strengths))
        self.levels = Levels(str((bank.blur or {}).get("kind", "")), strengths)
        self.ids, place = np.unique(self.images, return_inverse=True)
        for name, numbers in (("row", row), ("place", place), ("subject", self.subjects)):
            self.register_buffer(name, torch.from_numpy(numbers.astype(np.int64)), persistent=False)
        self.row: Tensor
        self.place: Tensor
        self.subject: Tensor

    def take_levels(self) -> None:
        """Hold the embeddings of every level; a prior with one level alone holds that."""
        values = level_values(self.space, self.ids, self.levels.strengths)
        self.register_buffer("values", values, persistent=False)
        self.register_buffer("known", torch.tensor(self.levels.strengths), persistent=False)
        self.values: Tensor
        self.known: Tensor

    def observe(self, rows: Int[Tensor, " rows"], similarities: Float[Tensor, " rows"]) -> None:
        """Nothing depends on it."""

    def end_epoch(self) -> None:
        """Nothing changes."""

    def uncertainty(self) -> Float[Tensor, " pairs"] | None:
        """Uncertainty of each pair in deviations of its subject; NaN where it was never seen."""
        return None

    def blur_of_pairs(self) -> Float[Tensor, " pairs"] | None:
        """Blur of each pair; None where it is not one number."""
        return None

    def facts(self) -> dict[str, Any]:
        """What is worth telling of it, as JSON values."""
        return {"prior": self.name, "kind": self.levels.kind, "levels": [*self.levels.strengths]}


class FixedPrior(BlurPrior):
    """None at all, or one blur for all pictures."""

    def __init__(self, config: PriorConfig, bank: Bank) -> None:
        super().__init__(config, bank)
        self.strength = ORIGINAL
        if isinstance(config, FixedPriorConfig):
            self.strength = fixed_strength(config, self.levels)
        table = embeddings(bank.space, self.ids, self.strength)
        self.register_buffer("table", table, persistent=False)
        self.register_buffer("of_row", self.place[self.row], persistent=False)
        self.table: Tensor
        self.of_row: Tensor

    def targets_for(self, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows dim"]:
        """The same blur for all."""
        return self.table[self.of_row[rows]]

    def gallery(self, images: NDArray[np.int64]) -> Float[Tensor, "images dim"]:
        """The blur that was trained on."""
        return embeddings(self.space, images, self.strength)

    def blur_of_pairs(self) -> Float[Tensor, " pairs"]:
        """One for all."""
        return torch.full((len(self.images),), self.strength)


class AdaptivePrior(BlurPrior):
    """More blur for uncertain pairs, less for those that are sure: what two priors share."""

    def __init__(self, config: AdaptivePriorConfig, bank: Bank) -> None:
        super().__init__(config, bank)
        self.rule = config.rule
        self.bound = NormalDist().inv_cdf(1 - config.alpha / 2)
        self.three = three_levels(config, self.levels)
        self.take_levels()
        self.register_buffer("blur", torch.full((len(self.images),), self.three[1]))
        self.blur: Tensor

    def targets_for(self, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows dim"]:
        """Each pair at its own blur."""
        pair = self.row[rows]
        return interpolate(self.values, self.known, self.place[pair], self.blur[pair])

    def gallery(self, images: NDArray[np.int64]) -> Float[Tensor, "images dim"]:
        """All pictures at medium blur: nothing is known of the pairs of a test."""
        return embeddings(self.space, images, self.three[1])

    def blur_of_pairs(self) -> Float[Tensor, " pairs"]:
        """Blur of each pair in the coming epoch."""
        return self.blur

    def facts(self) -> dict[str, Any]:
        """With the three strengths, and what lies beyond the bounds."""
        return {**super().facts(), "low_medium_high": [*self.three], "bound": self.bound}

    def _decide(self, uncertainty: Float[Tensor, " pairs"]) -> None:
        self.blur.copy_(blur_of(uncertainty, self.three, self.bound, self.rule))


class UncertaintyPrior(AdaptivePrior):
    """By how similar pairs have become: moving averages, z-scored over all pairs of a subject."""

    def __init__(self, config: UbpPriorConfig, bank: Bank) -> None:
        super().__init__(config, bank)
        self.momentum, count = config.momentum, len(self.images)
        self.register_buffer("average", torch.zeros(count, dtype=torch.float64))
        self.register_buffer("seen", torch.zeros(count, dtype=torch.int64))
        self.average: Tensor
        self.seen: Tensor

    @torch.no_grad()
    def observe(self, rows: Int[Tensor, " rows"], similarities: Float[Tensor, " rows"]) -> None:
        """Move the averages of these pairs; repeats of one pair count as their mean.

        O(rows); no other pair is touched.
        """
        pair, place = torch.unique(self.row[rows], return_inverse=True)
        total = torch.zeros(len(pair), dtype=torch.float64, device=pair.device)
        total.index_add_(0, place, similarities.detach().double())
        fresh = total / torch.bincount(place, minlength=len(pair))
        weight = torch.where(self.seen[pair] == 0, 1.0, self.momentum).double()
        self.average[pair] = torch.lerp(self.average[pair], fresh, weight)
        self.seen[pair] += 1

    @torch.no_grad()
    def end_epoch(self) -> None:
        """Set the blur of the next epoch from the averages of this one."""
        self._decide(self.uncertainty())

    def uncertainty(self) -> Float[Tensor, " pairs"]:
        """Minus the z-score of each average among those of its subject."""
        return -z_scores(self.average, self.subject, self.seen > 0)


class ReliabilityPrior(AdaptivePrior):
    """By the noise of repeats: an uncertainty that knows nothing of the decoder."""

    def __init__(self, config: ReliabilityPriorConfig, bank: Bank) -> None:
        super().__init__(config, bank)
        agree = None if bank.reliability is None else bank.reliability()
        found = mean_by(agree, self.row.numpy(), len(self.images))
        known = np.isfinite(found)
        if not known.any():
            raise DataError(
                "no training picture has two repeats, so nobody knows how well they agree",
                expected="several rows for a training picture",
                found="one row for each",
                fix="set dataset.responses=single where pictures were repeated, or prior=ubp",
            )
        values = torch.from_numpy(np.where(known, found, 0.0))
        z = -z_scores(values, self.subject, torch.from_numpy(known))
        self.register_buffer("z", z, persistent=False)
        self.z: Tensor
        self._decide(self.z)

    def uncertainty(self) -> Float[Tensor, " pairs"]:
        """Minus the z-score of the agreement of repeats among pairs of the subject."""
        return self.z


class FusionPrior(BlurPrior):
    """A learned mixture of all levels, the route of successors (Liu et al. 2026)."""

    def __init__(self, config: FusionPriorConfig, bank: Bank) -> None:
        super().__init__(config, bank)
        some_levels(config.name, self.levels)
        self.take_levels()
        dim = self.values.shape[2] if config.per_channel else 1
        self.logits = nn.Parameter(torch.zeros(len(self.levels.strengths), 1, dim))

    def shares(self) -> Float[Tensor, "levels 1 dim"]:
        """How much of each level there is; they sum to 1."""
        return self.logits.softmax(0)

    def targets_for(self, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows dim"]:
        """The mixture, with gradients to its shares."""
        return (self.shares() * self.values[:, self.place[self.row[rows]]]).sum(0)

    def gallery(self, images: NDArray[np.int64]) -> Float[Tensor, "images dim"]:
        """The mixture that was learned."""
        found = level_values(self.space, images, self.levels.strengths)
        mixed: Tensor = (self.shares().detach().to(found) * found).sum(0)
        return mixed

    def facts(self) -> dict[str, Any]:
        """With the shares, averaged over channels."""
        shares = self.shares().detach().mean((1, 2)).tolist()
        return {**super().facts(), "shares": shares}


def pairs_of(
    subjects: NDArray[np.int64], images: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Subject and picture of each pair, by subject, then picture; and the pair of each row."""
    found, row = np.unique(np.stack([subjects, images]), axis=1, return_inverse=True)
    return found[0].astype(np.int64), found[1].astype(np.int64), row.reshape(-1)


def mean_by(
    values: NDArray[np.float64] | None, group: NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    """Means (count,) of what is known in each group; NaN where nothing is."""
    if values is None:
        return np.full(count, np.nan)
    known = np.isfinite(values)
    total = np.bincount(group[known], values[known], minlength=count)
    number = np.bincount(group[known], minlength=count)
    return np.asarray(np.where(number > 0, total / np.maximum(number, 1), np.nan))


def z_scores(
    values: Float[Tensor, " pairs"], subject: Int[Tensor, " pairs"], known: Tensor
) -> Float[Tensor, " pairs"]:
    """Z-scores within each subject, so that no subject's signal sets the blur of another's.

    Mean and deviation are over all known pairs of the subject. NaN where a value is not known; 0
    where a subject has fewer than 8 pairs, or no spread.
    """
    found = torch.full(values.shape, torch.nan, dtype=torch.float64, device=values.device)
    for number in range(int(subject.max()) + 1 if len(subject) else 0):
        mine = (subject == number) & known
        part = values[mine].double()
        spread = part.std() if len(part) >= _FEWEST else part.new_zeros(())
        found[mine] = (part - part.mean()) / spread if spread > 0 else part * 0
    return found


def blur_of(
    uncertainty: Float[Tensor, " pairs"],
    levels: tuple[float, float, float],
    bound: float,
    rule: Rule,
) -> Float[Tensor, " pairs"]:
    """Blur of pairs with these uncertainties: low below -bound, high above bound, else medium.

    The continuous rule is linear in between. Medium where nothing is known.
    """
    low, medium, high = levels
    share = (uncertainty.nan_to_num(0.0) / bound).clamp(-1, 1)
    if rule is Rule.levels:
        share = torch.where(share.abs() < 1, 0.0, share)
    reach = torch.where(share > 0, high - medium, medium - low)
    blur = torch.where(share >= 1, high, medium + share * reach)  # a level exactly, not nearly
    return torch.where(share <= -1, low, blur).float()
