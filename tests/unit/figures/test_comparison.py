"""Models side by side: every value and interval is drawn where it belongs, and bars fill up."""

from __future__ import annotations

import numpy as np
import pytest

from neuroattn.figures import Stamp, to_svg
from neuroattn.figures.comparison import (
    MOST,
    Growth,
    Series,
    learning_curves,
    values_by_region,
    weights_by_region,
)

STAMP = Stamp("compare/compare-a-b-1a2b3c4d", simulated=True)
TEXT = {"title": "t", "subtitle": "s", "unit": "r"}


def series(name: str, value: list[float], half: float = 0.1) -> Series:
    centre = np.array(value)
    return Series(name, centre, centre - half, centre + half)


def test_each_model_has_its_mark_and_interval_in_every_region() -> None:
    shown = [series("a", [0.1, 0.2, np.nan]), series("b", [0.3, 0.4, 0.5])]
    figure = values_by_region(["all targets", "V1", "V2"], shown, STAMP, **TEXT)
    (axes,) = figure.axes
    marks = {line.get_label(): line for line in axes.lines if line.get_marker() not in ("", "None")}
    np.testing.assert_allclose(marks["b"].get_xdata(), [0.3, 0.4, 0.5])
    np.testing.assert_allclose(np.round(marks["b"].get_ydata()), [0, 1, 2])
    assert (np.asarray(marks["a"].get_ydata()) < np.asarray(marks["b"].get_ydata())).all()
    spans = [path.vertices[:, 0] for each in axes.collections for path in each.get_paths()]
    np.testing.assert_allclose(spans[:2], [[0.0, 0.2], [0.1, 0.3]])
    assert len(spans) == 5, "no interval where there is no value"
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["all targets", "V1", "V2"]
    assert any("simulated" in text.get_text() for text in figure.texts)
    assert to_svg(figure).startswith(b"<?xml")


@pytest.mark.parametrize("count", [1, MOST, MOST + 3])
def test_no_more_models_than_can_be_told_apart(count: int) -> None:
    shown = [series(f"model {number}", [0.1]) for number in range(count)]
    figure = values_by_region(["V1"], shown, STAMP, **TEXT)
    assert len(figure.axes[0].get_legend().get_texts()) == min(count, MOST)


def test_weights_fill_the_bar() -> None:
    weights = np.array([[0.25, 1.0], [0.75, 0.0]])
    figure = weights_by_region(["all targets", "V1"], ["a", "b"], weights, STAMP)
    bars = figure.axes[0].patches
    ends = [bar.get_x() + bar.get_width() for bar in bars[2:4]]
    np.testing.assert_allclose(ends, 1.0)
    np.testing.assert_allclose([bar.get_width() for bar in bars[:2]], [0.25, 1.0])


def test_nothing_to_show_is_said() -> None:
    for figure in (
        values_by_region([], [], STAMP, **TEXT),
        weights_by_region([], [], np.zeros((0, 0)), STAMP),
    ):
        assert figure.axes[0].texts


def growth(name: str, marked: list[bool]) -> Growth:
    images, value = np.array([100.0, 200.0, 400.0]), np.array([0.1, 0.2, 0.3])
    return Growth(name, images, value, value - 0.05, value + 0.05, np.array(marked))


def test_curves_share_their_axes_and_one_session_stands_out() -> None:
    panels = {
        "all targets": [growth("ridge", [False] * 3), growth("attention", [False, True, False])],
        "V1": [growth("ridge", [False] * 3)],
    }
    figure = learning_curves(panels, STAMP, subtitle="s", mark="one session")
    first = figure.axes[0]
    curves = {line.get_label(): line for line in first.lines}
    np.testing.assert_array_equal(curves["ridge"].get_xdata(), [100, 200, 400])
    np.testing.assert_array_equal(curves["attention"].get_xdata(), [100, 400])
    np.testing.assert_array_equal(curves["one session"].get_xdata(), [200])
    assert first.get_ylim() == figure.axes[1].get_ylim()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["ridge", "attention", "one session"]
    assert [tick.get_text() for tick in first.get_xticklabels()] == ["100", "200", "400"]
    assert learning_curves({}, STAMP, subtitle="s").axes[0].texts
