"""The supplied noise ceiling: ncsnr, the ratio of signal to noise standard deviations.

NSD computes it from all trials that were repeated, those of test images among them (Allen
et al. 2022, Methods, "noise ceiling estimation"). It is passed on for reports; nothing may
be selected by it and then tested on the same images.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neuroattn.data.nsd.maps import read_map


def read_ncsnr(
    paths: tuple[Path, ...], shapes: list[tuple[int, ...]], places: list[NDArray[np.int64]]
) -> NDArray[np.float32] | None:
    """Ncsnr (targets,) of the places that are kept, NaN where NSD has none; None without files."""
    if not paths:
        return None
    parts = [
        read_map(path, shape)[kept] for path, shape, kept in zip(paths, shapes, places, strict=True)
    ]
    return np.concatenate(parts)
