"""Scores of reconstructed pictures, from pictures and from features that the caller supplies.

The published scores read AlexNet, Inception, CLIP, EfficientNet and SwAV. None of them is here, so
features come as arrays; where they are missing the score is refused, and nothing takes their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import DataError, MissingDataError
from neuroattn.stats.identification import TwoWay, two_way
from neuroattn.stats.picture_scores import pixel_correlation, structural_similarity

Features = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class FeatureFolder:
    """Features as files ``<name>-true.npy`` and ``<name>-made.npy``, (images, …) each."""

    folder: Path

    def pair(self, name: str, count: int) -> tuple[Features, Features]:
        """Features (images, dim) of the true images and of the reconstructions.

        Raises
        ------
        MissingDataError : a file is not there.
        DataError : it is not of these images.
        """
        true, made = (self._read(f"{name}-{side}.npy", count) for side in ("true", "made"))
        return true, made

    def _read(self, name: str, count: int) -> Features:
        path = self.folder / name
        if not path.is_file():
            raise MissingDataError(
                "the features of this score are not there", file=path,
                expected=f"features of {count} images, by the network that the score names",
                found="nothing", fix="extract them and save them with numpy.save",
            )  # fmt: skip
        values: Features = np.load(path, allow_pickle=False)
        if len(values) != count or not np.isfinite(values).all():
            raise DataError(
                "the features are not of these images", file=path,
                expected=f"({count}, …) finite numbers", found=values.shape,
                fix="extract them anew, in the order of the pictures",
            )  # fmt: skip
        return values.reshape(count, -1)


def low_level(true: NDArray[Any], made: NDArray[Any]) -> Mapping[str, float]:
    """``pixcorr`` and ``ssim``, means over pictures (images, height, width, 3); NaN if any is."""
    return {
        "pixcorr": float(np.mean(pixel_correlation(true, made))),
        "ssim": float(np.mean(structural_similarity(true, made))),
    }


def high_level(features: FeatureFolder, names: list[str], count: int) -> Mapping[str, TwoWay]:
    """Two-way identification by every named network.

    Raises as `FeatureFolder.pair`.
    """
    return {name: two_way(*features.pair(name, count)) for name in names}
