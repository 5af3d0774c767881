"""Mixtures of layers and of queries, by hand; their place in the encoder is tested beside it."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from neuroattn.encoding.mixing import LayerInput, MixedLinear, OwnLinear
from neuroattn.encoding.queries import Free, Own, query_table
from neuroattn.encoding.registry import QueryKind


def test_layers_come_to_common_channels_and_start_as_their_mean() -> None:
    torch.manual_seed(0)
    layers = LayerInput((4, 6), 4, learned=True)
    one, other = torch.randn(2, 3, 4), torch.randn(2, 3, 6)
    (mixed,) = layers([one, other])
    torch.testing.assert_close(mixed, (one + layers.each[1](other)) / 2)
    torch.testing.assert_close(layers.shares(), torch.tensor([0.5, 0.5]))


def test_layers_that_are_not_mixed_come_one_by_one() -> None:
    layers = LayerInput((4, 4), 4, learned=False)
    given = [torch.randn(2, 3, 4), torch.randn(2, 3, 4)]
    assert [part is one for part, one in zip(layers(given), given, strict=True)] == [True, True]
    with pytest.raises(ValueError, match="not mixed"):
        layers.shares()


def test_values_of_a_free_query_are_means_by_how_much_it_is_read() -> None:
    readout = MixedLinear(Free(2, 2), 3)
    with torch.no_grad():
        readout.choice.copy_(torch.tensor([[3.0, 1.0], [1.0, 1.0]]).log())
    found = readout.by_query(torch.tensor([[1.0], [0.0]]))
    torch.testing.assert_close(found, torch.tensor([[0.75 / 1.25], [0.25 / 0.75]]))


def test_targets_share_the_map_of_each_of_their_regions() -> None:
    targets = pd.DataFrame({"hemisphere": "lh", "rois": ["A", "A|B", "B", "B", ""]})
    readout = OwnLinear(Own(5, query_table(targets, QueryKind.rois)), 3)
    third = 1 / 3
    expected = [[0.5, 0, 0], [0.5, third, 0], [0, third, 0], [0, third, 0], [0, 0, 1]]
    torch.testing.assert_close(readout.member(slice(None)), torch.tensor(expected))
    torch.testing.assert_close(readout.member(slice(2, 4)), torch.tensor(expected[2:4]))
