"""Figures of retrieval and ablation: what stands where, and that absence is said."""

from __future__ import annotations

import numpy as np
import pytest

from neuroattn.figures import Stamp, to_png, to_svg
from neuroattn.figures.ablation import Bar, ablation_bars, component_grid
from neuroattn.figures.retrieval import (
    Accuracy,
    Curve,
    Query,
    accuracies,
    gallery_curve,
    pairing,
    retrieved_pictures,
)
from neuroattn.figures.theme import BLUE, ORANGE

STAMP = Stamp("decode/ridge-1a2b3c4d", simulated=True)


def test_accuracies_stand_beside_chance() -> None:
    rows = [
        Accuracy("subj01, raw", name, value, value - 0.1, value + 0.1, 0.02)
        for name, value in (("image from brain", 0.4), ("brain from image", 0.6))
    ]
    figure = accuracies([("top 1", rows), ("top 5", rows)], STAMP, title="t", subtitle="s")
    first, second = figure.axes
    assert first.get_xlabel() == "top 1"
    values = [line.get_xdata()[0] for line in second.lines if line.get_marker() not in ("", "None")]
    np.testing.assert_allclose(values, [0.4, 0.6])
    assert [text.get_text() for text in first.get_legend().get_texts()] == [
        "image from brain", "brain from image", "chance",
    ]  # fmt: skip
    assert b"<svg" in to_svg(figure)
    assert "nothing" in accuracies([], STAMP, title="t", subtitle="s").axes[0].texts[0].get_text()


def test_the_curve_has_chance_below_it() -> None:
    ways = np.array([2.0, 10, 100])
    curve = Curve("image from brain, raw", ways, np.array([0.9, 0.7, 0.3]), 0)
    figure = gallery_curve([curve], STAMP, drawn=[(100, 0.31, 0)], subtitle="s")
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    np.testing.assert_allclose(lines["chance"].get_ydata(), 1 / ways)
    assert figure.axes[0].get_xscale() == "log"


def test_the_picture_that_was_seen_is_framed_where_it_was_retrieved() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (6, 8, 8, 3)).astype(np.uint8)
    query = Query(pictures[0], "rank 2", list(pictures[1:]), ["0.9"] * 5, own=1)
    lost = Query(pictures[0], "rank 60", list(pictures[1:]), ["0.9"] * 5, own=None)
    figure = retrieved_pictures([query, lost], STAMP, subtitle="s")
    frames = [axes.patches[-1].get_edgecolor() for axes in figure.axes]
    blue = [index for index, colour in enumerate(frames) if np.allclose(colour[:3], _rgb(BLUE))]
    assert blue == [2]
    assert to_png(figure, dpi=40).startswith(b"\x89PNG")
    assert retrieved_pictures([], STAMP, subtitle="s").axes


def _rgb(colour: str) -> list[float]:
    return [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]


def test_networks_that_were_found_are_orange() -> None:
    bars = [Bar("default", 0.6, 0.8, 0.9, found=True), Bar("V1", 0.85, np.nan, np.nan, found=False)]
    figure = ablation_bars(
        [("Left out", bars), ("Kept alone", bars)], STAMP, title="t", subtitle="s", unit="u",
        intact=0.9, chance=0.5,
    )  # fmt: skip
    axes = figure.axes[0]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [dot.get_color() for dot in dots] == [ORANGE, BLUE]
    assert len(axes.patches) == 1, "no band without controls"
    assert b"<svg" in to_svg(figure)


def test_components_are_framed_where_found() -> None:
    share = np.array([[0.9, np.nan], [0.0, -0.1]])
    found = np.array([[True, False], [False, False]])
    figure = component_grid(
        ["default", "V1"], ["animal", "face"], [("Left out", share, found)], STAMP, title="t",
        subtitle="s",
    )  # fmt: skip
    axes = figure.axes[0]
    assert len(axes.patches) == 1
    assert len(axes.texts) == 3
    empty = component_grid([], [], [], STAMP, title="t", subtitle="s")
    assert "no kind" in empty.axes[0].texts[0].get_text()


@pytest.mark.parametrize("scale", [1.0, 0.0])
def test_a_pairing_is_drawn_with_its_null(scale: float) -> None:
    rng = np.random.default_rng(0)
    figure = pairing(
        scale * rng.normal(size=(5, 7)), rng.normal(size=100), 2.0, STAMP, title="t", subtitle="s",
        unit="u",
    )  # fmt: skip
    assert figure.axes[1].lines[-1].get_xdata()[0] == 2.0
    assert b"<svg" in to_svg(figure)
