"""A small sound copy of NSD with noisy repeats, in every format; what corruptions are made of.

Unlike `tests.nsd_files` its betas are signal and noise, so that repeats resemble each other as
real ones do, and its ncsnr is that of the betas.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
from scipy.io import savemat

from neuroattn.data.manifests import repeats
from neuroattn.data.nsd import layout

SUBJECT, VERSION = "subj01", "b3"
SESSIONS, TRIALS, RUNS = 4, 48, 4
SEEN, STIMULI, SHARED = 60, 90, 20
VOLUME = (10, 8, 3)
VERTICES = {
    ("fsaverage", "lh"): 240,
    ("fsaverage", "rh"): 240,
    ("nativesurface", "lh"): 200,
    ("nativesurface", "rh"): 210,
}
PARTS = [*VERTICES, ("func1pt8mm", None)]
COLLECTIONS = {
    "nsdgeneral": ["nsdgeneral"],
    "streams": ["early", "ventral"],
    "prf-visualrois": ["V1v", "V1d", "V2v"],
}


def places(space: str, side: str | None) -> int:
    return VERTICES[space, side] if side else int(np.prod(VOLUME))


def write_copy(root: Path, seed: int = 0) -> Path:
    """Write the copy; its design has two subjects, its betas one."""
    rng = np.random.default_rng(seed)
    layout.simulated(root).parent.mkdir(parents=True, exist_ok=True)
    layout.simulated(root).write_text('{"label": "simulated responses"}\n')
    ordering = _ordering(rng)
    shared = np.sort(rng.permutation(STIMULI)[:SHARED])
    rest = np.setdiff1d(np.arange(STIMULI), shared)
    images = np.stack(
        [np.concatenate([shared, rng.permutation(rest)[: SEEN - SHARED]]) for _ in range(2)]
    )
    write_design(root, ordering, images, shared)
    for number in (1, 2):
        write_behaviour(root, number, images[number - 1][ordering])
    write_stim_info(root, shared)
    with h5py.File(new(layout.stimuli(root)), "w") as file:
        file[layout.STIMULI_KEY] = rng.integers(0, 256, (STIMULI, 6, 6, 3), dtype=np.uint8)
    for split in layout.COCO_SPLITS:
        content = {"annotations": [{"image_id": 1, "caption": "a scene"}]}
        new(layout.coco_annotations(root, split)).write_text(json.dumps(content))
    _write_labels(root)
    for space, side in PARTS:
        _write_betas(root, space, side, images[0][ordering], rng)
    return root


def _ordering(rng: np.random.Generator) -> np.ndarray:
    """Trials in which most images come three times, spread over the sessions."""
    total = SESSIONS * TRIALS
    rows = np.concatenate([np.tile(np.arange(SEEN), 3), np.arange(total - 3 * SEEN)])
    return rng.permutation(rows)


def write_design(root: Path, ordering: np.ndarray, images: np.ndarray, shared: np.ndarray) -> None:
    pattern = np.zeros((SESSIONS, RUNS, TRIALS // RUNS + 2))
    pattern[:, :, : TRIALS // RUNS] = 1
    content = {
        "masterordering": ordering[None].astype(float) + 1,
        "subjectim": images.astype(float) + 1,
        "sharedix": shared[None].astype(float) + 1,
        "basiccnt": np.zeros((3, SESSIONS)),
        "stimpattern": pattern,
    }
    savemat(new(layout.expdesign(root)), content)


def write_behaviour(root: Path, number: int, shown: np.ndarray) -> None:
    with new(layout.responses(root, layout.subject_name(number))).open("w", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t", lineterminator="\n")
        writer.writerow(["SUBJECT", "SESSION", "RUN", "TRIAL", "73KID", "10KID", "ISCORRECT"])
        for trial, image in enumerate(shown):
            session, place = divmod(trial, TRIALS)
            run, within = divmod(place, TRIALS // RUNS)
            writer.writerow([number, session + 1, run + 1, within + 1, image + 1, 1, "NaN"])


def write_stim_info(root: Path, shared: np.ndarray) -> None:
    with new(layout.stim_info(root)).open("w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["", *layout.STIM_INFO_COLUMNS])
        for image in range(STIMULI):
            box = "(0, 0, 0.1, 0.1)"
            row = [image, 9000 + image, layout.COCO_SPLITS[image % 2], box, image]
            writer.writerow([*row, image in shared.tolist()])


def _write_labels(root: Path) -> None:
    for name, regions in COLLECTIONS.items():
        for owner in (layout.FSAVERAGE, SUBJECT):
            space = "fsaverage" if owner == layout.FSAVERAGE else "nativesurface"
            lines = ["0 Unknown", *(f"{n} {region}" for n, region in enumerate(regions, start=1))]
            new(layout.ctab(root, owner, name)).write_text("\n".join(lines) + "\n")
            for k, side in enumerate(layout.HEMISPHERES):
                values = (np.arange(places(space, side)) // (7 + k)) % (len(regions) + 1)
                save_mgh(new(layout.roi_surface(root, owner, name, side)), values)
        values = np.arange(places("func1pt8mm", None)) % (len(regions) + 2) - 1
        save_nifti(new(layout.roi_volume(root, SUBJECT, "func1pt8mm", name)), values)
    for k, side in enumerate(layout.HEMISPHERES):
        nearest = np.arange(places("fsaverage", side)) % places("nativesurface", side) + 1
        save_mgh(new(layout.to_fsaverage(root, SUBJECT, side)), np.roll(nearest, k))


def _write_betas(
    root: Path, space: str, side: str | None, shown: np.ndarray, rng: np.random.Generator
) -> None:
    """Signal and noise of one part; its ncsnr is recomputed from what was written."""
    count = places(space, side)
    snr = rng.permutation(np.linspace(0, 1.6, count))
    signal = rng.standard_normal((STIMULI, count)) * snr
    values = signal[shown] + rng.standard_normal((len(shown), count))
    stored = np.round(values * 300).astype(np.int16)
    rows = np.split(stored, SESSIONS)
    for session, part in enumerate(rows, start=1):
        if space == "fsaverage":
            save_mgh(new(betas(root, space, side, session)), (part / 300).T)
        elif space == "nativesurface":
            save_hdf5(new(betas(root, space, side, session)), part)
        else:
            save_nifti(new(betas(root, space, None, session)), part.T, np.int16)
            save_hdf5(new(betas(root, space, None, session, "hdf5")), part, VOLUME[::-1])
    floats = [part.astype(np.float32) / 300 for part in rows]
    write_ncsnr(root, space, side, repeats.ncsnr(floats, np.split(shown, SESSIONS)))


def write_ncsnr(root: Path, space: str, side: str | None, values: np.ndarray) -> None:
    path = new(layout.ncsnr(root, SUBJECT, space, VERSION, side))
    (save_mgh if side else save_nifti)(path, values)


def betas(root: Path, space: str, side: str | None, session: int, kind: str | None = None) -> Path:
    return layout.betas(root, SUBJECT, space, VERSION, session, hemisphere=side, format=kind)


def save_mgh(path: Path, values: np.ndarray) -> None:
    """(vertices,) or (vertices, trials)."""
    array = np.asarray(values, np.float32)
    shaped = array.reshape(len(array), 1, 1, *array.shape[1:])
    nib.save(nib.MGHImage(shaped, np.eye(4)), path)


def save_nifti(path: Path, values: np.ndarray, dtype: type = np.float32) -> None:
    """(voxels,) or (voxels, trials)."""
    array = np.asarray(values, dtype).reshape(*VOLUME, *values.shape[1:], order="F")
    nib.save(nib.Nifti1Image(array, np.eye(4), dtype=dtype), path)


def save_hdf5(path: Path, values: np.ndarray, shape: tuple[int, ...] = ()) -> None:
    """(trials, places), cut to ``shape``."""
    with h5py.File(path, "w") as file:
        array = values.reshape(len(values), *shape) if shape else values
        file.create_dataset(
            layout.BETAS_KEY, data=array, chunks=(len(values), *[1] * (array.ndim - 1))
        )


def clone(source: Path, target: Path) -> Path:
    """A copy of hard links: corruptions replace files, so the source stays whole."""
    shutil.copytree(source, target, copy_function=os.link)
    return target


def rewrite(path: Path, content: bytes) -> None:
    """Replace a file of a clone by other bytes."""
    path.unlink()
    path.write_bytes(content)


def swap(left: Path, right: Path) -> None:
    """Exchange two files."""
    middle = left.with_name("middle")
    left.rename(middle)
    right.rename(left)
    middle.rename(right)


def new(path: Path) -> Path:
    """The path with its folder made, and any earlier link gone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return path
