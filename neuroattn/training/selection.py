"""Choosing the best moment of a run without looking at the test images.

Early stopping and "keep the best checkpoint" are fits to whatever they look at. They look at
a *selection set*, and a run that would select on test images does not start.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError, DataError, LeakError
from neuroattn.training.batches import BatchSource
from neuroattn.training.registry import Mode, StoppingConfig

Images = NDArray[np.int64]
NO_IMAGES: Images = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class SelectionSet:
    """What early stopping and the best checkpoint are judged on.

    Parameters
    ----------
    name : role of the set, as in ``selection``; also the prefix of its metrics. ``train``
        says openly that the training images are judged on; ``test`` is refused.
    images : image ids of the set.
    source : its batches.
    """

    name: str
    images: Images
    source: BatchSource


@dataclass(frozen=True)
class TrainingData:
    """Everything a run reads, with the image ids of all sides, for the leak check.

    Parameters
    ----------
    train : training batches.
    train_images : image ids behind ``train`` (repeats allowed).
    selection : the set to judge on, or None: then the last checkpoint is the best.
    test_images : image ids that nothing may be fitted or chosen on.
    """

    train: BatchSource
    train_images: Images
    selection: SelectionSet | None = None
    test_images: Images = field(default_factory=lambda: NO_IMAGES)


def check_sides(data: TrainingData) -> None:
    """Refuse a run whose test images are trained or selected on.

    Raises
    ------
    LeakError : training or selection images are test images, the selection set is the test
        set by name, or it overlaps with the training images without being called ``train``.
    """
    _refuse_overlap("training", data.train_images, "test", data.test_images)
    if data.selection is None:
        return
    name, images = data.selection.name, data.selection.images
    if name.strip().lower() == "test":
        raise LeakError(
            "the test set cannot be the selection set",
            expected="a selection set split off the training images",
            found=name,
            fix="hold out some training images for selection, or select on 'train'",
        )
    _refuse_overlap(f"'{name}' (selection)", images, "test", data.test_images)
    if name != "train":
        _refuse_overlap(f"'{name}' (selection)", images, "training", data.train_images)


def _refuse_overlap(left: str, left_images: Images, right: str, right_images: Images) -> None:
    common = np.intersect1d(left_images, right_images)
    if common.size:
        shown = ", ".join(map(str, common[:5])) + (", ..." if common.size > 5 else "")
        raise LeakError(
            f"{left} images are {right} images as well",
            expected="no image on both sides",
            found=f"{common.size} images on both, as {shown}",
            fix="split by image, with all repeats of an image on one side",
        )


def images_digest(images: Images) -> str:
    """SHA-256 of image ids in their order."""
    return hashlib.sha256(np.ascontiguousarray(images, dtype="<i8").tobytes()).hexdigest()


def monitored(metrics: Mapping[str, float], monitor: str) -> float:
    """The monitored metric.

    Raises
    ------
    ConfigError : the evaluation returned no metric of that name.
    DataError : it is NaN or infinite.
    """
    if monitor not in metrics:
        raise ConfigError(
            "the evaluation gives no metric of the monitored name",
            expected=" | ".join(sorted(metrics)),
            found=monitor,
            fix="set training.stopping.monitor to one of them",
        )
    value = float(metrics[monitor])
    if not math.isfinite(value):
        raise DataError(
            f"the monitored metric '{monitor}' is {value}",
            expected="a finite number",
            found=value,
            fix="check the selection data for NaN and for targets without variance",
        )
    return value


@dataclass
class Selector:
    """Keeps the best value seen and counts evaluations without improvement.

    The first evaluation is always an improvement. Later ones must beat the best by more
    than ``min_delta``: a tie keeps the earlier moment and counts as no improvement.
    """

    config: StoppingConfig
    best: float | None = None
    waited: int = 0

    def update(self, value: float) -> bool:
        """Take one evaluation; returns whether it is the new best."""
        improved = self.best is None or self._gain(value, self.best) > self.config.min_delta
        if improved:
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        return improved

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return self.config.patience is not None and self.waited >= self.config.patience

    def _gain(self, value: float, best: float) -> float:
        return best - value if self.config.mode is Mode.min else value - best

    def state_dict(self) -> dict[str, Any]:
        """Best value and count as JSON values."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Bring back what `state_dict` gave."""
        self.best, self.waited = state["best"], int(state["waited"])
