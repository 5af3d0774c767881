from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from neuroattn.figures import (
    Group,
    Stamp,
    penalty_distribution,
    score_histogram,
    scores_by_fold,
    scores_by_roi,
    to_svg,
)
from neuroattn.figures.scores import VECTOR_POINTS, _edges

STAMP = Stamp("encode/ridge-1a2b3c4d")
NAN = float("nan")


def words(figure) -> str:
    """All text of a figure, drawn once so that tick labels are there."""
    to_svg(figure)
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [axes.get_xlabel(), axes.get_ylabel(), axes.get_title(loc="left")]
        found += [text.get_text() for text in axes.texts]
        found += [label.get_text() for label in (*axes.get_xticklabels(), *axes.get_yticklabels())]
        if axes.get_legend():
            found += [text.get_text() for text in axes.get_legend().get_texts()]
    return "\n".join(found)


def group(name: str, scores: list[float], half: float = 0.1) -> Group:
    centre = float(np.mean(scores))
    return Group(name, np.array(scores), centre, centre - half, centre + half)


def test_histogram_counts_every_defined_target_once() -> None:
    scores = np.array([-0.1, 0.0, 0.05, 0.31, 0.33, 0.62, NAN])
    figure = score_histogram(scores, STAMP)
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == 6
    text = words(figure)
    assert "n = 6 targets, 1 more undefined" in text
    assert "median 0.180" in text
    assert "Targets (count)" in text
    assert "Pearson r" in text


@pytest.mark.parametrize("scores", [[0.3], [0.0, 0.0], [-0.5, -0.4], [0.25] * 500])
def test_bins_hold_all_values_and_never_mix_signs(scores: list[float]) -> None:
    edges = _edges(np.array(scores))
    assert edges[0] <= min(scores)
    assert edges[-1] >= max(scores)
    assert len(edges) >= 2
    assert not any(low < -1e-12 and high > 1e-12 for low, high in pairwise(edges))


def test_regions_stand_from_top_to_bottom_with_n_and_interval() -> None:
    groups = [group("V1", [0.5, 0.7]), Group("alone", np.array([0.2]), 0.2, NAN, NAN)]
    figure = scores_by_roi(groups, STAMP)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["V1", "alone"]
    assert axes.yaxis_inverted()
    bars = [line for line in axes.lines if line.get_linewidth() == 2.2 and len(line.get_xdata())]
    assert [list(line.get_xdata()) for line in bars] == [[0.5, 0.7]]  # one target has no interval
    text = words(figure)
    assert "n = 2" in text
    assert "n = 1" in text
    assert "95 % interval over targets" in text
    assert "one target" in text


def test_every_target_of_a_region_is_a_point() -> None:
    scores = np.linspace(0, 0.5, 40)
    axes = scores_by_roi([Group("V1", scores, 0.25, 0.2, 0.3)], STAMP).axes[0]
    points = next(line for line in axes.lines if line.get_alpha() == 0.35)
    np.testing.assert_array_equal(points.get_xdata(), scores)
    assert np.all(np.abs(np.asarray(points.get_ydata())) < 0.5)  # rows do not run into each other


def test_many_points_are_drawn_as_pixels_so_that_the_file_stays_small() -> None:
    scores = np.random.default_rng(0).normal(0.3, 0.1, 20 * VECTOR_POINTS)
    svg = to_svg(scores_by_roi([Group("all", scores, 0.3, 0.29, 0.31)], STAMP))
    assert len(svg) < 400_000


def test_folds_show_their_means() -> None:
    scores = np.array([[0.1, 0.2, 0.3], [0.4, NAN, 0.6]])
    text = words(scores_by_fold(scores, STAMP, names=["first", "second"]))
    assert "0.200" in text
    assert "0.500" in text
    assert "second" in text
    assert "n = 3 targets, 2 folds" in text


def test_penalties_tell_how_many_chose_the_ends_of_the_grid() -> None:
    figure = penalty_distribution(np.array([0.1, 0.1, 1.0, 10.0, 0.0, NAN]), STAMP)
    assert [bar.get_height() for bar in figure.axes[0].patches] == [2, 1, 1]
    text = words(figure)
    assert "n = 4 targets, 2 more undefined" in text
    assert "50 % at the smallest and 25 % at the largest" in text


def test_a_continuous_penalty_becomes_a_histogram() -> None:
    figure = penalty_distribution(np.logspace(-2, 3, 500), STAMP)
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == 500


@pytest.mark.parametrize(
    "figure",
    [
        lambda: score_histogram(np.array([NAN]), STAMP),
        lambda: scores_by_roi([], STAMP),
        lambda: scores_by_fold(np.full((2, 3), NAN), STAMP),
        lambda: penalty_distribution(np.zeros(3), STAMP),
    ],
)
def test_nothing_to_draw_is_said_in_words(figure) -> None:
    drawn = figure()
    assert any(phrase in words(drawn) for phrase in ("no target", "no region", "no fold"))


def test_names_are_text_and_never_formulas() -> None:
    figure = scores_by_roi([group("$\\frac{", [0.1, 0.2]), group("\u6f22\x00", [0.1, 0.3])], STAMP)
    assert "$\\frac{" in words(figure)  # a formula would have raised, a missing glyph warned
