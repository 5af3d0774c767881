"""Captions whose truth is known: six concepts, a region for each, nulls that say anything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.captioning.findings import Captioned

CONCEPTS = {
    "FFA": "face", "EBA": "person", "animals": "dog", "foods": "pizza", "vehicles": "bus",
    "VWFA": "word",
}  # fmt: skip
NOUNS = list(CONCEPTS.values())
EACH, BELOW, NULLS = 8, 12, 12


def sentence(noun: str) -> str:
    """What is said of a picture with this thing."""
    return f"A {noun} in a city."


def embed(sentences: Sequence[str]) -> NDArray[np.float64]:
    """A number for each concept: whether the sentence names it."""
    rows = [[float(noun in one.lower()) for noun in NOUNS] for one in sentences]
    return np.array(rows) + 0.01


def planted(seed: int = 0) -> Captioned:
    """Targets of every region, targets below the gate, and null targets, in this order."""
    rng = np.random.default_rng(seed)
    rois = [region for region in CONCEPTS for _ in range(EACH)] + [""] * BELOW + ["FFA"] * NULLS
    real = len(CONCEPTS) * EACH
    kind = np.arange(len(rois))
    said = [NOUNS[n // EACH] for n in range(real)] + [""] * BELOW
    said += [NOUNS[n] for n in rng.integers(len(NOUNS), size=NULLS)]
    weights = np.array([[float(noun == own) for noun in NOUNS] for own in said])
    weights += 0.2 * rng.normal(size=weights.shape)
    weights[real : real + BELOW] = np.nan
    targets = pd.DataFrame(
        {
            "target": [*range(real + BELOW), *range(NULLS)],
            "column": [*range(real + BELOW), *range(NULLS)],
            "subject": "subj01", "rois": rois, "gated": kind < real, "null": kind >= real + BELOW,
        }
    )  # fmt: skip
    captions = [[sentence(noun)] if noun else [] for noun in said]
    bank = [[sentence(NOUNS[n % len(NOUNS)])] for n in range(60)]
    return Captioned(targets=targets, captions=captions, weights=weights, bank=bank, embed=embed)
