"""What an encoder keeps for the report: curves of its training, and pictures it looked at."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.atomic import read_json, write_json
from neuroattn.core.errors import NeuroattnError
from neuroattn.data.dataset import open_dataset
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import DatasetConfig
from neuroattn.features.registry import BackboneConfig
from neuroattn.features.stage import Pictures

log = logging.getLogger("neuroattn.encoding")

CURVES = "curves.tsv"
SIDE = 112  # pixels of a kept picture: what a page shows, at 4 MB for 100 of them
_HISTORY = "history.json"


def keep_history(work: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Leave the rows of a training (one an epoch) in the work folder of its fit."""
    write_json(work / _HISTORY, [dict(row) for row in history])


def write_curves(out: ArtefactWriter, place: str, work: Path) -> None:
    """Write ``<place>/curves.tsv`` from what the fit left: epoch, loss, selection metrics."""
    path = work / _HISTORY
    if path.exists():
        out.table(f"{place}/{CURVES}", pd.DataFrame(read_json(path)))


def shown_pictures(
    dataset: DatasetConfig,
    backbone: BackboneConfig,
    prepared: Prepared,
    images: NDArray[np.int64],
) -> dict[str, NDArray[np.uint8]]:
    """``attention-pictures``: (images, side, side, 3), cut as the network saw them.

    Empty where the dataset cannot be opened: a fit from artefacts alone needs no pictures.
    """
    table = prepared.images
    row = dict(zip(table["image"].tolist(), range(len(table)), strict=True))
    try:
        stimuli = open_dataset(dataset).stimuli
        pictures = Pictures(stimuli, table, replace(backbone, image_size=SIDE))
        kept = [pictures.read(row[int(image)]) for image in images]
    except NeuroattnError as error:
        log.info("no pictures are kept beside the attention: %s", error.problem)
        return {}
    shape = (len(kept), SIDE, SIDE, 3)
    return {"attention-pictures": np.asarray(kept, dtype=np.uint8).reshape(shape)}
