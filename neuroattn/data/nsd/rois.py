"""Regions: label collections of any space turned into names, and masks of what is kept.

Only labels above 0 are regions. In volumes -1 stands for everything outside the cortex, so
a test for "not 0" would select most of the head.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import DataError
from neuroattn.core.tables import ROI_SEPARATOR
from neuroattn.data.nsd import layout
from neuroattn.data.nsd.files import LabelFiles
from neuroattn.data.nsd.maps import carried, read_labels, read_map, read_nearest

Labels = NDArray[np.int64]
Shape = tuple[int, ...]
_COLOURS = 4  # red, green, blue, alpha: what FreeSurfer writes behind a name


def labels_of(files: LabelFiles, part: int, shape: Shape, threshold: float | None) -> Labels:
    """Labels (places,) of one part of the space, 0 where the t-map is not above ``threshold``."""
    if not files.nearest:
        labels = read_labels(files.parts[part], shape)
        return _thresholded(labels, files, part, shape, threshold)
    own = read_labels(files.parts[part], None)
    own = _thresholded(own, files, part, own.shape, threshold)
    nearest = read_nearest(files.nearest[part], len(own))
    labels = np.asarray(carried(own, nearest, fill=layout.UNLABELLED), dtype=np.int64)
    if labels.size != int(np.prod(shape)):
        raise DataError(
            "a transform has another number of vertices than the betas",
            file=files.nearest[part], expected=str(int(np.prod(shape))), found=str(labels.size),
            fix="fetch the transforms of NSD again",
        )  # fmt: skip
    return labels


def _thresholded(
    labels: Labels, files: LabelFiles, part: int, shape: Shape, threshold: float | None
) -> Labels:
    if threshold is None or not files.tmaps:
        return labels
    above = read_map(files.tmaps[part], shape) > threshold  # NaN is above nothing
    return np.where((labels > layout.UNLABELLED) & ~above, layout.UNLABELLED, labels)


def names_of(files: LabelFiles, labels: Iterable[int]) -> dict[int, str]:
    """Names of the regions among ``labels``, as they stand in ``targets.tsv``.

    Regions of collections in `layout.PLAIN_NAMES` go by their own names, those of others as
    ``collection:name``. A collection with one region and no table is named by itself.

    Raises
    ------
    DataError : a label without a name in the table, or a name that cannot stand in one.
    """
    present = sorted({int(label) for label in labels if label > layout.UNLABELLED})
    table = read_ctab(files.ctab) if files.ctab else None
    if table is None:
        alone = len(present) <= 1
        table = {label: files.name if alone else f"{files.name}-{label}" for label in present}
    absent = [label for label in present if label not in table]
    if absent and files.ctab:
        raise DataError(
            f"labels of {files.name} have no name", file=files.ctab,
            expected=f"lines `number name` for {present}", found=f"none for {absent}",
            fix="fetch the table of names of this release",
        )  # fmt: skip
    prefix = "" if files.name in layout.PLAIN_NAMES or not files.ctab else f"{files.name}:"
    return {label: prefix + table[label] for label in present}


def read_ctab(path: Path) -> dict[int, str]:
    """Names by label from a ``.ctab`` file: ``number name`` on a line; a name may hold spaces.

    Raises
    ------
    DataError : a line of another form, or a label or name twice.
    """
    names: dict[int, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        label, _, rest = line.strip().partition(" ")
        name = _without_colours(rest)
        good = label.isdigit() and name and ROI_SEPARATOR not in name
        if not good or int(label) in names or name in names.values():
            raise DataError(
                "the table of label names has another form", file=path,
                expected="`number name`, each once", found=f"{line!r} in line {number}",
                fix="fetch the file again",
            )  # fmt: skip
        names[int(label)] = name
    return names


def _without_colours(rest: str) -> str:
    words = rest.split()
    if len(words) > _COLOURS and all(word.isdigit() for word in words[-_COLOURS:]):
        words = words[:-_COLOURS]
    return " ".join(words)


def joined_names(members: list[tuple[Labels, dict[int, str]]], count: int) -> list[str]:
    """The ``rois`` column: names of all regions of each of ``count`` targets, joined by ``|``.

    Parameters
    ----------
    members : per collection, labels (targets,) and the names of its regions.
    """
    rows: list[list[str]] = [[] for _ in range(count)]
    for labels, names in members:
        for row in np.flatnonzero(labels > layout.UNLABELLED):
            name = names[int(labels[row])]
            if name not in rows[row]:
                rows[row].append(name)
    return [ROI_SEPARATOR.join(row) for row in rows]
