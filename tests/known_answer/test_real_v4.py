"""Macaque V4 recordings: what the whole chain must reach on real data.

The figures are those of a plain dual ridge on EfficientNet-Lite0 blocks 4, 7 and 10, pooled to
7 x 7, with a penalty per neuron: mean Pearson r over neurons, per fold and averaged over five
random folds over images. One splitting of so few images moves them by about 0.005.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroattn.core.sections import Device, PathsConfig, RuntimeConfig
from neuroattn.data.registry import ArraysConfig, SplitConfig, SplitKind
from neuroattn.encoding.registry import RidgeConfig
from neuroattn.features.registry import EfficientNetLiteConfig
from neuroattn.pipeline.build import run_stage
from neuroattn.pipeline.config import RootConfig

SLACK = 0.01


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("session", "expected"), [("210325", 0.565), ("210224", 0.527), ("190923", 0.587)]
)
def test_ridge_reaches_the_figure_of_the_recording(
    shared_data: Path, tmp_path: Path, session: str, expected: float
) -> None:
    config = RootConfig(
        dataset=ArraysConfig(
            root=str(shared_data / "cowley_v4" / session),
            split=SplitConfig(kind=SplitKind.kfold, folds=5, seed=0),
        ),
        backbone=EfficientNetLiteConfig(
            layers=["blocks.4", "blocks.7", "blocks.10"], image_size=224, pool=7
        ),
        encoder=RidgeConfig(),
        paths=PathsConfig(root=str(tmp_path)),
        runtime=RuntimeConfig(device=Device.cpu),
    )
    encoded = run_stage("encode", config)
    assert encoded.metrics["test.r"] >= expected - SLACK
    assert encoded.metrics["roi.V4.r"] == pytest.approx(encoded.metrics["test.r"])
    assert encoded.metrics["test.folds"] == 5
