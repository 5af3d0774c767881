"""Pictures, and what is known of each: its COCO photograph, crop, captions and categories."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.errors import DataError
from neuroattn.data.files import read_json_input
from neuroattn.data.json_items import json_items
from neuroattn.data.nsd import layout
from neuroattn.data.stimuli import Hdf5Pictures

_INSIDE = 0.5


class SyntheticPictures:
    """The pictures of NSD-synthetic: those for all, then those made for each subject in turn.

    They are given as those of the main experiment were: the middle square of the display, which
    those filled, and the values that a common screen would be sent. The files hold the light
    that was shown, and the main experiment showed the square of its values, so it is undone
    here (Gifford et al. 2026, Nat Commun, Methods; NSD data manual). See `data.dataset.Stimuli`.
    """

    def __init__(self, shared: Path, own: Path, subject: int) -> None:
        self._shared, self._own = (Hdf5Pictures(path, layout.STIMULI_KEY) for path in (shared, own))
        # Those of other subjects have numbers too, so that one number is one picture.
        self._first = self._shared.count + (subject - 1) * self._own.count
        own_ids = self._first + np.arange(self._own.count)
        self.ids: NDArray[np.int64] = np.concatenate([self._shared.ids, own_ids]).astype(np.int64)

    def image_of(self, place: NDArray[np.int64]) -> NDArray[np.int64]:
        """Image ids of places among the pictures for all and then those for the subject."""
        shift = self._first - self._shared.count
        return np.asarray(np.where(place < self._shared.count, place, place + shift))

    def file(self, image: int) -> str:
        """File and place in it."""
        array, place = self._find(image)
        return f"{array.path.name}:{array.file(place)}"

    def read(self, image: int) -> NDArray[np.uint8]:
        """The picture in the field of the main experiment's: (side, side, 3)."""
        array, place = self._find(image)
        return as_sent(middle_square(array.read(place)))

    def digest(self, image: int) -> str:
        """SHA-256 of the values that `read` returns, in C order."""
        return hashlib.sha256(self.read(image).tobytes()).hexdigest()

    def read_with_digest(self, image: int) -> tuple[NDArray[np.uint8], str]:
        """The picture and the digest of its values, from one reading."""
        picture = self.read(image)
        return picture, hashlib.sha256(picture.tobytes()).hexdigest()

    def _find(self, image: int) -> tuple[Hdf5Pictures, int]:
        if image < self._shared.count:
            return self._shared, image
        return self._own, image - self._first  # the array's own error names the range


def middle_square(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest square in the middle of a picture (height, width, 3)."""
    side = min(picture.shape[:2])
    top, left = ((size - side) // 2 for size in picture.shape[:2])
    return np.ascontiguousarray(picture[top : top + side, left : left + side])


def as_sent(light: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Values whose square is the light that was shown; both in 0 to 255."""
    return np.asarray(np.rint(np.sqrt(light / 255) * 255), dtype=np.uint8)


def as_light(sent: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The light that values give when their square is shown: `as_sent` undone."""
    return np.asarray(np.rint((sent / 255) ** 2 * 255), dtype=np.uint8)


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
    """COCO categories by image id as text, of objects at least half of whose box was shown.

    Of the files, 450 MB of mostly outlines, only the boxes of these images are kept.
    """
    wanted = _photographs(info, images)
    found: dict[str, set[str]] = defaultdict(set)
    for split, path in paths.items():
        names, sizes, boxes = _boxes(path, {coco for part, coco in wanted if part == split})
        for photograph, category, box in boxes:
            for image in wanted[split, photograph]:
                if _share_shown(box, sizes[photograph], info[image].crop) >= _INSIDE:
                    found[str(image)].add(names[category])
    return {image: sorted(found[image]) for image in sorted(found, key=int)}


_Boxes = list[tuple[int, int, list[float]]]


def _boxes(
    path: Path, wanted: Set[int]
) -> tuple[dict[int, str], dict[int, tuple[int, int]], _Boxes]:
    """Names of categories, sizes of photographs, (photograph, category, box) of each object."""
    names: dict[int, str] = {}
    sizes: dict[int, tuple[int, int]] = {}
    boxes: _Boxes = []
    try:
        for key, row in json_items(path):
            if key == "categories":
                names[row["id"]] = str(row["name"])
            elif key == "images" and row["id"] in wanted:
                sizes[row["id"]] = (row["width"], row["height"])
            elif key == "annotations" and row["image_id"] in wanted:
                x, y, width, height = map(float, row["bbox"])
                boxes.append((row["image_id"], row["category_id"], [x, y, width, height]))
        for photograph, category, _ in boxes:
            _ = sizes[photograph], names[category]  # absent ones are refused here
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            "these are no COCO instances", file=path,
            expected="images, annotations and categories that name one another", found=error,
            fix="fetch annotations_trainval2017 again",
        ) from error  # fmt: skip
    return names, sizes, boxes


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
