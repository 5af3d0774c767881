"""Ridge regression from responses to embeddings: the closed form beside every trained decoder.

The solvers, the grid of penalties and the inner folds are those of the encoders. Each subject is
fitted alone. A prior that knows all blurs before training (one for all, or by the repeats) gives
its targets; one that learns from epoch to epoch has no epochs here. With n rows, w inputs and d
dimensions the dual form (w > n) costs n^2 w for the inner products and as many eigendecompositions
of n^3 as there are inner folds, and one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuroattn.core.errors import DataError
from neuroattn.decoding.decoder import DecodingSet, Ids, Rows, SubjectRows
from neuroattn.decoding.decoder_schemas import RidgeDecoderConfig
from neuroattn.decoding.inputs import blocks
from neuroattn.decoding.partial import Split
from neuroattn.decoding.targets import TargetSpace
from neuroattn.decoding.trained import RowSource, bank_of
from neuroattn.encoding.penalties import penalties
from neuroattn.encoding.solvers import (
    inner_folds,
    solve_dual,
    solve_primal,
    solver_device,
)


@dataclass(frozen=True, eq=False)
class FittedRidge:
    """Coefficients of each subject.

    Parameters
    ----------
    weights : (inputs, dim) of each subject.
    intercept : (dim,) of each.
    alpha : (dim,) of each.
    folded : (targets, dim) of each, the weights of standardised responses.
    prior : what the targets were asked of; None where they were the pictures as shown.
    """

    space: TargetSpace
    weights: list[Rows]
    intercept: list[Rows]
    alpha: list[NDArray[np.float64]]
    folded: list[Rows]
    prior: Any = None

    def embed(self, subject: int, inputs: Rows) -> Rows:
        """Predicted embeddings (rows, dim)."""
        return np.asarray(inputs @ self.weights[subject] + self.intercept[subject], np.float32)

    def module(self, subject: int) -> Callable[[Any], Any]:
        """The same on tensors."""
        weight = torch.from_numpy(self.weights[subject])
        intercept = torch.from_numpy(self.intercept[subject])
        return lambda inputs: inputs @ weight + intercept

    def split(self, subject: int) -> Split:
        """The whole decoder is its first layer."""
        return Split(np.ascontiguousarray(self.folded[subject].T), self.intercept[subject])

    def gallery(self, images: Ids) -> Rows:
        """The pictures as they were shown, or as the prior looks for them."""
        if self.prior is None:
            return self.space.read(images)
        found: torch.Tensor = self.prior.gallery(images)
        return found.numpy()

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Coefficients by subject."""
        arrays: dict[str, NDArray[Any]] = {}
        for index in range(len(self.weights)):
            arrays |= {
                f"weights/{index}": self.weights[index],
                f"intercept/{index}": self.intercept[index],
                f"alpha/{index}": self.alpha[index],
            }
        return arrays, {"decoder": "ridge", "subjects": len(self.weights)}


class RidgeDecoder:
    """Ridge as a decoder.

    Parameters
    ----------
    config : the section ``decoder``.
    """

    def __init__(self, config: RidgeDecoderConfig) -> None:
        self.config = config

    def fit(self, train: DecodingSet) -> FittedRidge:
        """Fit each subject on its training rows.

        Raises
        ------
        DataError : a subject has too few training images.
        """
        prior = self._prior(train) if train.blurs else None
        first = np.cumsum([0, *(len(rows.images) for rows in train.subjects)])
        wanted = [
            targets_of(rows.images, train.space, prior, int(start))
            for rows, start in zip(train.subjects, first, strict=False)
        ]
        pairs = zip(train.subjects, wanted, strict=True)
        solved = [self._solve(rows, train, *mine) for rows, mine in pairs]
        weights, intercept, alpha = (list(part) for part in zip(*solved, strict=True))
        folded = [
            rows.input.fold(table) for rows, table in zip(train.subjects, weights, strict=True)
        ]
        return FittedRidge(train.space, weights, intercept, alpha, folded, prior)

    @staticmethod
    def _prior(train: DecodingSet) -> Any:
        parts = train.subjects
        tables, images = [rows.table for rows in parts], [rows.images for rows in parts]
        every = [np.arange(len(ids)) for ids in images]
        source = RowSource(tables, images, every, people=[rows.people for rows in parts])
        return train.make_prior(bank_of(train.space, source))

    def _solve(
        self, rows: SubjectRows, train: DecodingSet, wanted: Rows, target: Ids
    ) -> tuple[Rows, Rows, Any]:
        place = np.unique(rows.images, return_inverse=True)[1]
        scale = np.maximum(wanted.std(0, dtype=np.float64), 1e-12)
        _check_finite(wanted)
        table = torch.from_numpy(np.array(rows.table))
        mean = table.mean(0, keepdim=True)
        table -= mean
        device = solver_device(train.device)
        responses = torch.from_numpy((wanted / scale).astype(np.float32)[target]).to(device)
        folds = inner_folds(place, self.config.inner_folds, train.seed)
        grid = penalties(self.config)
        matrix = table.to(device)
        if matrix.shape[1] <= len(matrix):
            solution = solve_primal(matrix, responses, grid, folds, 4096)
            weights = solution.weights.cpu()
        else:
            solution = solve_dual(matrix @ matrix.T, responses, grid, folds, 4096)
            weights = matrix.T.cpu() @ solution.weights.cpu()
        scaled = weights.double().numpy() * scale
        intercept = solution.intercept * scale - mean[0].double().numpy() @ scaled
        return scaled.astype(np.float32), intercept.astype(np.float32), solution.alpha

    def methods(self) -> str:
        """A sentence for the Methods text."""
        return (
            "Image embeddings were predicted from responses by ridge regression; the penalty of"
            f" each dimension was chosen among {self.config.n_alphas} by"
            f" {self.config.inner_folds}-fold cross-validation over training images"
            f" (himalaya {version('himalaya')}; Dupré la Tour et al., 2022, NeuroImage 264:119728)"
        )


def targets_of(images: Ids, space: TargetSpace, prior: Any, start: int) -> tuple[Rows, Ids]:
    """Embeddings to predict, each once, and which of them each row has.

    Parameters
    ----------
    start : number of the subject's first row among those of all subjects.
    """
    if prior is None:
        ids, place = np.unique(images, return_inverse=True)
        return space.read(ids), place
    rows = np.arange(len(images))
    targets: torch.Tensor = prior.targets_for(torch.from_numpy(start + rows))
    return targets.numpy(), rows


def _check_finite(wanted: Rows) -> None:
    for part in blocks(wanted):
        if not np.isfinite(wanted[part]).all():
            raise DataError(
                "the embeddings of the training images are not all finite",
                found="NaN or infinity",
                fix="delete the features artefact and run features again",
            )
