"""Corruptions of labels, design, behaviour and pictures; see `tests.contracts.corruptions`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
from scipy.io import loadmat, savemat

from neuroattn.data.nsd import layout
from tests import nsd_copy
from tests.contracts.corruptions import corruption
from tests.contracts.corruptions_betas import BETAS
from tests.nsd_copy import SUBJECT, betas, new, rewrite, swap

# Labels ------------------------------------------------------------------------------------


@corruption("labels: the table of names missing")
def _no_ctab(root: Path) -> list[Path]:
    layout.ctab(root, SUBJECT, "prf-visualrois").unlink()
    return [layout.ctab(root, SUBJECT, "prf-visualrois")]


@corruption("labels: a label without a name")
def _nameless(root: Path) -> list[Path]:
    path = layout.ctab(root, "fsaverage", "streams")
    rewrite(path, b"0 Unknown\n1 early\n")
    return [path]


@corruption("labels: the names of another collection")
def _other_ctab(root: Path) -> list[Path]:
    path = layout.ctab(root, SUBJECT, "prf-visualrois")
    rewrite(path, layout.ctab(root, SUBJECT, "nsdgeneral").read_bytes())
    return [path]


@corruption("labels: hemispheres of a native surface swapped")
def _swap_labels(root: Path) -> list[Path]:
    pair = [layout.roi_surface(root, SUBJECT, "streams", side) for side in layout.HEMISPHERES]
    swap(*pair)
    return pair


@corruption("labels: a hemisphere saved under both names")
def _same_labels(root: Path) -> list[Path]:
    left, right = (layout.roi_surface(root, "fsaverage", "streams", s) for s in layout.HEMISPHERES)
    rewrite(right, left.read_bytes())
    return [right]


@corruption("labels: a hemisphere missing")
def _lose_labels(root: Path) -> list[Path]:
    layout.roi_surface(root, "fsaverage", "nsdgeneral", "rh").unlink()
    return [layout.roi_surface(root, "fsaverage", "nsdgeneral", "rh")]


@corruption("labels: those of the subject on fsaverage")
def _native_labels(root: Path) -> list[Path]:
    path = layout.roi_surface(root, "fsaverage", "nsdgeneral", "lh")
    rewrite(path, layout.roi_surface(root, SUBJECT, "nsdgeneral", "lh").read_bytes())
    return [path]


@corruption("labels: a continuous map")
def _continuous(root: Path) -> list[Path]:
    path = layout.roi_surface(root, "fsaverage", "streams", "rh")
    nsd_copy.save_mgh(new(path), np.linspace(0, 2, 240))
    return [path]


@corruption("labels: a volume without its outside")
def _no_outside(root: Path) -> list[Path]:
    path = layout.roi_volume(root, SUBJECT, "func1pt8mm", "nsdgeneral")
    nsd_copy.save_nifti(new(path), np.arange(240) % 2)
    return [path]


@corruption("labels: a volume of another subject")
def _other_volume(root: Path) -> list[Path]:
    path = layout.roi_volume(root, SUBJECT, "func1pt8mm", "streams")
    values = np.arange(9 * 8 * 3).reshape(9, 8, 3) % 3 - 1
    nib.save(nib.Nifti1Image(values.astype(np.float32), np.eye(4)), new(path))
    return [path]


# Design, behaviour, pictures -----------------------------------------------------------------


def _design(root: Path, **changes: Callable[[np.ndarray], np.ndarray | None]) -> list[Path]:
    path = layout.expdesign(root)
    content = {k: v for k, v in loadmat(path).items() if not k.startswith("__")}
    for key, change in changes.items():
        content[key] = change(content[key])
    savemat(new(path), {key: value for key, value in content.items() if value is not None})
    return [path]


def _without_behaviour(root: Path) -> None:
    for number in (1, 2):
        layout.responses(root, layout.subject_name(number)).unlink()


@corruption("design: missing")
def _no_design(root: Path) -> list[Path]:
    layout.expdesign(root).unlink()
    return [layout.expdesign(root)]


@corruption("design: that of NSD-synthetic")
def _synthetic_design(root: Path) -> list[Path]:
    savemat(new(layout.expdesign(root)), {"masterordering": np.arange(1.0, 9)[None]})
    return [layout.expdesign(root)]


@corruption("design: ids from 0")
def _design_from_zero(root: Path) -> list[Path]:
    return _design(root, subjectim=lambda ids: ids - 1, sharedix=lambda ids: ids - 1)


@corruption("design: trials shuffled")
def _shuffled_design(root: Path) -> list[Path]:
    shuffle = np.random.default_rng(3).permuted
    _design(root, masterordering=lambda order: shuffle(order, axis=1))
    return [layout.expdesign(root), *(layout.responses(root, f"subj0{n}") for n in (1, 2))]


@corruption("design: trials shuffled, no behaviour to tell")
def _shuffled_alone(root: Path) -> list[Path]:
    _without_behaviour(root)
    shuffle = np.random.default_rng(3).permuted
    return _design(root, masterordering=lambda order: shuffle(order, axis=1))


@corruption("design: shared images wrong")
def _wrong_shared(root: Path) -> list[Path]:
    return _design(root, sharedix=lambda ids: ids % nsd_copy.STIMULI + 1)


@corruption("design: an image twice in subjectim")
def _twice(root: Path) -> list[Path]:
    def repeat(ids: np.ndarray) -> np.ndarray:
        ids[:, -1] = ids[:, -2]
        return ids

    return [*_design(root, subjectim=repeat), layout.responses(root, SUBJECT)]


@corruption("behaviour: another subject's")
def _other_behaviour(root: Path) -> list[Path]:
    path = layout.responses(root, SUBJECT)
    rewrite(path, layout.responses(root, "subj02").read_bytes())
    return [path]


@corruption("behaviour: another subject's, SUBJECT corrected")
def _other_images(root: Path) -> list[Path]:
    path = layout.responses(root, SUBJECT)
    text = layout.responses(root, "subj02").read_text().replace("\n2\t", "\n1\t")
    rewrite(path, text.encode())
    return [path]


def _behaviour(root: Path, change: Callable[[list[list[str]]], list[list[str]]]) -> list[Path]:
    path = layout.responses(root, SUBJECT)
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    text = "\n".join("\t".join(row) for row in change(rows)) + "\n"
    rewrite(path, text.encode())
    return [path]


@corruption("behaviour: ids from 0")
def _behaviour_from_zero(root: Path) -> list[Path]:
    def lower(rows: list[list[str]]) -> list[list[str]]:
        return [rows[0], *([*r[:4], str(int(r[4]) - 1), *r[5:]] for r in rows[1:])]

    return _behaviour(root, lower)


@corruption("behaviour: the last session missing")
def _short_behaviour(root: Path) -> list[Path]:
    _behaviour(root, lambda rows: rows[: -nsd_copy.TRIALS])
    return [find(root, 4) for find in BETAS.values()]


@corruption("behaviour: sessions in another order")
def _sorted_behaviour(root: Path) -> list[Path]:
    return _behaviour(root, lambda rows: [rows[0], *rows[:0:-1]])


@corruption("behaviour: a column missing")
def _no_column(root: Path) -> list[Path]:
    return _behaviour(root, lambda rows: [row[:4] for row in rows])


@corruption("behaviour: separated by commas")
def _commas(root: Path) -> list[Path]:
    path = layout.responses(root, SUBJECT)
    rewrite(path, path.read_bytes().replace(b"\t", b","))
    return [path]


@corruption("stimulus table: rows in another order")
def _sorted_table(root: Path) -> list[Path]:
    path = layout.stim_info(root)
    head, *rows = path.read_text().splitlines()
    rewrite(path, "\n".join([head, *rows[::-1]]).encode() + b"\n")
    return [path]


@corruption("stimulus table: rows missing")
def _short_table(root: Path) -> list[Path]:
    path = layout.stim_info(root)
    rewrite(path, "\n".join(path.read_text().splitlines()[:40]).encode() + b"\n")
    return [path]


@corruption("stimulus table: other shared images")
def _shared_flags(root: Path) -> list[Path]:
    path = layout.stim_info(root)
    rewrite(path, path.read_bytes().replace(b",True", b",False"))
    return [path]


@corruption("stimulus table: a column missing")
def _table_column(root: Path) -> list[Path]:
    path = layout.stim_info(root)
    rewrite(path, path.read_bytes().replace(b"nsdId", b"id"))
    return [path]


def _pictures(root: Path, change: Callable[[np.ndarray], np.ndarray], key: str) -> list[Path]:
    path = layout.stimuli(root)
    with h5py.File(path) as file:
        values = file[layout.STIMULI_KEY][...]
    with h5py.File(new(path), "w") as file:
        file[key] = change(values)
    return [path]


PICTURES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "axes as in MATLAB": (np.transpose, layout.STIMULI_KEY),
    "grey pictures": (lambda values: values[..., 0], layout.STIMULI_KEY),
    "not square": (lambda values: values[:, :-1], layout.STIMULI_KEY),
    "too few": (lambda values: values[:30], layout.STIMULI_KEY),
    "of another type": (lambda values: values.astype(np.float32) / 255, layout.STIMULI_KEY),
    "another key": (lambda values: values, "images"),
}


def _picture(kind: str) -> None:
    @corruption(f"stimuli: {kind}")
    def _apply(root: Path) -> list[Path]:
        return _pictures(root, *PICTURES[kind])


for _kind in PICTURES:
    _picture(_kind)


@corruption("stimuli: never written")
def _unwritten(root: Path) -> list[Path]:
    path = layout.stimuli(root)
    with h5py.File(new(path), "w") as file:
        file.create_dataset(layout.STIMULI_KEY, (90, 6, 6, 3), np.uint8, chunks=(1, 6, 6, 3))
    return [path]


@corruption("stimuli: missing")
def _no_stimuli(root: Path) -> list[Path]:
    layout.stimuli(root).unlink()
    return [layout.stimuli(root)]


@corruption("a folder in place of a file")
def _folder(root: Path) -> list[Path]:
    path = betas(root, "fsaverage", "lh", 1)
    path.unlink()
    path.mkdir()
    return [path]
