"""The same subject in the form of the Algonauts 2023 challenge.

Responses are z-scored within sessions and averaged over repeats, within the vertices of
``nsdgeneral``; test images are those shown in the last sessions only. The organisers keep the
test responses: they are in ``truth/``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from neuroattn.data.nsd import layout
from neuroattn.data.simulate.image_files import png
from neuroattn.data.simulate.noise import Repeats
from neuroattn.data.simulate.plan import TRIALS, Plan
from neuroattn.data.simulate.rois import label_names
from neuroattn.data.simulate.subject_files import Subject

Ids = NDArray[np.int64]
FOLDER: Final = "algonauts2023"
CLASSES: Final = (
    "prf-visualrois", "floc-bodies", "floc-faces", "floc-places", "floc-words", "streams",
)  # fmt: skip


def split_images(plan: Plan, subject: int, last_sessions: int) -> tuple[Ids, Ids]:
    """Training and test images of a subject, ascending 73k ids."""
    shown = plan.shown(subject)
    session = np.arange(len(shown)) // TRIALS
    early = np.unique(shown[session < plan.sessions[subject - 1] - last_sessions])
    everything = np.unique(shown)
    return early, np.setdiff1d(everything, early)


def write_algonauts(
    root: Path, subject: Subject, repeats: Repeats, plan: Plan, last_sessions: int
) -> None:
    """Write one subject's folder; what the organisers keep goes to ``truth/``."""
    folder = root / FOLDER / subject.name
    training, test = split_images(plan, subject.number, last_sessions)
    _write_images(root, folder / "training_split/training_images", "train", training)
    _write_images(root, folder / "test_split/test_images", "test", test)
    masks = folder / "roi_masks"
    general = subject.labels("nsdgeneral") > 0
    for number, side in enumerate(layout.HEMISPHERES):
        inside = np.flatnonzero(subject.side(general, number))
        columns = inside + number * subject.cortex.per_hemisphere
        kept = root / "truth" / subject.name
        for images, place in (
            (training, folder / "training_split/training_fmri" / f"{side}_training_fmri.npy"),
            (test, kept / f"algonauts_{side}_test_fmri.npy"),
        ):
            _save(place, repeats.means(np.searchsorted(repeats.images, images), columns))
        whole = subject.side(general, number).astype(np.int64)
        _save(masks / f"{side}.all-vertices_fsaverage_space.npy", whole)
        for name in CLASSES:
            values = subject.side(subject.labels(name), number).astype(np.int64)
            _save(masks / f"{side}.{name}_fsaverage_space.npy", values)
            _save(masks / f"{side}.{name}_challenge_space.npy", values[inside])
    for name in CLASSES:
        table: Any = np.array({0: "Unknown"} | label_names(name), dtype=object)
        _save(masks / f"mapping_{name}.npy", table)


def _write_images(root: Path, folder: Path, prefix: str, images: Ids) -> None:
    folder.mkdir(parents=True)
    with h5py.File(layout.stimuli(root), "r") as file:
        brick = file[layout.STIMULI_KEY]
        for number, image in enumerate(images.tolist(), start=1):
            name = f"{prefix}-{number:04d}_nsd-{image:05d}.png"
            (folder / name).write_bytes(png(brick[image]))


def _save(path: Path, values: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values, allow_pickle=values.dtype == object)
