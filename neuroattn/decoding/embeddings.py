"""Decoded embeddings with the space that they lie in, for whatever generates from them.

``embeddings.h5``: for each subject a group with ``embedding`` (brains, dim), ``image`` (brains,)
and ``trials`` (brains, most repeats; -1 fills), and as attributes the subject and the space:
layers, shares, pooling, norm, and the fingerprints of the features.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.errors import DataError
from neuroattn.core.hdf5 import add_dataset

FILE = "embeddings.h5"
MUST_AGREE = ("layers", "shares", "dims", "pool", "norm", "features")


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Embeddings of one subject.

    Parameters
    ----------
    space : `neuroattn.decoding.targets.TargetSpace.identity`, and how repeats were averaged.
    values : (brains, dim).
    image : (brains,) image ids.
    trials : trials of each brain, as rows of the prepared dataset.
    """

    subject: str
    space: Mapping[str, Any]
    values: NDArray[np.float32]
    image: NDArray[np.int64]
    trials: Sequence[NDArray[np.int64]]


def write_embeddings(out: ArtefactWriter, found: Sequence[Embeddings]) -> None:
    """Write the embeddings of all subjects."""
    with out.hdf5(FILE) as file:
        for number, each in enumerate(found):
            group = file.create_group(f"subject-{number}")
            group.attrs["subject"] = each.subject
            group.attrs["space"] = json.dumps(dict(each.space), sort_keys=True)
            add_dataset(group, "embedding", each.values)
            add_dataset(group, "image", each.image)
            most = max((len(trials) for trials in each.trials), default=1)
            table = np.full((len(each.trials), most), -1, dtype=np.int64)
            for row, trials in enumerate(each.trials):
                table[row, : len(trials)] = trials
            add_dataset(group, "trials", table)


def read_embeddings(artefact: Artefact) -> list[Embeddings]:
    """What `write_embeddings` wrote, subject by subject."""
    found = []
    with artefact.hdf5(FILE) as file:
        for name in sorted(file, key=lambda name: int(name.partition("-")[2])):
            group = file[name]
            trials = [row[row >= 0] for row in group["trials"][:]]
            space = json.loads(group.attrs["space"])
            found.append(
                Embeddings(
                    str(group.attrs["subject"]), space, group["embedding"][:], group["image"][:],
                    trials,
                )
            )  # fmt: skip
    return found


def check_space(found: Mapping[str, Any], wanted: Mapping[str, Any], where: str) -> None:
    """Refuse embeddings of another space.

    Raises
    ------
    DataError : naming what differs.
    """
    different = [key for key in MUST_AGREE if found.get(key) != wanted.get(key)]
    if different:
        raise DataError(
            "these embeddings lie in another space",
            file=where,
            expected={key: wanted.get(key) for key in different},
            found={key: found.get(key) for key in different},
            fix="decode with the same backbone, layers, pooling and scale",
        )
