"""Pictures, and what is known of each: its COCO photograph, crop, captions and categories."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.errors import DataError
from neuroattn.data.files import read_json_input
from neuroattn.data.nsd import layout
from neuroattn.data.stimuli import Hdf5Pictures

_INSIDE = 0.5


class JoinedPictures:
    """Several arrays of pictures, numbered one after the other; see `data.dataset.Stimuli`."""

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self._arrays = [Hdf5Pictures(path, layout.STIMULI_KEY) for path in paths]
        self._starts = np.cumsum([0, *(array.count for array in self._arrays)])
        self.ids: NDArray[np.int64] = np.arange(self._starts[-1], dtype=np.int64)

    def file(self, image: int) -> str:
        """File and place in it."""
        array, place = self._find(image)
        return f"{array.path.name}:{array.file(place)}"

    def read(self, image: int) -> NDArray[np.uint8]:
        """The picture: (height, width, 3)."""
        array, place = self._find(image)
        return array.read(place)

    def digest(self, image: int) -> str:
        """SHA-256 of the picture's values in C order."""
        array, place = self._find(image)
        return array.digest(place)

    def _find(self, image: int) -> tuple[Hdf5Pictures, int]:
        part = int(np.searchsorted(self._starts, image, side="right")) - 1
        part = min(max(part, 0), len(self._arrays) - 1)  # the array's own error names the range
        return self._arrays[part], image - int(self._starts[part])


@dataclass(frozen=True)
class Photograph:
    """Where an image comes from: COCO's id and split, and what was cut off.

    ``crop`` is the share cut off at the top, bottom, left and right.
    """

    coco: int
    split: str
    crop: tuple[float, ...]
    shared: bool


StimInfo = dict[int, Photograph]
"""Rows of the stimulus table by 73k id, counted from 0."""


def source_of(info: StimInfo, image: int) -> str:
    """The photograph an image was cut from, ``coco/532481``; empty where unknown."""
    return f"coco/{info[image].coco}" if image in info else ""


def read_stim_info(path: Path) -> StimInfo:
    """Read the stimulus table (CSV; the pickle beside it is never opened).

    Raises
    ------
    DataError : a column is missing, or ids that are not 0-based and distinct.
    """
    try:
        raw = pd.read_csv(path, usecols=list(layout.STIM_INFO_COLUMNS), dtype=str)
        rows = {
            int(row["nsdId"]): Photograph(
                int(row["cocoId"]),
                row["cocoSplit"],
                _crop(row["cropBox"]),
                row["shared1000"].strip().lower() in ("true", "1"),
            )
            for row in raw.fillna("").to_dict("records")
        }
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(
            "the table of stimuli cannot be read", file=path,
            expected="columns " + ", ".join(layout.STIM_INFO_COLUMNS), found=error,
            fix="fetch nsd_stim_info_merged.csv again",
        ) from error  # fmt: skip
    if len(rows) < len(raw) or min(rows, default=-1) != 0:
        raise DataError(
            "nsdId does not count the images from 0", file=path, expected="0 upward, each once",
            found=f"{len(raw)} rows from {min(rows, default='nothing')}",
            fix="fetch nsd_stim_info_merged.csv again",
        )  # fmt: skip
    return rows


def _crop(text: str) -> tuple[float, ...]:
    values = tuple(float(part) for part in str(text).strip("()[] ").split(","))
    if len(values) != 4 or not all(0 <= value < 1 for value in values):
        raise ValueError(f"cropBox {text!r}")
    return values


def check_shared(info: StimInfo, shared: NDArray[np.int64], path: Path) -> None:
    """Compare the shared images of the table with those of the design: a shift shows here.

    Raises
    ------
    DataError : they differ.
    """
    flagged = sorted(image for image, photograph in info.items() if photograph.shared)
    if flagged != sorted(shared.tolist()):
        raise DataError(
            "the table of stimuli and the design share different images",
            file=path,
            expected=f"{len(shared)} images from {shared.min()} to {shared.max()}, by the design",
            found=f"{len(flagged)} images" + (f" from {flagged[0]}" if flagged else ""),
            fix="fetch nsd_stim_info_merged.csv and nsd_expdesign.mat again",
        )


def read_captions(
    paths: Mapping[str, Path], info: StimInfo, images: NDArray[np.int64]
) -> dict[str, list[str]]:
    """COCO captions by image id as text, in the order of their annotation ids.

    Captions speak of the whole photograph, of which an image may be a crop.
    """
    wanted = _photographs(info, images)
    found: dict[str, list[str]] = {}
    for split, path in paths.items():
        rows = _annotations(path, ("image_id", "id", "caption"))
        by_photograph: dict[int, list[tuple[int, str]]] = defaultdict(list)
        for row in rows:
            if (split, row["image_id"]) in wanted:
                by_photograph[row["image_id"]].append((row["id"], row["caption"].strip()))
        for photograph, captions in by_photograph.items():
            for image in wanted[split, photograph]:
                found[str(image)] = [text for _, text in sorted(captions) if text]
    return dict(sorted(found.items(), key=lambda item: int(item[0])))


def read_categories(
    paths: Mapping[str, Path], info: StimInfo, images: NDArray[np.int64]
) -> dict[str, list[str]]:
    """COCO categories by image id as text, of objects at least half of whose box was shown."""
    wanted = _photographs(info, images)
    found: dict[str, set[str]] = defaultdict(set)
    for split, path in paths.items():
        content = _content(path)
        names = {row["id"]: row["name"] for row in content["categories"]}
        sizes = {row["id"]: (row["width"], row["height"]) for row in content["images"]}
        for row in content["annotations"]:
            for image in wanted.get((split, row["image_id"]), ()):
                crop = info[image].crop
                if _share_shown(row["bbox"], sizes[row["image_id"]], crop) >= _INSIDE:
                    found[str(image)].add(names[row["category_id"]])
    return {image: sorted(found[image]) for image in sorted(found, key=int)}


def _share_shown(box: list[float], size: tuple[int, int], crop: tuple[float, ...]) -> float:
    """Share of a box (x, y, width, height in pixels) inside what a crop leaves."""
    top, bottom, left, right = crop
    x, y, width, height = box
    across = min(x + width, size[0] * (1 - right)) - max(x, size[0] * left)
    down = min(y + height, size[1] * (1 - bottom)) - max(y, size[1] * top)
    return max(0.0, across) * max(0.0, down) / max(width * height, 1e-9)


def _photographs(info: StimInfo, images: NDArray[np.int64]) -> dict[tuple[str, int], list[int]]:
    """(COCO split, COCO id) -> images cut from it."""
    wanted: dict[tuple[str, int], list[int]] = defaultdict(list)
    for image in images.tolist():
        if image in info:
            wanted[info[image].split, info[image].coco].append(image)
    return wanted


def _content(path: Path) -> dict[str, Any]:
    content = read_json_input(path)
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        raise DataError(
            "these are no COCO annotations", file=path, expected='{"annotations": [...], …}',
            found=json.dumps(content)[:60], fix="fetch annotations_trainval2017 again",
        )  # fmt: skip
    return content


def _annotations(path: Path, keys: tuple[str, ...]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = _content(path)["annotations"]
    if not all(isinstance(row, dict) and all(key in row for key in keys) for row in rows):
        raise DataError(
            "an annotation lacks a key", file=path, expected=", ".join(keys),
            found="another form", fix="fetch annotations_trainval2017 again",
        )  # fmt: skip
    return rows
