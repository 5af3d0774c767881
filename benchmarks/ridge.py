"""Exact ridge with a penalty per target: `neuroattn.encoding.ridge` against himalaya and sklearn.

All start from the same fp16 features, standardise them with training statistics, choose among
the same penalties over the same inner folds, fit, and predict the test images. Times include all
of it. With n training images, D features, V targets, A penalties and F inner folds:

- Gram matrix: n^2 D multiply-adds, the only term in D. Ours computes half of its tiles.
- F + 1 eigendecompositions of n x n, about 9 n^3 operations each.
- For each penalty and fold 2 n^3 + 2 n^2 V operations.

Floor: those operations at the speed of a float64 matrix product of size n (measured beside it).
himalaya's solver does the second and third for us as well, so the ratio to it tells what our
streaming costs; it holds all features as float64 (8 n D bytes), ours ``tile_mib``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.harness import Table, milliseconds, peak_mib, ratio, take_turns
from neuroattn.encoding.penalties import penalties
from neuroattn.encoding.readout import TrainingSet
from neuroattn.encoding.registry import RidgeConfig
from neuroattn.encoding.ridge import Ridge
from neuroattn.encoding.solvers import himalaya_backend, inner_folds
from neuroattn.stats.correlation import pearson

Array = np.ndarray[Any, Any]
SIZES = {  # training images, test images, tokens, dim, targets
    "wide": {True: (40, 10, 4, 30, 6), False: (600, 150, 49, 232, 500)},
    "narrow": {True: (60, 10, 2, 10, 6), False: (1200, 150, 1, 256, 500)},
}
CONFIG = RidgeConfig(n_alphas=9, alpha_min=1e-2, alpha_max=1e4)


class Memory:
    """A feature store in memory: image id = row."""

    layers = ["all"]  # noqa: RUF012

    def __init__(self, values: Array) -> None:
        self.values = values

    def shape(self, layer: str) -> tuple[int, int, int]:  # noqa: ARG002
        """(images, tokens, dim)."""
        images, tokens, dim = self.values.shape
        return images, tokens, dim

    def read(self, layer: str, images: Any = None) -> Array:  # noqa: ARG002
        """Rows in the order asked for."""
        return self.values if images is None else self.values[np.asarray(images)]


@dataclass(frozen=True)
class Task:
    """One problem, and every way of solving it."""

    features: Array
    responses: Array
    train: int

    @property
    def test_images(self) -> Array:
        """Ids of the test images."""
        return np.arange(self.train, len(self.features))

    def folds(self) -> list[tuple[Array, Array]]:
        """The inner folds that all contenders use."""
        return inner_folds(np.arange(self.train), CONFIG.inner_folds, 0)

    def ours(self) -> Array:
        """The readout as the stage ``encode`` calls it."""
        store, images = Memory(self.features), np.arange(self.train)
        train = TrainingSet(
            features=store, images=images, responses=self.responses[: self.train],
            targets=pd.DataFrame({"target": range(self.responses.shape[1])}), seed=0,
            work=Path(mkdtemp()), device="cpu",
        )  # fmt: skip
        return Ridge(CONFIG).fit(train).predict(store, self.test_images)

    def standardised(self) -> tuple[Array, Array, float]:
        """Training and test features in float64, and the unit of our penalties."""
        from sklearn.preprocessing import StandardScaler

        flat = self.features.reshape(len(self.features), -1).astype(np.float64)
        scaler = StandardScaler().fit(flat[: self.train])
        train = scaler.transform(flat[: self.train])
        unit = float(np.square(train).sum()) / len(train)
        return train, scaler.transform(flat[self.train :]), unit

    def himalaya(self) -> Array:
        """``KernelRidgeCV`` with a linear kernel, in float64 on torch."""
        from himalaya.kernel_ridge import KernelRidgeCV

        train, test, unit = self.standardised()
        with himalaya_backend(torch.device("cpu")):
            model = KernelRidgeCV(
                alphas=penalties(CONFIG) * unit, fit_intercept=True, cv=self.folds(), warn=False
            )
            model.fit(torch.from_numpy(train), self._y())
            return np.asarray(model.predict(torch.from_numpy(test)))

    def himalaya_primal(self) -> Array:
        """``RidgeCV``, by singular values of the features."""
        from himalaya.ridge import RidgeCV

        train, test, unit = self.standardised()
        with himalaya_backend(torch.device("cpu")):
            model = RidgeCV(alphas=penalties(CONFIG) * unit, fit_intercept=True, cv=self.folds())
            model.fit(torch.from_numpy(train), self._y())
            return np.asarray(model.predict(torch.from_numpy(test)))

    def sklearn(self) -> Array:
        """``RidgeCV`` with a penalty per target, which leaves one image out instead of a fold."""
        from sklearn.linear_model import RidgeCV

        train, test, unit = self.standardised()
        model = RidgeCV(alphas=penalties(CONFIG) * unit, alpha_per_target=True)
        return np.asarray(model.fit(train, self.responses[: self.train]).predict(test))

    def accuracy(self, predicted: Array) -> float:
        """Mean test correlation."""
        return float(pearson(predicted, self.responses[self.train :]).mean())

    def _y(self) -> torch.Tensor:
        return torch.from_numpy(self.responses[: self.train].astype(np.float64))


def make(shape: str, tiny: bool) -> Task:
    """Features of low rank with noise, and responses of which some are noise alone."""
    train, test, tokens, dim, targets = SIZES[shape][tiny]
    rng = np.random.default_rng(0)
    sources = rng.normal(size=(train + test, 20))
    x = sources @ rng.normal(size=(20, tokens * dim))
    x += rng.normal(size=x.shape)
    y = sources @ rng.normal(size=(20, targets)) * np.linspace(0, 1, targets)
    y += 3 * rng.normal(size=y.shape)
    features = x.reshape(train + test, tokens, dim).astype(np.float16)
    return Task(features, y.astype(np.float32), train)


def memory_of(name: str, shape: str, tiny: bool) -> Any:
    """For `peak_mib`: the contender, ready to run, with its modules imported by a tiny run."""
    getattr(make(shape, True), name)()
    return getattr(make(shape, tiny), name)


NAMES = {
    "ours": "neuroattn",
    "himalaya": "himalaya KernelRidgeCV",
    "himalaya_primal": "himalaya RidgeCV",
    "sklearn": "scikit-learn RidgeCV (leaves one out)",
}
COLUMNS = (
    "problem", "contender", "median time", "relative to ours", "memory added", "mean test r",
    "largest difference",
)  # fmt: skip
PEERS = {"wide": ("ours", "himalaya", "sklearn"), "narrow": ("ours", "himalaya_primal", "sklearn")}


def run(tiny: bool) -> Table:
    """Time all contenders, after checking that they predict the same."""
    rows = [row for shape in PEERS for row in _rows(shape, tiny, 1 if tiny else 3)]
    sizes = "; ".join(f"{shape}: {_words(make(shape, tiny))}" for shape in PEERS)
    return Table(
        title="Exact ridge, a penalty per target",
        columns=COLUMNS,
        rows=rows,
        notes=(
            f"{sizes}. {CONFIG.n_alphas} penalties, {CONFIG.inner_folds} inner folds, float64.",
            "Times are of standardising fp16 features in memory, fitting, and predicting.",
            "Ours also makes the coefficient of every feature, to be stored; the peers do not.",
            "Differences are between predictions and ours, in units of our standard deviation.",
            "scikit-learn leaves out single images, not folds: one decomposition, other penalties.",
        ),
    )


def _words(task: Task) -> str:
    width, targets = task.features[0].size, task.responses.shape[1]
    return f"{task.train} training images, {width:,} features, {targets} targets"


def _rows(shape: str, tiny: bool, turns: int) -> list[tuple[str, ...]]:
    task, names = make(shape, tiny), PEERS[shape]
    predictions = {name: getattr(task, name)() for name in names}
    spread = float(predictions["ours"].std())
    gap = {n: float(np.abs(p - predictions["ours"]).max()) / spread for n, p in predictions.items()}
    if gap[names[1]] > 1e-3:
        raise RuntimeError(f"the contenders do not predict the same: {gap}")
    seconds = take_turns({name: getattr(task, name) for name in names}, turns, warmups=0)
    floor = _floor(task)
    rows = [
        (
            shape, NAMES[name], milliseconds(seconds[name]), ratio(seconds[name], seconds["ours"]),
            f"{peak_mib('benchmarks.ridge:memory_of', name, shape, tiny):.0f} MiB",
            f"{task.accuracy(predictions[name]):.4f}", f"{gap[name]:.0e}",
        )
        for name in names
    ]  # fmt: skip
    relative = ratio(floor, seconds["ours"])
    return [*rows, (shape, "floor: the same operations", milliseconds(floor), relative, "", "", "")]


def _floor(task: Task) -> float:
    """Seconds of our operations at the speed of a float64 matrix product."""
    n, width, targets = task.train, task.features[0].size, task.responses.shape[1]
    size = min(n, width)  # of the matrices that are decomposed
    inner = size * (CONFIG.inner_folds - 1) / CONFIG.inner_folds
    gram = n * width * size
    eigen = 9 * (size**3 + CONFIG.inner_folds * inner**3)
    penalties = CONFIG.n_alphas * CONFIG.inner_folds * 2 * (inner**3 + inner * n * targets)
    a = torch.randn(600, 600, dtype=torch.float64)
    speed = 2 * 600**3 / take_turns({"product": lambda: a @ a}, 3)["product"]
    return (gram + eigen + penalties) / speed
