"""A made-up image-text space: pictures of one or two things in a cone, captions, fitted voxels.

Every picture's embedding is the mean of the cone, the directions of its things, and noise, of unit
length; a caption's lies beside it behind a gap, as those of real spaces do. Targets are fitted by
the package's own ridge to noisy repeats of what is in the pictures.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroattn.captioning.bank import Bank, make_bank
from neuroattn.captioning.linear import space_weights
from neuroattn.captioning.projection import unit_weights
from neuroattn.encoding.readout import TrainingSet
from neuroattn.encoding.registry import LinearClsConfig
from neuroattn.encoding.ridge import Ridge, RidgeModel
from neuroattn.stats.correlation import pearson

NOUNS = (
    "cat", "dog", "bus", "tree", "face", "pizza", "boat", "chair", "horse", "clock", "bridge",
    "guitar", "sheep", "lamp",
)  # fmt: skip
DIM = 48
_CONE, _THING, _NOISE = 2.0, 1.0, 0.12


class Store:
    """Embeddings by image id, as a feature store gives them."""

    def __init__(self, vectors: NDArray[np.floating[Any]]) -> None:
        self.vectors = vectors.astype(np.float16)
        self.layers = ["pooled"]

    def shape(self, layer: str) -> tuple[int, int, int]:
        del layer
        return len(self.vectors), 1, self.vectors.shape[1]

    def read(self, layer: str, images: Any = None) -> NDArray[np.float16]:
        del layer
        rows = self.vectors if images is None else self.vectors[np.asarray(images)]
        return rows[:, None, :]


@dataclass(frozen=True, eq=False)
class Cone:
    """The space: directions of the cone, of what a caption has, and of each noun."""

    mean: NDArray[np.float64]
    gap: NDArray[np.float64]
    things: NDArray[np.float64]
    dim: int = DIM
    logit_scale: float = 100.0

    def pictures(self, present: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
        """Embeddings (pictures, dim) of what is in them (pictures, nouns)."""
        noise = _NOISE * rng.standard_normal((len(present), DIM))
        return _unit(_CONE * self.mean + _THING * present @ self.things + noise)

    def encode_text(self, captions: Sequence[str]) -> Tensor:
        """Embeddings of captions, by the nouns in them."""
        present = np.array([[noun in text for noun in NOUNS] for text in captions])
        rows = _unit(_CONE * self.mean + self.gap + _THING * present @ self.things)
        return torch.from_numpy(rows)


def cone(seed: int = 0) -> Cone:
    """A space."""
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.standard_normal((DIM, DIM)))
    return Cone(basis[0], basis[1], basis[2 : 2 + len(NOUNS)])


def _unit(rows: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def scenes(count: int, pairs: Sequence[tuple[int, int]], rng: np.random.Generator) -> Any:
    """What is in each picture (pictures, nouns): one thing, or a pair of those allowed."""
    present = np.zeros((count, len(NOUNS)), dtype=bool)
    single = rng.random(count) < 0.4
    drawn = np.array(pairs)[rng.integers(len(pairs), size=count)]
    present[np.arange(count), drawn[:, 0]] = True
    present[np.flatnonzero(~single), drawn[~single, 1]] = True
    return present


def sentence(present: NDArray[np.bool_]) -> str:
    """What a person says of a picture."""
    return "A photo of " + " and ".join(f"a {NOUNS[n]}" for n in np.flatnonzero(present)) + "."


@dataclass(frozen=True, eq=False)
class World:
    """Fitted targets, null targets, a bank and its captions.

    Attributes
    ----------
    wants : nouns that each target prefers.
    """

    space: Cone
    bank: Bank
    present: NDArray[np.bool_]
    model: RidgeModel
    nulls: RidgeModel
    wants: list[tuple[str, ...]]
    scores: pd.DataFrame
    null_r: NDArray[np.float64]

    @property
    def weights(self) -> NDArray[np.float32]:
        """Unit weights (targets, dim)."""
        found = space_weights(self.model)
        assert found is not None
        return unit_weights(found)

    @property
    def null_weights(self) -> NDArray[np.float32]:
        """The same of null targets."""
        found = space_weights(self.nulls)
        assert found is not None
        return unit_weights(found)


def split_pairs(rng: np.random.Generator) -> tuple[Any, Any]:
    """Pairs of things seen in training, and the others."""
    pairs = list(itertools.combinations(range(len(NOUNS)), 2))
    order = rng.permutation(len(pairs))
    kept = [pairs[n] for n in order[: len(pairs) * 2 // 3]]
    return kept, [pairs[n] for n in order[len(pairs) * 2 // 3 :]]


def world(work: Path, *, each: int = 6, pairs: int = 0, noise: float = 1.0, seed: int = 0) -> World:
    """Plant ``each`` targets for every noun, and ``pairs`` that prefer two; fit them."""
    rng = np.random.default_rng(seed)
    space, (seen, unseen) = cone(seed), split_pairs(rng)
    wants = [(noun,) for noun in NOUNS for _ in range(each)]
    wants += [
        (NOUNS[n % len(NOUNS)], NOUNS[(n + 5) % len(NOUNS)]) for n in range(pairs)
    ]  # fmt: skip
    likes = np.array([[noun in want for noun in NOUNS] for want in wants], dtype=float)
    train, test = scenes(600, seen, rng), scenes(200, unseen, rng)
    both = np.concatenate([train, test])
    store = Store(space.pictures(both, rng))
    signal = both @ likes.T
    trials = signal[:, None] + noise * rng.standard_normal((len(both), 3, len(wants)))
    mean = trials.mean(1).astype(np.float32)
    rows, held = np.arange(600), np.arange(600, 800)
    shuffled = mean[rng.permutation(600)]
    model, nulls = (_fitted(store, rows, y, work) for y in (mean[:600], shuffled))
    predicted, null = model.predict(store, held), nulls.predict(store, held)
    variance = signal[600:].var(0)
    r = pearson(predicted, mean[600:])
    scores = pd.DataFrame(
        {
            "r": r, "r_squared": np.where(r > 0, r**2, 0), "rois": "",
            "nc": variance / (variance + noise**2 / 3),
        }
    )  # fmt: skip
    null_r = pearson(null, mean[600:][rng.permutation(200)])
    bank, present = a_bank(space, 1500, [*seen, *unseen], rng)
    return World(space, bank, present, model, nulls, wants, scores, null_r)


def a_bank(
    space: Cone, count: int, pairs: Any, rng: np.random.Generator, draws: int = 5
) -> tuple[Bank, Any]:
    """A bank of captioned scenes and what is in each, by place."""
    present = scenes(count, pairs, rng)
    names = [f"{n:05d}" for n in range(count)]
    captions = [[sentence(row)] for row in present]
    store = Store(space.pictures(present, rng))
    digests = [f"{rng.integers(1 << 60):016x}" for _ in names]
    made = make_bank(store, np.arange(count), digests, names=names, captions=captions, draws=draws)
    return made, present[made.ids]


def _fitted(store: Store, rows: Any, responses: Any, work: Path) -> RidgeModel:
    count = responses.shape[1]
    targets = pd.DataFrame({"target": range(count)})
    given = TrainingSet(
        features=store, images=rows, responses=responses, targets=targets, seed=0, work=work,
        device="cpu",
    )  # fmt: skip
    return Ridge(LinearClsConfig(alpha_max=1e3, n_alphas=7, alpha_min=1e-3)).fit(given)
