"""How near pictures come to single exemplars of the training scenes, as the image-text space sees.

An exemplar is one kind of thing of one source. Its direction is the mean of the image embeddings
of the training scenes that show it alone, so place, colours and pose are averaged away. Generated
pictures that come nearer to exemplars than real held-out scenes do would be suspect of copying.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from neuroattn.generators.scenes import SceneSet
from neuroattn.stats.pictures import nearest

Vectors = Float[np.ndarray, "pictures dim"]


@dataclass(frozen=True, eq=False)
class Exemplars:
    """Exemplars by their kind, and their directions (exemplars, dim), of any length."""

    kinds: NDArray[np.str_]
    directions: NDArray[np.float64]


def exemplars(scenes: SceneSet, vectors: Vectors) -> Exemplars:
    """The exemplars of the scenes that show one thing; ``vectors`` are the scenes' embeddings.

    Raises
    ------
    ValueError : no scene shows one thing alone.
    """
    alone = np.flatnonzero(scenes.presence.sum(axis=1) == 1)
    if not len(alone):
        raise ValueError("no scene shows one thing alone")
    kinds = scenes.kinds[alone, scenes.presence[alone].argmax(axis=1)]
    names = np.char.add(np.char.add(kinds, "/"), scenes.group[alone].astype(str))
    _, first, which = np.unique(names, return_index=True, return_inverse=True)
    sums = np.zeros((len(first), vectors.shape[1]))
    np.add.at(sums, which, np.asarray(vectors[alone], dtype=np.float64))
    return Exemplars(kinds[first], sums)


def exemplar_scores(vectors: Vectors, asked: NDArray[Any], known: Exemplars) -> Mapping[str, float]:
    """Median distance (1 - cosine) to the nearest exemplar; how often it is of a kind asked for.

    Parameters
    ----------
    asked : (pictures, categories) kinds that were asked for, empty where none.
    """
    distance, which = nearest(vectors, known.directions)
    shown = known.kinds[which]
    return {
        "exemplar.distance": float(np.median(distance)),
        "exemplar.kind": float((asked == shown[:, None]).any(axis=1).mean()),
    }
