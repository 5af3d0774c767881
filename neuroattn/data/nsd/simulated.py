"""What a simulation in the form of NSD adds: sources of its scenes, and splits by exemplar.

Only what says which pictures belong together is read here. The planted parameters beside it
are for scoring and for tests: `prepare` keeps a copy, and no fit reads them but the oracle's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.tables import ROI_SEPARATOR
from neuroattn.data.dataset import Splits
from neuroattn.data.split_files import read_splits
from neuroattn.data.tables import read_input_table

_EXEMPLARS = {"unseen_exemplars": "exemplars"}  # the name that the kind of split goes by


def simulated_splits(truth: Mapping[str, Path], known: NDArray[np.int64]) -> Splits:
    """Splits of the simulation by name; that of unseen exemplars is called ``exemplars``."""
    if "splits.json" not in truth:
        return {}
    found = read_splits(truth["splits.json"], known.tolist())
    return {_EXEMPLARS.get(name, name): sides for name, sides in found.items()}


def simulated_sources(truth: Mapping[str, Path]) -> dict[int, str]:
    """Photographs and drawn exemplars of each image, joined by ``|``; empty without tables."""
    if not {"images.tsv", "scenes.tsv", "things.tsv"} <= set(truth):
        return {}
    parts: dict[int, list[str]] = defaultdict(list)
    for name, column in (("scenes.tsv", "source"), ("things.tsv", "exemplar")):
        table = read_input_table(truth[name], integers=("scene",), text=(column,))
        for scene, source in zip(table["scene"], table[column], strict=True):
            if source and source not in parts[scene]:
                parts[scene].append(source)
    images = read_input_table(truth["images.tsv"], integers=("image", "scene"))
    return {
        int(image): ROI_SEPARATOR.join(parts[scene])
        for image, scene in zip(images["image"], images["scene"], strict=True)
    }
