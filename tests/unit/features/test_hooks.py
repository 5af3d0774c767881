"""Maps of patch tokens, and what is heard of a network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.features.hooks import check_patches, listening, patch_map, third


def test_patches_are_cut_after_the_prefix_and_laid_row_by_row() -> None:
    tokens = torch.arange(2 * 7 * 3.0).reshape(2, 7, 3)
    found = patch_map(tokens, 3, "any")
    assert found.shape == (2, 3, 2, 2)
    assert torch.equal(found[0, :, 0, 1], tokens[0, 4])
    assert torch.equal(found[1, :, 1, 0], tokens[1, 5])
    assert torch.equal(patch_map(found, 3, "any"), found), "a map is left alone"


@pytest.mark.parametrize("shape", [(2, 7, 3), (2, 1, 3), (2, 3)])
def test_what_is_no_grid_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="no grid of patches"):
        patch_map(torch.zeros(shape), 1, "any")


def test_thirds_are_query_key_value() -> None:
    joined = torch.arange(6.0).reshape(1, 1, 6)
    assert [third(part, joined).flatten().tolist() for part in ("query", "key", "value")] == [
        [0, 1], [2, 3], [4, 5],
    ]  # fmt: skip


def test_outputs_are_heard_only_while_listening() -> None:
    layer, found = nn.Linear(2, 2), {}
    values = torch.ones(1, 2)
    with listening({"plain": layer, "doubled": layer}, found, {"doubled": lambda out: 2 * out}):
        layer(values)
    assert torch.equal(found["doubled"], 2 * found["plain"])
    before = found["plain"]
    layer(0 * values)
    assert found["plain"] is before


def test_pictures_divide_into_patches() -> None:
    check_patches(36, 0)
    check_patches(36, 12)
    with pytest.raises(ConfigError, match="patches") as caught:
        check_patches(5, 14)
    assert "image_size=14" in str(caught.value)
