"""Corruptions of betas and ncsnr; see `tests.contracts.corruptions`."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np

from neuroattn.data.nsd import layout
from tests import nsd_copy
from tests.contracts.corruptions import corruption
from tests.nsd_copy import SUBJECT, VERSION, betas, new, rewrite, swap

# Betas: form ------------------------------------------------------------------------------


def _stored(path: Path) -> np.ndarray:
    """Values (trials, places) as they are stored."""
    if path.suffix == ".hdf5":
        with h5py.File(path) as file:
            return file[layout.BETAS_KEY][...].reshape(len(file[layout.BETAS_KEY]), -1)
    image = nib.Nifti1Image if path.name.endswith(".gz") else nib.MGHImage
    values = np.asarray(image.from_bytes(_plain(path)).dataobj)
    return values.reshape(-1, values.shape[-1], order="F").T


def _plain(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def _store(path: Path, values: np.ndarray) -> None:
    new(path)
    if path.suffix == ".mgh":
        nsd_copy.save_mgh(path, values.T)
    elif path.suffix == ".hdf5":
        volume = "func1pt8mm" in str(path)
        nsd_copy.save_hdf5(path, values, nsd_copy.VOLUME[::-1] if volume else ())
    else:
        nsd_copy.save_nifti(path, values.T, values.dtype.type)


BETAS = {
    "mgh": lambda root, session=2: betas(root, "fsaverage", "lh", session),
    "nii.gz": lambda root, session=2: betas(root, "func1pt8mm", None, session),
    "volume hdf5": lambda root, session=2: betas(root, "func1pt8mm", None, session, "hdf5"),
    "native hdf5": lambda root, session=2: betas(root, "nativesurface", "rh", session),
}


def _edit(
    values: Callable[[np.ndarray], np.ndarray],
) -> Callable[[Callable[..., Path], Path], list[Path]]:
    def apply(find: Callable[..., Path], root: Path) -> list[Path]:
        _store(find(root), values(_stored(find(root))))
        return [find(root)]

    return apply


def _swap_sessions(find: Callable[..., Path], root: Path) -> list[Path]:
    swap(find(root, 2), find(root, 3))
    return [find(root, 2), find(root, 3)]


def _copy_session(find: Callable[..., Path], root: Path) -> list[Path]:
    rewrite(find(root, 4), find(root, 1).read_bytes())
    return [find(root, 4)]


def _lose_session(find: Callable[..., Path], root: Path) -> list[Path]:
    find(root, 2).unlink()
    return [find(root, 2)]


def _permuted(values: np.ndarray) -> np.ndarray:
    return values[np.random.default_rng(1).permutation(len(values))]


def _one_place_less(find: Callable[..., Path], root: Path) -> list[Path]:
    path, values = find(root), _stored(find(root))
    if "func1pt8mm" not in str(path):
        _store(path, values[:, :-1])
        return [path]
    smaller = values.reshape(len(values), *nsd_copy.VOLUME[::-1])[:, :-1]
    if path.suffix == ".hdf5":
        with h5py.File(new(path), "w") as file:
            file[layout.BETAS_KEY] = smaller
    else:
        nib.save(nib.Nifti1Image(smaller.T, np.eye(4), dtype=np.int16), new(path))
    return [path]


EVERY_BETAS: dict[str, Callable[[Callable[..., Path], Path], list[Path]]] = {
    "sessions swapped": _swap_sessions,
    "a session saved under another's name": _copy_session,
    "a session missing": _lose_session,
    "trials permuted": _edit(_permuted),
    "trials reversed": _edit(lambda values: values[::-1]),
    "trials shifted by one": _edit(lambda values: np.roll(values, 1, axis=0)),
    "the last trial missing": _edit(lambda values: values[:-1]),
    "a trial too many": _edit(lambda values: np.concatenate([values, values[:1]])),
    "no data in a session": _edit(np.zeros_like),
    "another shape": _one_place_less,
}


def _every(kind: str, change: Callable[[Callable[..., Path], Path], list[Path]], form: str) -> None:
    @corruption(f"{form} betas: {kind}")
    def _apply(root: Path) -> list[Path]:
        return change(BETAS[form], root)


for _kind, _edited in EVERY_BETAS.items():
    for _form in BETAS:
        _every(_kind, _edited, _form)


@corruption("mgh betas: NaN in a whole session")
def _nan_session(root: Path) -> list[Path]:
    return _edit(lambda values: np.full_like(values, np.nan))(BETAS["mgh"], root)


@corruption("mgh betas: NaN on one trial")
def _nan_trial(root: Path) -> list[Path]:
    def spoil(values: np.ndarray) -> np.ndarray:
        changed = values.copy()
        changed[5] = np.nan
        return changed

    return _edit(spoil)(BETAS["mgh"], root)


@corruption("mgh betas: NaN at half of the places")
def _nan_places(root: Path) -> list[Path]:
    def spoil(values: np.ndarray) -> np.ndarray:
        return np.where(np.arange(values.shape[1]) % 2, np.nan, values)

    return _edit(spoil)(BETAS["mgh"], root)


@corruption("mgh betas: little-endian values")
def _little_values(root: Path) -> list[Path]:
    path = BETAS["mgh"](root)
    content = path.read_bytes()
    body = np.frombuffer(content[284:], ">f4").astype("<f4").tobytes()
    rewrite(path, content[:284] + body)
    return [path]


@corruption("mgh betas: little-endian file")
def _little_file(root: Path) -> list[Path]:
    path = BETAS["mgh"](root)
    content = path.read_bytes()
    head = np.frombuffer(content[:28], ">i4").astype("<i4").tobytes()
    rewrite(path, head + content[28:])
    return [path]


@corruption("mgh betas: 16-bit values")
def _mgh_type(root: Path) -> list[Path]:
    path = BETAS["mgh"](root)
    values = (_stored(path) * 300).astype(np.int16).T
    nib.save(nib.MGHImage(values.reshape(len(values), 1, 1, -1), np.eye(4)), new(path))
    return [path]


@corruption("nii.gz betas: floating-point values")
def _nifti_type(root: Path) -> list[Path]:
    path = BETAS["nii.gz"](root)
    values = _stored(path).astype(np.float32) / 300
    nsd_copy.save_nifti(new(path), values.T, np.float32)
    return [path]


@corruption("nii.gz betas: a scale in the header")
def _nifti_scale(root: Path) -> list[Path]:
    path = BETAS["nii.gz"](root)
    content = bytearray(_plain(path))
    content[112:116] = np.float32(1 / 300).tobytes()  # scl_slope
    rewrite(path, gzip.compress(bytes(content)))
    return [path]


@corruption("nii.gz betas: plain NIfTI under a .gz name")
def _not_gzip(root: Path) -> list[Path]:
    path = BETAS["nii.gz"](root)
    rewrite(path, _plain(path))
    return [path]


@corruption("volume hdf5 betas: floating-point values")
def _hdf5_type(root: Path) -> list[Path]:
    return _edit(lambda values: values.astype(np.float32) / 300)(BETAS["volume hdf5"], root)


@corruption("native hdf5 betas: another key")
def _hdf5_key(root: Path) -> list[Path]:
    path = BETAS["native hdf5"](root)
    values = _stored(path)
    with h5py.File(new(path), "w") as file:
        file["data"] = values
    return [path]


@corruption("volume hdf5 betas: axes as in MATLAB")
def _hdf5_axes(root: Path) -> list[Path]:
    path = BETAS["volume hdf5"](root)
    values = _stored(path).reshape(-1, *nsd_copy.VOLUME[::-1]).T
    with h5py.File(new(path), "w") as file:
        file[layout.BETAS_KEY] = values
    return [path]


# Betas: hemispheres and ncsnr --------------------------------------------------------------


@corruption("fsaverage: hemispheres of a session swapped")
def _swap_sides(root: Path) -> list[Path]:
    left, right = (betas(root, "fsaverage", side, 3) for side in layout.HEMISPHERES)
    swap(left, right)
    return [left, right]


@corruption("nativesurface: hemispheres of a session swapped")
def _swap_native(root: Path) -> list[Path]:
    left, right = (betas(root, "nativesurface", side, 3) for side in layout.HEMISPHERES)
    swap(left, right)
    return [left, right]


def _ncsnr(root: Path, space: str, side: str | None) -> Path:
    return layout.ncsnr(root, SUBJECT, space, VERSION, side)


@corruption("fsaverage: hemispheres of all sessions swapped")
def _swap_all(root: Path) -> list[Path]:
    for session in range(1, nsd_copy.SESSIONS + 1):
        swap(*(betas(root, "fsaverage", side, session) for side in layout.HEMISPHERES))
    return [_ncsnr(root, "fsaverage", side) for side in layout.HEMISPHERES]


@corruption("fsaverage: a hemisphere saved under both names")
def _same_side(root: Path) -> list[Path]:
    left, right = (betas(root, "fsaverage", side, 1) for side in layout.HEMISPHERES)
    rewrite(right, left.read_bytes())
    return [right]


@corruption("fsaverage: a hemisphere missing in one session")
def _lose_side(root: Path) -> list[Path]:
    betas(root, "fsaverage", "rh", 4).unlink()
    return [betas(root, "fsaverage", "rh", 4)]


@corruption("fsaverage: a hemisphere missing in all sessions")
def _lose_sides(root: Path) -> list[Path]:
    paths = [betas(root, "fsaverage", "rh", k + 1) for k in range(nsd_copy.SESSIONS)]
    for path in paths:
        path.unlink()
    return paths


@corruption("ncsnr: hemispheres swapped")
def _swap_ncsnr(root: Path) -> list[Path]:
    pair = [_ncsnr(root, "fsaverage", side) for side in layout.HEMISPHERES]
    swap(*pair)
    return pair


@corruption("ncsnr: a hemisphere saved under both names")
def _same_ncsnr(root: Path) -> list[Path]:
    left, right = (_ncsnr(root, "fsaverage", side) for side in layout.HEMISPHERES)
    rewrite(right, left.read_bytes())
    return [right]


@corruption("ncsnr: another subject's (fsaverage)")
def _foreign_ncsnr(root: Path) -> list[Path]:
    values = np.random.default_rng(5).permutation(np.linspace(0, 1.5, 240))
    nsd_copy.write_ncsnr(root, "fsaverage", "lh", values)
    return [_ncsnr(root, "fsaverage", "lh")]


@corruption("ncsnr: another subject's (volume of the same size)")
def _foreign_volume_ncsnr(root: Path) -> list[Path]:
    values = np.random.default_rng(5).permutation(np.linspace(0, 1.5, 240))
    nsd_copy.write_ncsnr(root, "func1pt8mm", None, values)
    return [_ncsnr(root, "func1pt8mm", None)]


@corruption("ncsnr: of another size")
def _small_ncsnr(root: Path) -> list[Path]:
    nsd_copy.write_ncsnr(root, "nativesurface", "lh", np.linspace(0, 1, 210))
    return [_ncsnr(root, "nativesurface", "lh")]


@corruption("ncsnr: negative values")
def _negative_ncsnr(root: Path) -> list[Path]:
    nsd_copy.write_ncsnr(root, "nativesurface", "lh", np.linspace(-2, 1, 200))
    return [_ncsnr(root, "nativesurface", "lh")]


@corruption("ncsnr: NaN throughout")
def _nan_ncsnr(root: Path) -> list[Path]:
    nsd_copy.write_ncsnr(root, "nativesurface", "rh", np.full(210, np.nan))
    return [_ncsnr(root, "nativesurface", "rh")]


@corruption("ncsnr: missing")
def _no_ncsnr(root: Path) -> list[Path]:
    _ncsnr(root, "func1pt8mm", None).unlink()
    return [_ncsnr(root, "func1pt8mm", None)]


@corruption("all betas of one space from another subject, of equal size")
def _other_betas(root: Path) -> list[Path]:
    other = nsd_copy.write_copy(root.with_name(f"{root.name}-other"), seed=9)
    for side in layout.HEMISPHERES:
        for session in range(1, nsd_copy.SESSIONS + 1):
            rewrite(betas(root, "fsaverage", side, session),
                    betas(other, "fsaverage", side, session).read_bytes())  # fmt: skip
    shutil.rmtree(other)
    return [layout.expdesign(root), *(_ncsnr(root, "fsaverage", s) for s in layout.HEMISPHERES)]
