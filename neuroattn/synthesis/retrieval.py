"""Real pictures that an encoder puts highest: its own test pictures, by predictions it has kept."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from neuroattn.core.errors import DataError
from neuroattn.core.stage import StageContext
from neuroattn.data.dataset import open_dataset
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import DatasetConfig
from neuroattn.synthesis.guide import test_predictions
from neuroattn.synthesis.judged import Opinion
from neuroattn.synthesis.objectives import Objective
from neuroattn.synthesis.registry import SynthesisConfig


def best_pictures(
    context: StageContext, guide: Opinion, number: int, count: int
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Ids and pixels of the test pictures with the highest value, the highest first.

    Where one fold guides (``synthesis.fold``) they are that fold's: it learned from the others.

    Raises
    ------
    DataError : a picture is another one than when the data were prepared.
    """
    source = guide.sources[0]
    values = _values(guide.objectives[0][number], test_predictions(source.artefact))
    with source.artefact.hdf5("predictions.h5") as file:
        images = np.asarray(file["/test/image"][:], dtype=np.int64)
        folds = np.asarray(file["/test/fold"][:], dtype=np.int64)
    fold = context.section("synthesis", SynthesisConfig).fold
    values = np.where((folds == fold) | (fold is None), values, np.float32(np.nan))
    best = {
        image: value
        for image, value in zip(images.tolist(), values.tolist(), strict=True)
        if np.isfinite(value)
    }
    prepared = Prepared(context.parents["prepare"])
    known = dict(zip(prepared.images["image"], prepared.images["sha256"], strict=True))
    stimuli = open_dataset(context.section("dataset", DatasetConfig)).stimuli
    for image in sorted(best, key=lambda one: (-best[one], one))[:count]:
        if stimuli.digest(image) != known[image]:
            raise DataError(
                "a picture is another one than when the data were prepared",
                file=stimuli.file(image), expected=f"sha256 {known[image]}", found="other bytes",
                fix="restore the file, or run the stage prepare again",
            )  # fmt: skip
        yield image, stimuli.read(image)


def _values(objective: Objective, predicted: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values of pictures; NaN where a subject of the objective saw no such picture."""
    read = (objective.raised != 0) | (objective.spared != 0).any(0)
    seen = np.isfinite(predicted[:, read.numpy()]).all(1)
    values: NDArray[np.float32] = objective(torch.from_numpy(np.nan_to_num(predicted))).numpy()
    return np.where(seen, values, np.float32(np.nan))
