"""The contract of a captioner: concepts in, sentences out, each with how sure it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neuroattn.captioning.bank import Bank
from neuroattn.captioning.concepts import Concept
from neuroattn.captioning.registry import no_space
from neuroattn.core.errors import MissingDataError


@dataclass(frozen=True)
class Told:
    """A caption, and how sure the captioner is of it, from 0 to 1."""

    text: str
    sure: float


@dataclass(frozen=True, eq=False)
class Setting:
    """What a captioner may use.

    Parameters
    ----------
    bank : the natural pictures.
    text : the text side of the space (`neuroattn.generators.space.ImageText`); None without one.
    weights : (rows, dim) unit weights of the targets; None without a space.
    picture : reads the pixels (height, width, 3) uint8 of a bank item by its place.
    device, seed : where it computes, and where its random numbers come from.
    keep : folder in which it may keep what a stopped run should find again; None keeps nothing.
    """

    bank: Bank
    text: Any = None
    weights: NDArray[np.float32] | None = None
    picture: Callable[[int], NDArray[np.uint8]] | None = None
    device: str = "cpu"
    seed: int = 0
    keep: Path | None = None


class Captioner(Protocol):
    """Constructed with its config section and the `Setting`."""

    def caption(self, concepts: Sequence[Concept]) -> list[Told]:
        """One caption for each concept, whatever the others are."""

    def methods(self) -> str:
        """A sentence for the Methods text, without a full stop."""


def embeddings(concepts: Sequence[Concept], who: str) -> NDArray[np.float32]:
    """Embeddings (concepts, dim).

    Raises
    ------
    ConfigError : the encoder reads no image-text space.
    """
    if any(one.embedding is None for one in concepts):
        raise no_space(who, "an encoder of another space, whose weights are no embeddings")
    return np.stack([one.embedding for one in concepts if one.embedding is not None])


def texts_of(bank: Bank, places: NDArray[np.int64], who: str) -> list[tuple[int, str]]:
    """Captions of these items with their places.

    Raises
    ------
    MissingDataError : none of them has a caption.
    """
    found = [(int(place), text) for place in places for text in bank.captions[int(place)]]
    if not found:
        raise MissingDataError(
            f"captioner={who} reads captions of the bank's pictures, and they have none",
            expected="captions.json in the dataset, or caption.bank.captions=FILE.json",
            found="no caption of any top picture",
            fix="give captions, or set captioner=prefix_lm or captioner=vlm",
        )
    return found
