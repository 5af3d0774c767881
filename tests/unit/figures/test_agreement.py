"""Two values of every target: each point where it belongs, members apart, absence said."""

from __future__ import annotations

import numpy as np

from neuroattn.figures import Stamp
from neuroattn.figures.agreement import Panel, found_against_measured

STAMP = Stamp("predict/predict-ridge-1a2b3c4d", simulated=True)
TEXT = {"title": "t", "subtitle": "s"}


def panel(members: np.ndarray | None = None, **more: object) -> Panel:
    x, y = np.array([1.0, 2.0, np.nan, 4.0]), np.array([4.0, 3.0, 2.0, 1.0])
    return Panel("faces", x, y, "measured t", "difference (sd)", members, **more)


def test_members_stand_apart_and_unknown_targets_are_left_out() -> None:
    members = np.array([True, False, True, False])
    figure = found_against_measured([panel(members), panel()], STAMP, member_name="in it", **TEXT)
    first, second = figure.axes[:2]
    marks = {line.get_label(): line for line in first.lines}
    np.testing.assert_array_equal(marks["in it"].get_xdata(), [1])
    np.testing.assert_array_equal(marks["other targets"].get_xdata(), [2, 4])
    assert [text.get_text() for text in first.get_legend().get_texts()]
    np.testing.assert_array_equal(second.lines[0].get_ydata(), [4, 3, 1])


def test_a_range_has_its_diagonal() -> None:
    figure = found_against_measured([panel(range_=(-4.0, 4.0))], STAMP, **TEXT)
    axes = figure.axes[0]
    assert axes.get_xlim() == axes.get_ylim() == (-4, 4)
    np.testing.assert_array_equal(axes.lines[-1].get_xdata(), [-4, 4])


def test_what_is_not_there_is_said() -> None:
    assert found_against_measured([], STAMP, **TEXT).axes[0].texts
    nothing = Panel("words", np.full(3, np.nan), np.ones(3), "x", "y")
    assert found_against_measured([nothing], STAMP, **TEXT).axes[0].texts
