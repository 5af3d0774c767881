"""Scores of reconstructions: what is missing is refused, and nothing stands in for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroattn.core.errors import DataError, MissingDataError
from neuroattn.decoding.reconstruction import FeatureFolder, high_level, low_level


def test_missing_features_are_refused_by_name(tmp_path: Path) -> None:
    features = FeatureFolder(tmp_path)
    with pytest.raises(MissingDataError, match=r"alexnet2-true\.npy"):
        high_level(features, ["alexnet2"], 4)
    values = np.random.default_rng(0).normal(size=(4, 3, 5))
    for side in ("true", "made"):
        np.save(tmp_path / f"alexnet2-{side}.npy", values)
    assert high_level(features, ["alexnet2"], 4)["alexnet2"].accuracy == 1
    with pytest.raises(DataError, match="not of these images"):
        high_level(features, ["alexnet2"], 5)


def test_a_copy_has_the_highest_scores() -> None:
    pictures = np.random.default_rng(0).random((1, 425, 425, 3))
    assert low_level(pictures, pictures) == pytest.approx({"pixcorr": 1, "ssim": 1})
