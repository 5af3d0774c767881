"""Correlation of each target: `neuroattn.stats.correlation.pearson` against a loop over scipy.

For n images and V targets the two float32 tables are read once (8 n V bytes), widened to float64
block by block, centred, scaled and multiplied: about 12 n V floating-point operations. That is
less than one operation a byte moved, so the floor is memory: one pass over the tables at the
rate at which this machine adds up an array (measured beside it).
"""

from __future__ import annotations

import numpy as np

from benchmarks.harness import Table, milliseconds, ratio, take_turns
from neuroattn.stats.correlation import pearson


def run(tiny: bool) -> Table:
    """Time both on one pair of tables, after checking that they agree."""
    from scipy.stats import pearsonr

    images, targets, turns = (50, 40, 1) if tiny else (515, 20_000, 5)
    rng = np.random.default_rng(0)
    measured = rng.normal(size=(images, targets)).astype(np.float32)
    predicted = (measured + rng.normal(size=measured.shape)).astype(np.float32)

    def loop() -> np.ndarray:
        columns = range(targets)
        return np.array([pearsonr(predicted[:, c], measured[:, c]).statistic for c in columns])

    difference = float(np.abs(loop() - pearson(predicted, measured)).max())
    if difference > 1e-6:
        raise RuntimeError(f"the two disagree by {difference}")
    seconds = take_turns(
        {
            "ours": lambda: pearson(predicted, measured),
            "scipy": loop,
            "floor": lambda: (predicted.sum(), measured.sum()),
        },
        turns,
    )
    names = {
        "ours": "neuroattn, blocks of targets", "scipy": "scipy.stats.pearsonr in a loop",
        "floor": "floor: one sum over both tables",
    }  # fmt: skip
    return Table(
        title=f"Pearson correlation, {images} images x {targets:,} targets",
        columns=("contender", "median time", "relative to ours"),
        rows=[(names[k], milliseconds(s), ratio(s, seconds["ours"])) for k, s in seconds.items()],
        notes=(
            f"Largest difference of any r: {difference:.1e} (scipy sums in float32).",
            f"{8 * images * targets / 1e6:.0f} MB are read; {turns} turns.",
        ),
    )
