from __future__ import annotations

import numpy as np
import pytest

from neuroattn.features.images import MEAN_COLOUR, centre_square, fit_picture
from neuroattn.features.registry import Interpolation, Resize


def _noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("interpolation", Interpolation)
def test_squash_and_crop_agree_on_square_pictures(interpolation: Interpolation) -> None:
    picture = _noise(50, 50)
    squashed = fit_picture(picture, 32, Resize.squash, interpolation)
    assert squashed.shape == (32, 32, 3)
    assert np.array_equal(squashed, fit_picture(picture, 32, Resize.crop, interpolation))


def test_a_picture_that_fits_is_left_as_it_is() -> None:
    picture = _noise(32, 32)
    assert np.array_equal(fit_picture(picture, 32), picture)


def test_crop_loses_the_borders_and_squash_keeps_them() -> None:
    picture = np.zeros((20, 60, 3), dtype=np.uint8)
    picture[:, :10] = 255  # a white border on the left
    assert fit_picture(picture, 20, Resize.crop).max() == 0
    assert fit_picture(picture, 20, Resize.squash)[:, 0].min() > 250


def test_fine_texture_becomes_grey_and_does_not_alias() -> None:
    board = np.indices((128, 128)).sum(0) % 2 * 255
    picture = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    inner = fit_picture(picture, 32)[2:-2, 2:-2]
    assert np.abs(inner.astype(int) - 127).max() <= 2


def test_the_largest_square_is_centred() -> None:
    assert centre_square(300, 451) == (75, 0, 375, 300)
    assert centre_square(9, 4) == (0, 2, 4, 6)
    assert centre_square(300, 451, 0.875) == (94, 19, 356, 281)
    assert centre_square(1, 9, 0.5) == (4, 0, 5, 1), "never nothing"


def test_a_share_of_the_centre_is_the_crop_of_that_share() -> None:
    picture = _noise(64, 80)
    kept = fit_picture(picture, 32, Resize.crop, fraction=0.75)
    assert np.array_equal(kept, fit_picture(picture[8:56, 16:64], 32))


def test_pad_keeps_every_pixel_and_its_place() -> None:
    picture = _noise(425, 425)
    padded = fit_picture(picture, 434, Resize.pad)
    assert np.array_equal(padded[:425, :425], picture)
    rest = np.concatenate([padded[425:].reshape(-1, 3), padded[:425, 425:].reshape(-1, 3)])
    assert np.unique(rest, axis=0).tolist() == [list(MEAN_COLOUR)]


def test_pad_shrinks_only_what_does_not_fit_and_keeps_its_form() -> None:
    padded = fit_picture(_noise(40, 80), 20, Resize.pad)
    assert np.unique(padded[10:].reshape(-1, 3), axis=0).tolist() == [list(MEAN_COLOUR)]
    assert len(np.unique(padded[:10].reshape(-1, 3), axis=0)) > 100
