"""An encoder without a backbone, and what objectives are resolved on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroattn.synthesis.objectives import Facts


def facts_of(
    rois: list[str],
    *,
    subjects: list[str] | None = None,
    sides: list[str] | None = None,
    fitted: list[bool] | None = None,
    predicted: np.ndarray | None = None,
    profiles: np.ndarray | None = None,
    parcels: Mapping[str, np.ndarray] | None = None,
    directions: Mapping[str, Path] | None = None,
) -> Facts:
    count = len(rois)
    targets = pd.DataFrame(
        {
            "target": range(count),
            "subject": subjects or ["s1"] * count,
            "hemisphere": sides or ["lh"] * count,
            "vertex": range(count),
            "rois": rois,
        }
    )
    return Facts(
        targets,
        fitted=np.array(fitted or [True] * count),
        predicted=lambda: np.zeros((2, count), np.float32) if predicted is None else predicted,
        profiles=lambda: np.eye(count, dtype=np.float32) if profiles is None else profiles,
        parcels=lambda: parcels or {},
        directions=directions or {},
    )


@pytest.fixture
def regions() -> Facts:
    """Four targets of A, two of B, one of which is in A as well; the right has one of each."""
    return facts_of(["A", "A", "A|B", "A", "B", ""], sides=["lh", "lh", "lh", "rh", "rh", "rh"])
