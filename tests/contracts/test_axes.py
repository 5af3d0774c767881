"""The check of named axes is on while tests run, and notices what it should."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from neuroattn.encoding.solvers import solve_dual
from neuroattn.features.backbones import fit_pixels, map_tokens
from neuroattn.features.registry import Interpolation, Resize


def test_a_tensor_with_an_axis_too_few_is_refused() -> None:
    with pytest.raises(TypeCheckError, match="images channels rows columns"):
        map_tokens(torch.zeros(3, 4, 4))


def test_a_tensor_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeCheckError, match="maps"):
        map_tokens(torch.zeros(1, 3, 4, 4, dtype=torch.int64))


def test_an_axis_of_fixed_length_is_held_to_it() -> None:
    with pytest.raises(TypeCheckError, match="3 height width"):
        fit_pixels(torch.zeros(1, 4, 8, 8), 8, Resize.squash, Interpolation.bilinear)


def test_one_name_has_one_length_within_a_call() -> None:
    gram, responses = torch.eye(4), torch.zeros(5, 2)
    with pytest.raises(TypeCheckError, match="rows"):
        solve_dual(gram, responses, np.ones(1), [], 1)
