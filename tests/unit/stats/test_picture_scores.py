"""PixCorr and SSIM: what they are of copies, negatives and plain pictures."""

from __future__ import annotations

import numpy as np
import pytest

from neuroattn.stats.picture_scores import pixel_correlation, structural_similarity


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).random((2, 24, 24, 3))


def test_copies_brightened_copies_and_negatives(pictures: np.ndarray) -> None:
    np.testing.assert_allclose(pixel_correlation(pictures, pictures, 48), 1)
    np.testing.assert_allclose(pixel_correlation(pictures, 0.4 * pictures + 0.3, 48), 1)
    np.testing.assert_allclose(pixel_correlation(pictures, 1 - pictures, 48), -1)
    assert np.isnan(pixel_correlation(pictures, np.full_like(pictures, 0.5), 48)).all()


def test_structural_similarity_of_a_copy_is_one(pictures: np.ndarray) -> None:
    np.testing.assert_allclose(structural_similarity(pictures, pictures, 48), 1)
    assert (structural_similarity(pictures, 1 - pictures, 48) < 0.5).all()


def test_sizes_may_differ_and_bytes_are_read_as_shares(pictures: np.ndarray) -> None:
    coded = (255 * pictures).round().astype(np.uint8)
    large = coded.repeat(2, axis=1).repeat(2, axis=2)
    assert (pixel_correlation(coded, large, 24) > 0.99).all()
    with pytest.raises(ValueError, match="pair"):
        pixel_correlation(pictures, pictures[:1])
