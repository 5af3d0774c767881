from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from neuroattn.figures import Example, Stamp, measured_against_predicted, to_svg
from neuroattn.figures.predictions import HEXAGONS_ABOVE

STAMP = Stamp("encode/ridge-1a2b3c4d")


def example(rows: int, role: str = "best target") -> Example:
    random = np.random.default_rng(0)
    predicted = random.normal(size=rows)
    return Example("lh-00012", role, predicted + random.normal(size=rows), predicted, 0.71)


def test_panels_name_target_role_r_and_units() -> None:
    roles = ("best", "median", "worst")
    figure = measured_against_predicted([example(50, role) for role in roles], STAMP, unit="%")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [f"{role}: lh-00012\nr = 0.710" for role in roles]
    assert {axes.get_xlabel() for axes in figure.axes} == {"Predicted response\n(%)"}
    assert figure.axes[0].get_ylabel() == "Measured response\n(%)"
    assert "n = 50 test rows" in figure.texts[1].get_text()


def test_missing_unit_is_said() -> None:
    figure = measured_against_predicted([example(5)], STAMP)
    assert "unit not stated" in figure.axes[0].get_xlabel()


def test_long_units_are_wrapped_not_cut() -> None:
    unit = "spike count per 100 ms bin, single repeats"
    label = measured_against_predicted([example(5)], STAMP, unit=unit).axes[0].get_xlabel()
    assert label == "Predicted response\n(spike count per 100 ms bin,\nsingle repeats)"


def test_every_row_is_a_point_on_predicted_and_measured_axes() -> None:
    shown = example(50)
    figure = measured_against_predicted([shown], STAMP)
    points = next(line for line in figure.axes[0].lines if line.get_alpha() == 0.4)
    np.testing.assert_array_equal(points.get_xdata(), shown.predicted)
    np.testing.assert_array_equal(points.get_ydata(), shown.measured)


def test_many_rows_become_hexagons_that_count_them_all() -> None:
    rows = HEXAGONS_ABOVE + 1
    figure = measured_against_predicted([example(rows)], STAMP)
    hexagons = next(c for c in figure.axes[0].collections if isinstance(c, PolyCollection))
    assert hexagons.get_array().sum() == rows
    assert len(to_svg(figure)) < 400_000


@pytest.mark.parametrize("values", [np.zeros(4), np.full(4, np.nan), np.zeros(0)])
def test_degenerate_targets_still_draw(values: np.ndarray) -> None:
    shown = Example("flat", "worst target", values, values, float("nan"))
    assert to_svg(measured_against_predicted([shown], STAMP))


def test_no_target_is_said_in_words() -> None:
    figure = measured_against_predicted([], STAMP)
    assert "no target" in figure.axes[0].texts[0].get_text()
