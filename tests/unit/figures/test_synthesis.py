from __future__ import annotations

import numpy as np

from neuroattn.figures import Stamp, to_png
from neuroattn.figures.synthesis import Curve, Strip, activation_matrix, picture_grid, scale_curves

STAMP = Stamp("synthesize/x-1", simulated=True)
PICTURES = list(np.random.default_rng(0).integers(0, 255, (4, 8, 8, 3), dtype=np.uint8))


def _texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(lambda one: hasattr(one, "get_text"))]


def test_a_grid_shows_every_picture_with_its_value() -> None:
    strips = [
        Strip("guided", "best 4 of 9", PICTURES, [1.25, np.nan, -0.5, 2], marked=True),
        Strip("unguided", "the same seeds", PICTURES[:3], apart=True),
    ]
    figure = picture_grid(strips, STAMP, title="Pictures for FFA-1", subtitle="seeds 0 to 8")
    assert len(figure.axes) == 7
    shown = np.asarray(figure.axes[1].images[0].get_array())
    assert (shown == PICTURES[1]).all()
    texts = _texts(figure)
    assert {"1.25", "\N{MINUS SIGN}0.50", "guided", "the same seeds", "seeds 0 to 8"} <= set(texts)
    assert "simulated responses" in texts
    assert to_png(figure, dpi=40) == to_png(
        picture_grid(strips, STAMP, title="Pictures for FFA-1", subtitle="seeds 0 to 8"), dpi=40
    )


def test_the_matrix_frames_what_was_asked_for() -> None:
    values = np.array([[4.0, -0.04], [np.nan, 3.0]])
    figure = activation_matrix(
        ["A", "B"], ["A", "B"], values, np.eye(2, dtype=bool), STAMP, subtitle="", unit="z"
    )
    frames = [(p.get_x(), p.get_y()) for p in figure.axes[0].patches]
    assert frames == [(-0.5, -0.5), (0.5, 0.5)]
    texts = _texts(figure)
    assert "4.0" in texts
    assert "0.0" in texts
    assert "nan" not in texts


def test_curves_ring_the_chosen_scale() -> None:
    scales = np.array([0.0, 1, 10])
    curve = Curve("Judge", scales, {"FFA-1": np.array([0.1, 0.5, 0.2])}, level=0.3)
    figure = scale_curves([curve], {"FFA-1": 1.0}, STAMP, subtitle="")
    lines = figure.axes[0].lines
    assert lines[1].get_ydata().tolist() == [0.5]
    assert lines[2].get_linestyle() == "--"


def test_nothing_is_explained() -> None:
    for figure, reason in (
        (picture_grid([], STAMP, title="", subtitle=""), "no picture was made"),
        (scale_curves([], {}, STAMP, subtitle=""), "no scale was tried"),
    ):
        assert reason in _texts(figure)
