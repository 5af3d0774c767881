"""Pictures that a report on a decoder shows: queries, and what was retrieved for them.

A report reads artefacts alone, so ``gallery.h5`` keeps these few small pictures: ``/image`` ids
and ``/picture`` (images, side, side, 3) uint8.
"""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.errors import NeuroattnError
from neuroattn.core.hdf5 import add_dataset
from neuroattn.data.dataset import open_dataset
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import DatasetConfig
from neuroattn.decoding.prior_kept import pictures_of
from neuroattn.features.images import fit_picture

log = logging.getLogger("neuroattn.decoding")

FILE = "gallery.h5"
SIDE = 112  # pixels: what a page shows


def keep_pictures(
    out: ArtefactWriter, nearest: pd.DataFrame, dataset: DatasetConfig, prepared: Prepared
) -> None:
    """Write the pictures of ``nearest.tsv``; nothing where the dataset cannot be opened."""
    ids = np.unique(nearest[["query", "image"]].to_numpy(dtype=np.int64))
    if not ids.size:
        return
    try:
        read = pictures_of(open_dataset(dataset).stimuli, prepared.images)
        pictures = np.stack([fit_picture(read(int(image)), SIDE) for image in ids])
    except NeuroattnError as error:
        log.info("no pictures are kept beside the retrieval: %s", error.problem)
        return
    with out.hdf5(FILE) as file:
        add_dataset(file, "image", ids)
        add_dataset(file, "picture", pictures.astype(np.uint8))
