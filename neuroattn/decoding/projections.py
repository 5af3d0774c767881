"""Fewer inputs: parcel means, and principal components of tables that never fit in memory.

Both are linear maps of standardised responses, fitted on training rows, and say how weights of
what they give are weights of what they were given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from neuroattn.core.errors import ConfigError
from neuroattn.core.seeding import generator
from neuroattn.encoding.projection import oriented

Floats = NDArray[np.float32]
ROUNDS = 4  # of subspace iteration: 1 % of the variance of a flat spectrum, less of others
SPARE = 10  # directions beside those that are kept (Halko et al. 2011, section 4.2)


class Projection(Protocol):
    """A linear map from (rows, targets) to (rows, width)."""

    @property
    def width(self) -> int:
        """Numbers that are left."""

    def apply(self, values: Floats) -> Floats:
        """(rows, width) from (rows, targets)."""

    def fold(self, weights: Floats) -> Floats:
        """Weights (width, outputs) as weights (targets, outputs)."""

    def spread(self, values: Floats) -> Floats:
        """What (rows, width) says of the targets: (rows, targets), the nearest preimage to 0."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Named arrays for a sidecar."""


@dataclass(frozen=True, eq=False)
class Parcels:
    """Means over parcels.

    Parameters
    ----------
    names : of the parcels, sorted.
    parcel : (targets,) place of each target's parcel among them; -1 for none.
    """

    names: list[str]
    parcel: NDArray[np.int64]

    @property
    def width(self) -> int:
        """Number of parcels."""
        return len(self.names)

    @cached_property
    def _matrix(self) -> Any:
        inside = np.flatnonzero(self.parcel >= 0)
        sizes = np.bincount(self.parcel[inside], minlength=self.width)
        share = (1 / sizes[self.parcel[inside]]).astype(np.float32)
        shape = (len(self.parcel), self.width)
        return csr_array((share, (inside, self.parcel[inside])), shape=shape)

    def apply(self, values: Floats) -> Floats:
        """(rows, parcels) means of (rows, targets)."""
        return np.ascontiguousarray((self._matrix.T @ values.T).T, dtype=np.float32)

    def fold(self, weights: Floats) -> Floats:
        """Each target's share of the weight of its parcel: (targets, outputs)."""
        return np.asarray(self._matrix @ weights, dtype=np.float32)

    def spread(self, values: Floats) -> Floats:
        """Each target the mean of its parcel; 0 in none."""
        found = values[:, np.maximum(self.parcel, 0)]
        return np.asarray(np.where(self.parcel >= 0, found, 0), dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Places and names (as bytes, one row a parcel)."""
        width = max(len(name.encode()) for name in self.names)
        text = np.array([name.encode() for name in self.names], dtype=f"S{width}")
        return {"parcel": self.parcel, "names": text.view(np.uint8).reshape(len(text), width)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Parcels:
        """What `arrays` gave, back."""
        rows = [bytes(row).rstrip(b"\0").decode() for row in arrays["names"]]
        return cls(rows, arrays["parcel"])


@dataclass(frozen=True, eq=False)
class Principal:
    """Principal components.

    Parameters
    ----------
    basis : (targets, components), orthonormal columns by falling variance.
    variance : (components,) along each over the training rows.
    """

    basis: Floats
    variance: Floats

    @property
    def width(self) -> int:
        """Number of components."""
        return int(self.basis.shape[1])

    def apply(self, values: Floats) -> Floats:
        """(rows, components) of (rows, targets)."""
        return np.asarray(values @ self.basis, dtype=np.float32)

    def fold(self, weights: Floats) -> Floats:
        """Weights (targets, outputs)."""
        return np.asarray(self.basis @ weights, dtype=np.float32)

    def spread(self, values: Floats) -> Floats:
        """The part of the responses in the span of the components."""
        return np.asarray(values @ self.basis.T, dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The basis and its variances."""
        return {"basis": self.basis, "variance": self.variance}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Principal:
        """What `arrays` gave, back."""
        return cls(arrays["basis"], arrays["variance"])


def parcel_means(names: NDArray[Any]) -> Parcels:
    """Means over the parcels ``names`` (targets,); targets without a name are left out.

    Raises
    ------
    ConfigError : no target has one.
    """
    known = sorted({str(name) for name in names} - {""})
    if not known:
        raise ConfigError(
            "no target is in a parcel",
            expected="an atlas with a name for some of the targets that are read",
            found="none",
            fix="correct decoder.input.atlas, or leave it out to cluster the targets",
        )
    place = {name: index for index, name in enumerate(known)}
    return Parcels(known, np.array([place.get(str(name), -1) for name in names], dtype=np.int64))


def principal(
    frames: Callable[[], Iterator[Floats]], targets: int, rows: int, components: int, seed: int
) -> Principal:
    """Leading principal components of a table that is streamed.

    Subspace iteration from random directions (Halko, Martinsson & Tropp 2011, algorithm 4.4):
    each of `ROUNDS` passes costs 4 x rows x targets x components operations.

    Parameters
    ----------
    frames : gives blocks (rows, targets) of standardised responses, as often as it is called.

    Raises
    ------
    ConfigError : there are fewer directions than components.
    """
    if components > min(rows - 1, targets):
        raise ConfigError(
            "the responses do not have so many components",
            expected=f"decoder.input.components of at most {min(rows - 1, targets)}",
            found=components,
            fix="lower decoder.input.components",
        )
    size = min(components + SPARE, rows, targets)
    random = generator(seed, "components").standard_normal((targets, size))
    basis = np.linalg.qr(random)[0].astype(np.float32)
    for _ in range(ROUNDS):
        product = sum((z.T @ (z @ basis) for z in frames()), np.zeros_like(basis))
        basis = np.linalg.qr(product.astype(np.float64))[0].astype(np.float32)
    inner = np.zeros((size, size))
    for z in frames():
        scores = (z @ basis).astype(np.float64)
        inner += scores.T @ scores
    variance, turn = np.linalg.eigh(inner / rows)
    order = np.argsort(variance)[::-1][:components]
    found = oriented(basis.astype(np.float64) @ turn[:, order])
    return Principal(
        np.ascontiguousarray(found, dtype=np.float32), variance[order].astype(np.float32)
    )
