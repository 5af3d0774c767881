"""Attention over pictures: heat stands where the weight is."""

from __future__ import annotations

import numpy as np

from neuroattn.figures.attention import Look, attention_overlays, enlarged
from neuroattn.figures.slices import oriented
from neuroattn.figures.theme import Stamp
from neuroattn.figures.training import Curve, training_curves
from tests.unit.figures.test_scores import words


def test_weights_are_enlarged_in_place_and_constants_stay() -> None:
    weights = np.zeros((2, 4))
    weights[0, 3] = 1
    large = enlarged(weights, (20, 40))
    assert large.shape == (20, 40)
    assert np.unravel_index(large.argmax(), large.shape)[0] < 5
    assert np.unravel_index(large.argmax(), large.shape)[1] >= 35
    assert large[15:, :].max() == 0
    np.testing.assert_allclose(enlarged(np.full((3, 3), 0.2), (7, 9)), 0.2)


def test_overlays_name_queries_and_pictures() -> None:
    look = Look(np.full((8, 8, 3), 100, dtype=np.uint8), np.eye(2), "image 7")
    figure = attention_overlays([("lh.FFA-1", [look, look])], Stamp("encode/x", simulated=True))
    told = words(figure)
    for word in ("lh.FFA-1", "image 7", "encode/x", "simulated", "relative to the largest"):
        assert word in told, word
    assert "no attention" in words(attention_overlays([], Stamp("encode/x")))


def test_slices_are_turned_to_the_right_the_front_and_the_top() -> None:
    values = np.arange(24.0).reshape(2, 3, 4)
    affine = np.array([[0, 0, 2.0, 0], [-2, 0, 0, 5], [0, -3, 0, 9], [0, 0, 0, 1]])
    turned, heights = oriented(values, affine)
    assert turned.shape == (4, 2, 3)
    assert heights.tolist() == [3, 6, 9]
    # The place with the largest world coordinates is the first along the two flipped axes.
    assert turned[-1, -1, -1] == values[0, 0, 3]


def test_curves_mark_the_kept_epoch() -> None:
    epoch = np.arange(1.0, 4)
    curve = Curve("fold-0", epoch, 3 - epoch, np.array([0.1, 0.3, 0.2]), 2.0)
    figure = training_curves([curve], Stamp("encode/x"))
    marks = [line for line in figure.axes[1].lines if line.get_marker() == "o"]
    assert marks[0].get_xdata().tolist() == [2.0]
    assert "epoch that was kept" in words(figure)
