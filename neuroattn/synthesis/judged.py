"""What encoders say of pictures: values of every objective, and means over every region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuroattn.synthesis.guide import Guide, Pictures, Source, activations, trained_on
from neuroattn.synthesis.objectives import Objective, resolve, subject_means
from neuroattn.synthesis.wishes import Wish


@dataclass(frozen=True, eq=False)
class Opinion:
    """Encoders with every objective on their own targets.

    Parameters
    ----------
    sources : encoders whose values are averaged; regions are those of the first.
    objectives : of each source, in the order of the wishes.
    """

    sources: Sequence[Source]
    objectives: Sequence[Sequence[Objective]]

    @classmethod
    def of(cls, sources: Sequence[Source], wishes: Sequence[Wish]) -> Opinion:
        """Resolve every wish on every encoder's targets."""
        return cls(sources, [[resolve(wish, one.facts) for wish in wishes] for one in sources])

    @classmethod
    def like(cls, source: Source, first: Opinion, wishes: Sequence[Wish]) -> Opinion:
        """A judge: the guide's targets that it predicts where it has the same, else its own."""
        guide = first.sources[0].facts
        same = guide if source.facts.targets.equals(guide.targets) else None
        return cls([source], [[resolve(wish, source.facts, same) for wish in wishes]])

    def guide(self, number: int) -> Guide:
        """The objective ``number`` as a function of pixels."""
        return Guide(
            [one.encoder for one in self.sources], [own[number] for own in self.objectives]
        )

    def learned(self, fold: int | None) -> set[int]:
        """Pictures that any of the encoders was fitted on, in one fold or in all."""
        return set[int]().union(*(trained_on(one.artefact, fold) for one in self.sources))

    def __call__(self, pictures: Pictures) -> list[dict[str, Any]]:
        """For each picture ``values`` by objective and ``regions`` by name."""
        responses = [activations(pictures, one.encoder) for one in self.sources]
        names, means = region_means(self.sources[0])
        regions = responses[0].astype(np.float64) @ means.T
        values = self._values(responses)
        return [
            {"values": _named(self._texts(), row), "regions": _named(names, region)}
            for row, region in zip(values, regions, strict=True)
        ]

    def _texts(self) -> list[str]:
        return [objective.wish.text for objective in self.objectives[0]]

    def _values(self, responses: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
        """Values (images, objectives), averaged over the encoders."""
        found = [
            [objective(torch.from_numpy(table)).double().numpy() for objective in own]
            for own, table in zip(self.objectives, responses, strict=True)
        ]
        mean: NDArray[np.float64] = np.mean(np.asarray(found), axis=0).T
        return mean


def region_means(source: Source) -> tuple[list[str], NDArray[np.float64]]:
    """Names of regions, and weights (regions, targets) of their means."""
    facts = source.facts
    names = facts.plain_regions()
    subjects = facts.targets["subject"]
    rows = [subject_means(facts.regions[name], subjects) for name in names]
    return names, np.array(rows).reshape(len(names), len(facts.targets))


def _named(names: Sequence[str], numbers: NDArray[np.float64]) -> Mapping[str, float]:
    return {name: float(number) for name, number in zip(names, numbers, strict=True)}
