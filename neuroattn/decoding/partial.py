"""What a fitted decoder says with some of its inputs put to their training mean.

Inputs are standardised, so a network that is left out is **zero**, its mean over training; adding
a constant to the raw betas of a target changes nothing here.

**Cost.** Where the first layer is linear, ``hidden = x W^T + b``, leaving network k out takes
``x_k W_k^T`` off it, and keeping it alone adds ``b`` to that product: the products of all networks
together are one pass over the inputs (2 n targets hidden operations), after which each network
costs what comes behind the first layer. Masked passes multiply all inputs again each time: for
K networks the floor of the ratio is K + 1 products to 2 where the first layer is all there is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Inputs = NDArray[np.float32]
Columns = NDArray[np.int64]
Outputs = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Split:
    """A decoder cut behind its linear first layer.

    Parameters
    ----------
    weight : (hidden, targets), of standardised inputs; a projection before it is multiplied in.
    bias : (hidden,).
    rest : (brains, hidden) -> (brains, dim); None where the first layer is all.
    """

    weight: Inputs
    bias: Inputs
    rest: Callable[[Tensor], Tensor] | None = None


After = Callable[[Outputs], Outputs]


def _as_it_is(outputs: Outputs) -> Outputs:
    return outputs


class Masking(Protocol):
    """Outputs (brains, dim) with some inputs left out, or with them alone."""

    def whole(self) -> Outputs:
        """With all inputs."""

    def without(self, columns: Columns) -> Outputs:
        """With ``columns`` at their training mean."""

    def only(self, columns: Columns) -> Outputs:
        """With all others at their training mean."""


class PartialProducts:
    """Masking by partial products of the first layer.

    Parameters
    ----------
    inputs : (brains, targets) standardised.
    after : what is done to outputs, such as bringing them to length one.
    """

    def __init__(self, split: Split, inputs: Inputs, after: After = _as_it_is) -> None:
        self.split, self.after = split, after
        # Columns are gathered again and again: rows of the transposes are read in one piece.
        self._inputs = _transposed(inputs)
        self._weight = _transposed(split.weight)
        self._bias = torch.from_numpy(np.array(split.bias, dtype=np.float32))
        self._hidden = torch.addmm(self._bias, self._inputs.mT, self._weight)

    def part(self, columns: Columns) -> Inputs:
        """Product (brains, hidden) of some inputs with their weights."""
        return np.asarray(self._part(columns).numpy())

    def whole(self) -> Outputs:
        """See `Masking`."""
        return self._behind(self._hidden)

    def without(self, columns: Columns) -> Outputs:
        """See `Masking`."""
        return self._behind(self._hidden - self._part(columns))

    def only(self, columns: Columns) -> Outputs:
        """See `Masking`."""
        return self._behind(self._part(columns) + self._bias)

    def both(self, columns: Columns) -> tuple[Outputs, Outputs]:
        """`without` and `only` from one product."""
        part = self._part(columns)
        return self._behind(self._hidden - part), self._behind(part.add_(self._bias))

    def _part(self, columns: Columns) -> Tensor:
        rows = torch.from_numpy(np.asarray(columns, dtype=np.int64))
        return self._inputs.index_select(0, rows).mT @ self._weight.index_select(0, rows)

    def _behind(self, hidden: Tensor) -> Outputs:
        if self.split.rest is None:
            return self.after(hidden.numpy())
        with torch.no_grad():
            out: Any = self.split.rest(hidden)
        return self.after(np.asarray(out.float().cpu().numpy(), dtype=np.float32))


def _transposed(matrix: Inputs) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(matrix.T, dtype=np.float32))


class MaskedPasses:
    """Masking by a whole pass for every mask, for decoders whose first layer is not one map.

    Parameters
    ----------
    embed : (brains, targets) standardised -> (brains, dim).
    inputs : (brains, targets) standardised.
    """

    def __init__(self, embed: Callable[[Inputs], Outputs], inputs: Inputs) -> None:
        self.embed, self.inputs = embed, np.asarray(inputs, dtype=np.float32)

    def whole(self) -> Outputs:
        """See `Masking`."""
        return self.embed(self.inputs)

    def without(self, columns: Columns) -> Outputs:
        """See `Masking`."""
        masked = self.inputs.copy()
        masked[:, columns] = 0.0
        return self.embed(masked)

    def only(self, columns: Columns) -> Outputs:
        """See `Masking`."""
        masked = np.zeros_like(self.inputs)
        masked[:, columns] = self.inputs[:, columns]
        return self.embed(masked)

    def both(self, columns: Columns) -> tuple[Outputs, Outputs]:
        """`without` and `only`, a pass each."""
        return self.without(columns), self.only(columns)


def matched_controls(
    parcels: Sequence[Columns], network: Columns, count: int, rng: np.random.Generator
) -> list[Columns]:
    """Random sets of whole parcels, outside the network, with as many targets as it.

    Parcels enter in random order until the size is reached; the last one is cut. Neighbouring
    targets share noise and signal, and a network is made of patches: so are its controls.

    Empty where there are fewer targets outside than in the network: it has no control.
    """
    outside = [np.setdiff1d(parcel, network) for parcel in parcels]
    outside = [parcel for parcel in outside if len(parcel)]
    if sum(map(len, outside)) < len(network):
        return []
    found = []
    for _ in range(count):
        order = [outside[index] for index in rng.permutation(len(outside))]
        ends = np.cumsum([len(parcel) for parcel in order])
        last = int(np.searchsorted(ends, len(network)))
        joined = np.concatenate(order[: last + 1])
        found.append(np.sort(joined[: len(network)]))
    return found
