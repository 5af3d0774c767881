"""The bank of natural pictures: in an order and in draws that depend on the pictures alone.

Items are sorted by the digest of their pictures and dealt out to the draws by another digest, so
that neither the order of files nor that of a list can change a caption. A picture that is there
twice counts once: two copies would carry twice the weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neuroattn.captioning.projection import ITEMS
from neuroattn.core.errors import DataError

Ids = NDArray[np.int64]
POOLED = "pooled"


class Stored(Protocol):
    """Stored features by image id (`neuroattn.features.store.FeatureStore`, or arrays)."""

    def shape(self, layer: str) -> tuple[int, int, int]:
        """(images, tokens, dim) of a layer."""

    def read(self, layer: str, images: Any = None) -> NDArray[np.float16]:
        """(images, tokens, dim) of these ids, in this order."""


@dataclass(frozen=True, eq=False)
class Bank:
    """Natural pictures and what is stored of them.

    Parameters
    ----------
    features : their features, by id.
    ids : (items,) ids, in the order of the digests.
    names : name of each picture, for tables.
    captions : captions of each; empty lists where there are none.
    draw : (items,) the draw that each belongs to.
    excluded : pictures that could not be read, left out.
    doubles : pictures that are there already, left out.
    layer : the layer with the embeddings.
    """

    features: Stored
    ids: Ids
    names: Sequence[str]
    captions: Sequence[Sequence[str]]
    draw: NDArray[np.int64]
    excluded: int = 0
    doubles: int = 0
    layer: str = POOLED

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def draws(self) -> int:
        """Number of disjoint parts."""
        return int(self.draw.max()) + 1 if len(self.draw) else 0

    @property
    def dim(self) -> int:
        """Numbers of an embedding."""
        return self.features.shape(self.layer)[2]

    def vectors(self, places: NDArray[np.int64]) -> NDArray[np.float16]:
        """Embeddings (places, dim) of items by their place in the bank."""
        return self.features.read(self.layer, self.ids[places])[:, 0, :]

    def tiles(self) -> Iterator[tuple[int, int, NDArray[np.float16]]]:
        """Embeddings tile by tile: the draw, the first place, (items, dim).

        Items of one draw stand side by side (`make_bank`), so a tile has one draw.
        """
        starts = np.flatnonzero(np.diff(self.draw, prepend=-1))
        for first, last in zip(starts, [*starts[1:], len(self)], strict=True):
            for start in range(int(first), int(last), ITEMS):
                places = np.arange(start, min(start + ITEMS, int(last)))
                yield int(self.draw[start]), start, self.vectors(places)

    def blocks(self, size: int = ITEMS) -> Iterator[NDArray[np.int64]]:
        """Places of all items, so many at a time."""
        for start in range(0, len(self), size):
            yield np.arange(start, min(start + size, len(self)))


def make_bank(
    features: Stored,
    ids: Ids,
    digests: Sequence[str],
    *,
    names: Sequence[str],
    captions: Sequence[Sequence[str]],
    draws: int,
    excluded: int = 0,
    layer: str = POOLED,
) -> Bank:
    """The bank of these pictures, each once, in the order of draws and digests.

    Raises
    ------
    DataError : fewer than two pictures for each draw.
    """
    _, first = np.unique(np.asarray(digests, dtype=str), return_index=True)
    if len(first) < max(2, 2 * draws):
        raise DataError(
            "the bank of natural pictures is too small",
            expected=f"{max(2, 2 * draws)} different pictures or more for {draws} draws",
            found=f"{len(first)}" + (f", and {excluded} that cannot be read" if excluded else ""),
            fix="give a larger bank, or lower caption.draws",
        )
    dealt = _dealt([digests[item] for item in first], draws)
    order = np.argsort(dealt, kind="stable")
    chosen = first[order]
    return Bank(
        features=features,
        ids=np.asarray(ids, dtype=np.int64)[chosen],
        names=[names[item] for item in chosen],
        captions=[captions[item] for item in chosen],
        draw=dealt[order],
        excluded=excluded,
        doubles=len(digests) - len(first),
        layer=layer,
    )


def _dealt(digests: Sequence[str], draws: int) -> NDArray[np.int64]:
    """The draw of each item: as many items in each, by a digest of the digest."""
    keys = [blake2b(name.encode(), digest_size=8, person=b"draw").digest() for name in digests]
    rank = np.empty(len(keys), dtype=np.int64)
    rank[np.argsort(np.array(keys, dtype="S8"), kind="stable")] = np.arange(len(keys))
    return rank % draws
