"""Reader of the Algonauts Project 2023 challenge; see `neuroattn.data.dataset.Dataset`.

The challenge is a view of NSD: fsaverage betas, z-scored within sessions and averaged over
repeats, on the vertices where all is there (Gifford et al. 2023, arXiv:2301.03198). There is
one trial per training image. Responses to the test images were never distributed: these
images have pictures (``stimuli``) and are listed in ``withheld``, but have no trials, so no
split can test on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.errors import DataError
from neuroattn.core.tables import ROI_SEPARATOR, TARGETS, TRIALS
from neuroattn.data.algonauts2023_files import HEMISPHERES, find
from neuroattn.data.array_files import open_npy
from neuroattn.data.dataset import Description, ResponseBlock, Splits, Stimuli
from neuroattn.data.nsd import layout
from neuroattn.data.registry import Algonauts2023Config
from neuroattn.data.restricted_pickle import read_labels_dictionary
from neuroattn.data.stimuli import PictureFiles

_MIB = 1 << 20
_CITATION = "Gifford et al. 2023, The Algonauts Project 2023 Challenge, arXiv:2301.03198"
Ids = NDArray[np.int64]


class Algonauts2023Dataset:
    """One subject of the challenge."""

    one_subject: ClassVar[bool] = True  # several are put together by `open_dataset`

    def __init__(self, config: Algonauts2023Config) -> None:
        self.config, self.files = config, find(config)
        self.vertices: list[Ids] = [_vertices(path) for path in self.files.vertices]
        for path, vertices in zip(self.files.responses, self.vertices, strict=True):
            _check_responses(path, len(self.files.training), len(vertices))
        pictures = {**self.files.training, **self.files.test}
        self.stimuli: Stimuli = PictureFiles(pictures, self.files.root)
        self.splits: Splits = {}
        self.captions: dict[str, list[str]] = {}
        self.categories: dict[str, list[str]] = {}
        self.supplied_ncsnr: NDArray[np.float32] | None = None

    @property
    def withheld(self) -> Ids:
        """73k ids of the test images, whose responses nobody outside the challenge has."""
        return np.array(sorted(self.files.test), dtype=np.int64)

    @property
    def description(self) -> Description:
        """What was recorded."""
        simulated = self.files.simulated is not None
        return Description(
            name=f"{'Simulated Algonauts' if simulated else 'Algonauts'} 2023 {self.files.subject}",
            units="betas, z-scored within sessions and averaged over repeats",
            space="fsaverage",
            description=f"{len(self.files.test)} test images have no responses; z-scores used all "
            "images of a session, test images included",
            **layout.whose(_CITATION, simulated=simulated),
        )

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per training image, in the order of the rows of the responses."""
        images = np.array(list(self.files.training), dtype=np.int64)
        columns = {
            "trial": np.arange(len(images)),
            "subject": self.files.subject,
            "session": 1,  # repeats of several sessions were averaged
            "run": pd.array([pd.NA] * len(images), dtype="Int64"),
            "image": images,
            "repeat": 1,
        }
        return pd.DataFrame(columns)[list(TRIALS)]

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row per training image, by ascending id."""
        shown = sorted(self.files.training)
        files = [self.stimuli.file(image) for image in shown]
        return pd.DataFrame({"image": shown, "file": files, "source": ""})

    @cached_property
    def targets(self) -> pd.DataFrame:
        """One row per vertex of the challenge, with its number on fsaverage."""
        rois: list[list[str]] = [[] for vertices in self.vertices for _ in vertices]
        for collection, path in self.files.names.items():
            names = read_labels_dictionary(path)
            labels = np.concatenate(
                [self._labels(collection, part, names) for part in range(len(HEMISPHERES))]
            )
            for row in np.flatnonzero(labels > 0):
                rois[row].append(names[int(labels[row])])
        sides = np.repeat(HEMISPHERES, [len(vertices) for vertices in self.vertices])
        columns = {
            "target": np.arange(len(rois)),
            "subject": self.files.subject,
            "hemisphere": [str(side) for side in sides],
            "vertex": np.concatenate(self.vertices),
            "rois": [ROI_SEPARATOR.join(dict.fromkeys(members)) for members in rois],
        }
        return pd.DataFrame(columns)[list(TARGETS)].astype({"vertex": "Int64"})

    def response_blocks(self) -> Iterator[ResponseBlock]:
        """Yield (rows, values (rows, vertices) float32), the left hemisphere first."""
        arrays = [open_npy(path) for path in self.files.responses]
        count = len(self.files.training)
        row = 4 * sum(len(vertices) for vertices in self.vertices)
        step = max(1, self.config.block_mib * _MIB // row)
        for start in range(0, count, step):
            stop = min(start + step, count)
            parts = [np.asarray(array[start:stop], dtype=np.float32) for array in arrays]
            yield slice(start, stop), np.concatenate(parts, axis=1)

    def response_origin(self, row: int) -> tuple[Path, str]:
        """The file of the left hemisphere, and the row in it."""
        return self.files.responses[0], f"row {row}"

    def _labels(self, collection: str, part: int, names: dict[int, str]) -> Ids:
        """Labels (vertices,) on one side, equal on the challenge's vertices and on fsaverage."""
        side, vertices = HEMISPHERES[part], self.vertices[part]
        path = self.files.labels(collection, side, "challenge")
        labels = _whole(path)
        average = _whole(self.files.labels(collection, side, "fsaverage"))
        fits = len(labels) == len(vertices) and len(average) > vertices.max(initial=-1)
        if not fits or not np.array_equal(average[vertices], labels):
            raise DataError(
                f"the masks of {collection} disagree between the challenge's space and fsaverage",
                file=path,
                expected=f"{len(vertices)} labels, equal to those of fsaverage at these vertices",
                found=f"{len(labels)} labels",
                fix="copy roi_masks of this subject again",
            )
        unnamed = sorted({int(label) for label in labels if label > 0} - set(names))
        if unnamed:
            raise DataError(
                f"labels of {collection} have no name", file=self.files.names[collection],
                expected=f"names of {unnamed}", found=f"{names}",
                fix="copy roi_masks of this subject again",
            )  # fmt: skip
        return labels


def _whole(path: Path) -> Ids:
    values = np.asarray(open_npy(path))
    if values.ndim != 1 or values.dtype.kind not in "iufb" or (values != np.round(values)).any():
        raise DataError(
            "this is no mask of the challenge", file=path, expected="whole numbers, one a vertex",
            found=f"{values.dtype} of shape {values.shape}", fix="copy roi_masks again",
        )  # fmt: skip
    return values.astype(np.int64)


def _vertices(path: Path) -> Ids:
    """Numbers on fsaverage of the vertices of the challenge, ascending."""
    return np.flatnonzero(_whole(path) > 0)


def _check_responses(path: Path, images: int, vertices: int) -> None:
    array = open_npy(path)
    if array.shape != (images, vertices) or array.dtype.kind != "f":
        raise DataError(
            "the responses do not fit the pictures and masks",
            file=path,
            expected=f"({images} training images, {vertices} vertices), floating-point",
            found=f"{array.shape}, {array.dtype}",
            fix="copy the folder of this subject again, in full",
        )
