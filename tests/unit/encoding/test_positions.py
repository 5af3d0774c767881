"""The code of place: separable, distinct, of the published form."""

from __future__ import annotations

import math

import pytest
import torch

from neuroattn.encoding.positions import sine_code


def test_first_half_tells_the_row_and_second_the_column() -> None:
    code = sine_code((3, 5), 8).reshape(3, 5, 8)
    assert torch.equal(code[:, :1, :4].expand(3, 5, 4), code[..., :4])
    assert torch.equal(code[:1, :, 4:].expand(3, 5, 4), code[..., 4:])


def test_the_first_pair_is_sine_and_cosine_of_the_place() -> None:
    code = sine_code((4, 1), 8)
    for row in range(4):
        angle = (row + 1) / 4 * 2 * math.pi
        assert code[row, 0] == pytest.approx(math.sin(angle), abs=1e-6)
        assert code[row, 1] == pytest.approx(math.cos(angle), abs=1e-6)
        slower = angle / 1e4 ** (2 / 4)
        assert code[row, 2] == pytest.approx(math.sin(slower), abs=1e-6)


def test_no_two_places_share_a_code() -> None:
    code = sine_code((31, 31), 768)
    assert code.shape == (961, 768)
    assert torch.cdist(code, code).fill_diagonal_(9.0).min() > 1e-2


def test_an_odd_number_of_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="even"):
        sine_code((2, 2), 7)
