"""Every drawing function: arrays in, a matplotlib figure out.

Drawing functions neither read artefacts nor compute statistics beyond what a mark needs
(bins, medians, quartiles): the caller hands over numbers, names and a `Stamp`. Nothing here
touches pyplot, so no figure outlives its last reference and no display is needed.
"""

from __future__ import annotations

from neuroattn.figures.export import data_uri, save, to_png, to_svg, to_webp
from neuroattn.figures.predictions import Example, measured_against_predicted
from neuroattn.figures.scores import (
    Group,
    penalty_distribution,
    score_histogram,
    scores_by_fold,
    scores_by_roi,
)
from neuroattn.figures.theme import Stamp

__all__ = [
    "Example",
    "Group",
    "Stamp",
    "data_uri",
    "measured_against_predicted",
    "penalty_distribution",
    "save",
    "score_histogram",
    "scores_by_fold",
    "scores_by_roi",
    "to_png",
    "to_svg",
    "to_webp",
]
