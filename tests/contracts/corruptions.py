"""What can happen to a copy of NSD: each corruption changes a clone and names the files it hit.

A corruption is a function of the clone's folder that returns the paths, one of which a finding
must name; with ``any_of`` in mind it returns several where any would do.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from neuroattn.data.nsd import layout
from tests.nsd_copy import SUBJECT, VERSION, betas, rewrite

Corruption = Callable[[Path], list[Path]]
SET: dict[str, Corruption] = {}

# One file of every format that the copy has, by a short name.
FILES: dict[str, Callable[[Path], Path]] = {
    "fsaverage betas (mgh)": lambda root: betas(root, "fsaverage", "lh", 2),
    "volume betas (nii.gz)": lambda root: betas(root, "func1pt8mm", None, 3),
    "volume betas (hdf5)": lambda root: betas(root, "func1pt8mm", None, 1, "hdf5"),
    "native betas (hdf5)": lambda root: betas(root, "nativesurface", "rh", 4),
    "ncsnr (mgh)": lambda root: layout.ncsnr(root, SUBJECT, "fsaverage", VERSION, "rh"),
    "ncsnr (nii.gz)": lambda root: layout.ncsnr(root, SUBJECT, "func1pt8mm", VERSION),
    "labels (mgz)": lambda root: layout.roi_surface(root, "fsaverage", "streams", "lh"),
    "label volume (nii.gz)": lambda root: layout.roi_volume(
        root, SUBJECT, "func1pt8mm", "prf-visualrois"
    ),
    "label names (ctab)": lambda root: layout.ctab(root, SUBJECT, "prf-visualrois"),
    "design (mat)": layout.expdesign,
    "behaviour (tsv)": lambda root: layout.responses(root, SUBJECT),
    "stimulus table (csv)": layout.stim_info,
    "stimuli (hdf5)": layout.stimuli,
    "captions (json)": lambda root: layout.coco_annotations(root, "train2017"),
}


def corruption(name: str) -> Callable[[Corruption], Corruption]:
    def keep(function: Corruption) -> Corruption:
        assert name not in SET
        SET[name] = function
        return function

    return keep


def _whole(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: rewrite(path, change(path.read_bytes()))


def _dangle(path: Path) -> None:
    path.unlink()
    path.symlink_to("../.git/annex/objects/Zx/9F/MD5E-s12--0123/MD5E-s12--0123")


_PAGE = b"<!DOCTYPE html>\n<html><head><title>403 Forbidden</title></head><body></body></html>\n"
_S3 = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>'
_LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 491526284\n"
ANY_FILE: dict[str, Callable[[Path], None]] = {
    "cut in half": _whole(lambda content: content[: len(content) // 2 - 3]),
    "empty": _whole(lambda content: b""),
    "git-annex pointer": _whole(lambda content: b"/annex/objects/MD5E-s491--01234.mgh\n"),
    "Git LFS pointer": _whole(lambda content: _LFS),
    "dangling link": _dangle,
    "HTML page": _whole(lambda content: _PAGE),
    "S3 error": _whole(lambda content: _S3),
    "zeros": _whole(lambda content: bytes(len(content))),
}


def _any(kind: str, change: Callable[[Path], None], file: str) -> None:
    @corruption(f"{file}: {kind}")
    def _apply(root: Path) -> list[Path]:
        change(FILES[file](root))
        return [FILES[file](root)]


for _kind, _change in ANY_FILE.items():
    for _file in FILES:
        _any(_kind, _change, _file)


# One bit, anywhere: only a stream with a checksum tells before a lock, everything after it.
FLIPPED = list(FILES)


def flip(path: Path, share: float) -> None:
    """Turn over one bit of a file at a share of its length."""
    content = bytearray(path.read_bytes())
    content[min(len(content) - 1, int(share * len(content)))] ^= 0x10
    rewrite(path, bytes(content))
