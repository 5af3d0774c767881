"""Tab-separated tables: exact floats, ``n/a`` for missing, and the columns that rooms share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from neuroattn.core.atomic import write_text
from neuroattn.core.errors import ArtefactError

MISSING = "n/a"

TRIALS = ("trial", "subject", "session", "run", "image", "repeat")
IMAGES = ("image", "file", "sha256", "source")
TARGETS = ("target", "subject", "hemisphere", "vertex", "rois")
SCORES = ("target", "rois", "hemisphere", "r", "r_squared", "r2", "r_pooled")
# Beside them where a ceiling is known: shares of variance, NaN below the threshold.
CEILINGS = ("nc", "r_squared_over_nc", "r_squared_over_nc_capped", "n_images")
# Last: how well r is known, and whether it is above chance; NaN where nothing was resampled.
RESAMPLED = ("r_low", "r_high", "p", "q", "p_max")
FOLDS = ("fold", "image", "side")
ROI_SEPARATOR = "|"
# Names that somebody gave: a region called 17 and a subject called 01 are no numbers.
TEXT = (
    "subject", "hemisphere", "rois", "roi", "region", "network", "parcel", "file", "source",
    "sha256",
)  # fmt: skip


def write_tsv(path: Path, frame: pd.DataFrame) -> None:
    """Write ``frame`` without its index; floats in the shortest form that reads back exactly."""
    text = frame.to_csv(None, sep="\t", index=False, na_rep=MISSING, lineterminator="\n")
    write_text(path, text)


def read_tsv(path: Path, columns: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a table; text stays text: a ROI called ``NA`` is not missing, one called 17 no number.

    Raises
    ------
    ArtefactError : one of ``columns`` is not there.
    """
    frame = pd.read_csv(
        path, sep="\t", na_values=[MISSING], keep_default_na=False, dtype=dict.fromkeys(TEXT, str)
    )
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        raise ArtefactError(
            f"the table lacks the columns {', '.join(absent)}",
            file=path,
            expected=", ".join(columns),
            found=", ".join(map(str, frame.columns)),
            fix="delete its folder and run the stage again",
        )
    return frame


def flags(column: pd.Series[Any]) -> pd.Series[bool]:
    """A column of true and false, which a table with gaps holds as text; a gap is false."""
    return column.astype(str).str.lower() == "true"


def rois_of(value: Any) -> list[str]:
    """Names of the ROIs in one cell of a ``rois`` column; missing or empty is none."""
    return (
        [name for name in str(value).split(ROI_SEPARATOR) if name] if isinstance(value, str) else []
    )
