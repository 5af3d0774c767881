"""The stimulus table, and captions and instances in COCO's form, joined to the 73k ids.

NSD's pictures are squares cut from COCO photographs. To have that join tested, every image
gets a "photograph" of 640 x 480 or 480 x 640 whose visible square is the scene; the rest of
it was never made.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.seeding import generator
from neuroattn.data.nsd.layout import COCO_SPLITS, N_STIMULI, coco_annotations
from neuroattn.data.simulate.gallery import Gallery
from neuroattn.data.simulate.plan import OWN, REPEATS, SHARED, SUBJECTS, Plan
from neuroattn.data.simulate.scene import CATEGORIES, Scene, Thing

_LONG, _SHORT = 640, 480
_MARGIN: Final = (_LONG - _SHORT) / _LONG  # cut off along the long side, over both ends
_CUTS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)  # share of it at the first end
_CORNERS: Final = 12  # of the polygon around a thing


@dataclass(frozen=True, eq=False)
class Photographs:
    """The COCO side of every image, by 73k id (73000,)."""

    coco: NDArray[np.int64]
    split: NDArray[np.int64]  # index into COCO_SPLITS
    landscape: NDArray[np.bool_]
    cut: NDArray[np.float64]  # share cut off at the left (landscape) or top

    def crop(self, image: int) -> tuple[float, float, float, float]:
        """Shares cut off at the top, bottom, left and right."""
        first = float(self.cut[image])
        rest = _MARGIN - first
        return (0.0, 0.0, first, rest) if self.landscape[image] else (first, rest, 0.0, 0.0)


def plan_photographs(seed: int) -> Photographs:
    """Draw ids, splits and crops; one image in five is from val2017."""
    random = generator(seed, "coco")
    return Photographs(
        coco=random.choice(np.arange(9, 581_930), N_STIMULI, replace=False),
        split=(random.random(N_STIMULI) < 0.2).astype(np.int64),
        landscape=random.random(N_STIMULI) < 0.7,
        cut=random.choice(np.array(_CUTS), N_STIMULI) * _MARGIN,
    )


def stimulus_table(plan: Plan, photographs: Photographs, seed: int) -> pd.DataFrame:
    """``nsd_stim_info_merged.csv``: 73,000 rows, 41 columns with the unnamed first one.

    ``subjectN_repM`` is the trial, from 1, of the design's 30,000; 0 where N never sees it.
    """
    ids = np.arange(N_STIMULI)
    columns: dict[str, Any] = {
        "": ids,
        "cocoId": photographs.coco,
        "cocoSplit": np.array(COCO_SPLITS)[photographs.split],
        "cropBox": [str(photographs.crop(image)) for image in range(N_STIMULI)],
        "loss": generator(seed, "loss").random(N_STIMULI).round(6),
        "nsdId": ids,
        "flagged": False,
        "BOLD5000": False,
        "shared1000": np.isin(ids, plan.shared),
    }
    trials = np.argsort(plan.ordering, kind="stable").reshape(SHARED + OWN, REPEATS) + 1
    repeats = {}
    for subject in range(1, SUBJECTS + 1):
        seen = np.zeros((N_STIMULI, REPEATS), dtype=np.int64)
        seen[plan.images[subject - 1]] = trials
        columns[f"subject{subject}"] = (seen[:, 0] > 0).astype(np.int64)
        for repeat in range(REPEATS):
            repeats[f"subject{subject}_rep{repeat}"] = seen[:, repeat]
    return pd.DataFrame(columns | repeats)


def write_stimulus_table(path: Path, table: pd.DataFrame) -> None:
    """Write the table as CSV, crops in quotes; formatting rows beats pandas' writer threefold."""
    quoted = table["cropBox"].map('"{}"'.format)
    columns = [quoted if name == "cropBox" else table[name] for name in table.columns]
    line = ",".join(["%s"] * len(columns))
    rows = [line % row for row in zip(*(column.tolist() for column in columns), strict=True)]
    path.write_text("\n".join([",".join(table.columns), *rows]) + "\n")


def write_annotations(gallery: Gallery, photographs: Photographs, root: Path, side: int) -> None:
    """Write the captions and instances of both splits, for the images that are shown.

    Parameters
    ----------
    side : pixels of the scenes, in which the boxes are given.
    """
    for number, split in enumerate(COCO_SPLITS):
        chosen = [i for i in gallery.catalogue.images.tolist() if photographs.split[i] == number]
        rows = gallery.rows(np.array(chosen, dtype=np.int64)).tolist()
        pairs = [(image, gallery.scenes[row]) for image, row in zip(chosen, rows, strict=True)]
        head = _head(chosen, photographs)
        captions = {"annotations": _captions(pairs, photographs)}
        _write(coco_annotations(root, split, "captions"), head | captions)
        things = _instances(pairs, photographs, side)
        instances = {"annotations": things, "categories": _categories()}
        _write(coco_annotations(root, split, "instances"), head | instances)


def _head(images: list[int], photographs: Photographs) -> dict[str, Any]:
    rows = []
    for image in images:
        width, height = (_LONG, _SHORT) if photographs.landscape[image] else (_SHORT, _LONG)
        coco = int(photographs.coco[image])
        rows.append({"id": coco, "file_name": f"{coco:012d}.jpg", "width": width, "height": height})
    return {"info": {"description": "simulated scenes in COCO's form"}, "images": rows}


def _categories() -> list[dict[str, Any]]:
    return [
        {"id": number, "name": name, "supercategory": "simulated"}
        for number, name in enumerate(CATEGORIES, start=1)
    ]


def _captions(pairs: list[tuple[int, Scene]], photographs: Photographs) -> list[dict[str, Any]]:
    return [
        {"id": 8 * image + number, "image_id": int(photographs.coco[image]), "caption": caption}
        for image, scene in pairs
        for number, caption in enumerate(scene.captions)
    ]


def _instances(
    pairs: list[tuple[int, Scene]], photographs: Photographs, side: int
) -> list[dict[str, Any]]:
    return [
        _instance(8 * image + number, image, thing, photographs, side)
        for image, scene in pairs
        for number, thing in enumerate(scene.things)
    ]


def _instance(
    number: int, image: int, thing: Thing, photographs: Photographs, side: int
) -> dict[str, Any]:
    """One thing, in pixels of the photograph: its box, and the ellipse in it as a polygon."""
    scale = _SHORT / side
    before = photographs.cut[image] * _LONG
    across, down = (before, 0.0) if photographs.landscape[image] else (0.0, before)
    top, left, height, width = (scale * value for value in thing.box)
    angle = 2 * np.pi * np.arange(_CORNERS) / _CORNERS
    x = left + across + width * (1 + np.cos(angle)) / 2
    y = top + down + height * (1 + np.sin(angle)) / 2
    outline = np.stack([x, y], axis=1).ravel().round(2).tolist()
    return {
        "id": number,
        "image_id": int(photographs.coco[image]),
        "category_id": CATEGORIES.index(thing.category) + 1,
        "bbox": [round(value, 2) for value in (left + across, top + down, width, height)],
        "area": round(float(np.pi / 4 * width * height), 2),
        "iscrowd": 0,
        "segmentation": [outline],
    }


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n")
