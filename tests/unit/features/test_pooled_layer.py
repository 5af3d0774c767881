"""The layer ``pooled``: a network's own vector for a picture, stored as one token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from neuroattn.features import hub

from .test_hub import CPU, SIDE, saved


@pytest.mark.parametrize("kind", ["dinov2", "registers", "clip", "convnext"])
def test_it_is_what_the_library_pools_and_no_patch(kind: str, tmp_path: Path) -> None:
    config, _ = saved(kind, tmp_path)
    blocks = "stages.1" if kind == "convnext" else "blocks.2"
    made = config(model=str(tmp_path), layers=["pooled", blocks], image_size=SIDE)
    backbone = hub.build(made, CPU)
    pixels = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    tokens = backbone.tokens(pixels)
    assert list(tokens) == ["pooled", blocks]
    assert backbone.shape("pooled").grid == (1, 1)
    assert backbone.shape("pooled").dim == tokens["pooled"].shape[2]
    np.testing.assert_allclose(tokens["pooled"][:, 0], backbone.pooled(pixels), atol=1e-6)
    for place in range(tokens[blocks].shape[1]):
        assert not torch.allclose(tokens["pooled"][:, 0], tokens[blocks][:, place], atol=1e-3)
