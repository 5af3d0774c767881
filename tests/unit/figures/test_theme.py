from __future__ import annotations

import sys

import matplotlib as mpl
import pytest

from neuroattn.figures.theme import AMBER, BLUE, ORANGE, RC, Stamp, frame, legible, themed


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.1."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("V1v", "V1v"),
        ("two\n\tlines", "two lines"),
        ("nul\x00bell\x07", "nulbell"),
        ("rtl\u202emark\u200f", "rtlmark"),
        ("\u6f22", "\u25a1"),  # no glyph in the font
        ("\udcff", ""),  # lone surrogate
        ("$\\frac{1}{", "$\\frac{1}{"),
        ("a" * 40, "a" * 27 + "\u2026"),
        ("", ""),
    ],
)
def test_legible_leaves_one_drawable_line(text: str, expected: str) -> None:
    assert legible(text) == expected


def test_frame_says_title_n_source_and_simulated() -> None:
    figure = frame(2.5, "Title", "n = 3 targets", Stamp("encode/ridge-1a2b3c4d", simulated=True))
    assert texts(figure) == [
        "Title",
        "n = 3 targets",
        "Source: encode/ridge-1a2b3c4d",
        "simulated responses",
    ]


def test_frame_claims_no_simulation_of_measured_data() -> None:
    assert "simulated responses" not in texts(frame(2.5, "T", "n", Stamp("encode/x-1")))


def test_theme_is_the_same_under_any_user_settings_and_leaves_no_trace() -> None:
    seen = themed(lambda: (mpl.rcParams["font.size"], mpl.rcParams["lines.linewidth"]))
    with mpl.rc_context({"font.size": 31, "lines.linewidth": 9}):
        assert seen() == (RC["font.size"], mpl.rcParamsDefault["lines.linewidth"])
        assert mpl.rcParams["font.size"] == 31


def test_data_and_summary_colours_differ_in_lightness_too() -> None:
    pale, blue, orange = (luminance(colour) for colour in ("#a9c7dd", BLUE, ORANGE))
    assert (pale + 0.05) / (blue + 0.05) > 3
    assert (1.05) / (orange + 0.05) > 4.5  # text on white
    assert (1.05) / (luminance(AMBER) + 0.05) > 4.5


def test_pyplot_is_never_imported() -> None:
    import subprocess

    code = "import neuroattn.figures, sys; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
