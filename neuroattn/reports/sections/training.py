"""Training: loss and selection score over epochs of every fold, where a readout was trained."""

from __future__ import annotations

import numpy as np

from neuroattn.core.artefact import Artefact
from neuroattn.figures import to_svg
from neuroattn.figures.training import Curve, training_curves
from neuroattn.reports.blocks import Block, Notice, Picture
from neuroattn.reports.sources import Sources
from neuroattn.reports.summaries import column
from neuroattn.reports.wording import plural, score, spread

EPOCH, LOSS, SELECTION = "epoch", "train.epoch_loss", "selection.r"


def blocks(sources: Sources) -> tuple[Block, ...]:
    """One figure of all folds, and what it says of the number of epochs."""
    if not sources.has("encode"):
        return ()
    curves = [curve for name in sorted(sources.parents["encode"].files)
              if (curve := _curve(sources.parents["encode"], name))]  # fmt: skip
    if not curves:
        return ()
    best = [curve.best for curve in curves]
    last = max(float(curve.epoch.max()) for curve in curves)
    kept = [float(curve.selection[curve.epoch == curve.best][0]) for curve in curves]
    picture = Picture(
        to_svg(training_curves(curves, sources.stamp("encode"))),
        alt=f"Training loss and selection score over {last:.0f} epochs,"
        f" {plural(len(curves), 'fold')}",
        caption="Training loss and accuracy on the selection images, which are held out from the"
        f" training side, over epochs. The kept epochs: {spread(map(int, best))} of {last:.0f};"
        f" selection r there: {_range(kept)}.",
    )
    late = sum(value >= last for value in best)
    if 2 * late <= len(best):
        return (picture,)
    return (
        picture,
        Notice(
            "note",
            "The last epoch was the best in most folds",
            "Accuracy may still have been rising: try more encoder.training.epochs.",
        ),
    )


def _range(values: list[float]) -> str:
    low, high = score(min(values)), score(max(values))
    return low if low == high else f"{low} to {high}"


def _curve(encode: Artefact, name: str) -> Curve | None:
    if not name.endswith("curves.tsv"):
        return None
    table = encode.table(name)
    if EPOCH not in table or SELECTION not in table or table.empty:
        return None
    selection = column(table, SELECTION)
    if not np.isfinite(selection).any():
        return None
    epoch = column(table, EPOCH)
    best = float(epoch[int(np.nanargmax(selection))])  # the earliest of equals is kept
    return Curve(name.rpartition("/")[0], epoch, column(table, LOSS), selection, best)
