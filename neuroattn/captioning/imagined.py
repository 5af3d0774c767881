"""Does a caption drive its target? From caption to picture to the response a judge predicts.

A picture is generated from each caption, and an encoder (the judge; best one that had no part in
making the captions) predicts the target's response to it. Beside it stand pictures from the
captions of other targets, the natural pictures that the judge puts on top, and natural pictures
at random: a caption is worth something if its pictures come between random and top ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from neuroattn.core.errors import DataError
from neuroattn.core.seeding import derive_seed, generator
from neuroattn.generators.contract import Generator
from neuroattn.generators.prompted import prompted
from neuroattn.generators.registry import GUIDANCE
from neuroattn.stats.bootstrap import percentile_interval

Floats = NDArray[np.float64]
Pixels = Float[Tensor, "images 3 height width"]
Judge = Callable[[Pixels], Tensor]  # pixels in [0, 1] to responses (images, targets)
Painter = Callable[[Sequence[str], Sequence[int]], Tensor]  # a seed for each caption; pixels
IMAGINED: Final = ("target", "set", "activation", "n")
CAPTION, SHUFFLED, TOP, RANDOM = "caption", "shuffled caption", "top natural", "random natural"


@dataclass(frozen=True, eq=False)
class FromSpace:
    """A painter of a generator that is driven by embeddings of an image-text space.

    Parameters
    ----------
    space : has ``encode_text``; generator : has ``sample(given, seeds=, steps=, guidance=)``.
    """

    space: Any
    generator: Any
    steps: int = 25
    guidance: float = GUIDANCE

    def __call__(self, captions: Sequence[str], seeds: Sequence[int]) -> Pixels:
        """Generated pictures."""
        with torch.no_grad():
            given = self.space.encode_text(list(captions))
            out: Tensor = self.generator.sample(
                given, seeds=list(seeds), steps=self.steps, guidance=self.guidance
            )
        return out.float().clamp(0, 1)


@dataclass(frozen=True, eq=False)
class FromText:
    """A painter of any generator that texts drive, by its own solver.

    Parameters
    ----------
    guidance : classifier-free, by the caption; 1 is none.
    """

    generator: Generator
    steps: int = 25
    guidance: float = GUIDANCE

    def __call__(self, captions: Sequence[str], seeds: Sequence[int]) -> Pixels:
        """Generated pictures."""
        return prompted(self.generator, captions, seeds, steps=self.steps, guidance=self.guidance)


def pictures_of(
    captions: Sequence[str], paint: Painter, *, each: int = 4, seed: int = 0, group: int = 16
) -> Iterator[tuple[str, Pixels]]:
    """Pictures of every different caption, ``each`` of them, in groups of whole captions.

    A picture's seed depends on its caption and number alone, never on the others or the order.
    """
    wanted = [
        (caption, derive_seed(seed, "imagined", caption, number) % 2**31)
        for caption in dict.fromkeys(captions)
        for number in range(each)
    ]
    step = max(1, group // each) * each
    for start in range(0, len(wanted), step):
        part = wanted[start : start + step]
        pixels = paint([caption for caption, _ in part], [number for _, number in part])
        for row in range(0, len(part), each):
            yield part[row][0], pixels[row : row + each]


def activations(
    captions: Sequence[str],
    natural: Floats,
    judge: Judge,
    paint: Painter,
    *,
    each: int = 4,
    top: int = 4,
    seed: int = 0,
    others: Mapping[str, Floats] | None = None,
) -> pd.DataFrame:
    """Mean predicted activation of every target on each set of pictures: `IMAGINED`.

    Parameters
    ----------
    captions : of each target (targets,).
    natural : (images, targets) the judge's predictions for natural pictures.
    judge : pixels to responses, targets in the order of ``captions``.
    each : pictures generated from a caption; top : natural pictures on top, and as many at random.
    others : further sets, as of synthesis: (targets,) activations by name.

    Raises
    ------
    DataError : targets disagree, or the judge gives values that are not finite.
    """
    _check(captions, natural)
    of_caption: dict[str, Floats] = {}
    for caption, pixels in pictures_of(captions, paint, each=each, seed=seed):
        of_caption[caption] = judged(pixels, judge, len(captions))
    return sets_of(
        captions, of_caption, natural, each=each, top=top, seed=seed, others=others
    )  # fmt: skip


def judged(pixels: Pixels, judge: Judge, targets: int) -> Floats:
    """Predicted responses (targets,) to a caption's pictures, their mean.

    Raises
    ------
    DataError : targets disagree, or the judge gives values that are not finite.
    """
    with torch.no_grad():
        return np.asarray(_finite(judge(pixels), targets).mean(axis=0))


def sets_of(
    captions: Sequence[str],
    of_caption: Mapping[str, Floats],
    natural: Floats,
    *,
    each: int,
    top: int,
    seed: int = 0,
    others: Mapping[str, Floats] | None = None,
) -> pd.DataFrame:
    """`activations` of pictures that were judged before.

    Parameters
    ----------
    of_caption : caption -> (targets,) mean response to its pictures.

    Raises
    ------
    DataError : targets disagree.
    """
    _check(captions, natural)
    own = np.array([of_caption[caption][row] for row, caption in enumerate(captions)])
    deal = np.roll(np.arange(len(captions)), 1)
    dealt = np.array([of_caption[captions[deal[row]]][row] for row in range(len(captions))])
    many = min(top, len(natural))
    drawn = generator(seed, "random natural").choice(len(natural), size=many, replace=False)
    sets = {
        CAPTION: (own, each),
        SHUFFLED: (dealt, each),
        TOP: (np.sort(natural, axis=0)[-many:].mean(axis=0), many),
        RANDOM: (natural[drawn].mean(axis=0), many),
    } | {name: (np.asarray(values), many) for name, values in (others or {}).items()}
    rows = [
        (target, name, values[target], count)
        for name, (values, count) in sets.items()
        for target in range(len(captions))
    ]
    return pd.DataFrame(rows, columns=list(IMAGINED))


def summary(table: pd.DataFrame, *, draws: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Mean over targets of each set, and of its excess over random pictures, with intervals.

    Columns: set activation low high over_random over_low over_high n. Intervals are over targets.
    """
    wide = table.pivot_table(index="target", columns="set", values="activation", sort=False)
    values = wide.to_numpy(dtype=np.float64)
    over = values - wide[RANDOM].to_numpy(dtype=np.float64)[:, None]
    count = len(values)
    weights = generator(seed, "imagined", "targets").multinomial(
        count, np.full(count, 1 / count), size=draws
    )
    low, high = percentile_interval(weights @ values / count)
    over_low, over_high = percentile_interval(weights @ over / count)
    return pd.DataFrame(
        {
            "set": list(wide.columns),
            "activation": values.mean(axis=0), "low": low, "high": high,
            "over_random": over.mean(axis=0), "over_low": over_low, "over_high": over_high,
            "n": count,
        }
    )  # fmt: skip


def _finite(responses: Tensor, targets: int) -> Floats:
    out: Floats = responses.detach().cpu().numpy().astype(np.float64)
    if out.ndim != 2 or out.shape[1] != targets or not np.isfinite(out).all():
        raise DataError(
            "the judge's predictions cannot be used",
            expected=f"finite responses of {targets} targets to each picture",
            found=f"shape {out.shape}" + ("" if np.isfinite(out).all() else ", not all finite"),
            fix="take a judge that was fitted to the same targets",
        )
    return out


def _check(captions: Sequence[str], natural: Floats) -> None:
    if natural.ndim != 2 or natural.shape[1] != len(captions) or not len(natural) or not captions:
        raise DataError(
            "captions cannot be held against natural pictures",
            expected=f"predictions (images, {len(captions)}) for one picture or more",
            found=f"shape {natural.shape}, {len(captions)} captions",
            fix="predict responses of exactly the captioned targets",
        )
