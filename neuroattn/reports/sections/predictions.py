"""Predictions: folds, example targets and penalties, with the scores counted again."""

from __future__ import annotations

import numpy as np

from neuroattn.figures import (
    Example,
    measured_against_predicted,
    penalty_distribution,
    scores_by_fold,
    to_svg,
)
from neuroattn.reports.blocks import Block, Notice, Picture
from neuroattn.reports.recount import Recount, recount
from neuroattn.reports.sources import Sources
from neuroattn.reports.summaries import column
from neuroattn.reports.wording import plural, said, score

TOLERANCE = 1e-3  # stored predictions are float32


def blocks(sources: Sources) -> tuple[Block, ...]:
    """The recount against ``scores.tsv``, then one figure each."""
    encode = sources.parents["encode"]
    names = [said(name) for name in encode.table("targets.tsv")["target"]]
    chosen = _examples(sources, names)
    with encode.hdf5("predictions.h5") as file:
        found = recount(file, [place for _, place, _ in chosen])
    return (
        _agreement(sources, names, found),
        _fold_picture(sources, found),
        _example_picture(sources, chosen, names, found),
        *_penalty_picture(sources),
    )


def _examples(sources: Sources, names: list[str]) -> list[tuple[str, int, float]]:
    """Role, column in the predictions, and r of the best, the median and the worst target."""
    r = column(sources.scores, "r")
    place = {name: index for index, name in enumerate(names)}
    targets = [said(name) for name in sources.scores["target"]]
    order = [
        int(row)
        for row in np.argsort(-r, kind="stable")
        if np.isfinite(r[row]) and targets[row] in place
    ]
    picks = {"best": 0, "median": len(order) // 2, "worst": len(order) - 1}
    unique = {index: role for role, index in reversed(picks.items())} if order else {}
    return [
        (role, place[targets[order[index]]], float(r[order[index]]))
        for index, role in sorted(unique.items())
    ]


def _agreement(sources: Sources, names: list[str], found: Recount) -> Notice:
    again = dict(zip(names, found.mean, strict=False))
    written = column(sources.scores, "r")
    counted = np.array([again.get(said(name), np.nan) for name in sources.scores["target"]])
    both = np.isfinite(written) & np.isfinite(counted)
    if not both.any():
        return Notice("warning", "The scores could not be counted again from the predictions")
    difference = float(np.max(np.abs(written[both] - counted[both])))
    over = f"{plural(int(both.sum()), 'target')}, {plural(len(found.folds), 'fold')}"
    if difference <= TOLERANCE:
        return Notice(
            "passed",
            "Scores agree with the predictions",
            f"r was computed again for this report from predictions.h5 ({over}); the largest"
            f" difference from scores.tsv is {difference:.0e}.",
        )
    return Notice(
        "warning",
        "Scores differ from the predictions",
        f"r computed again from predictions.h5 ({over}) differs from scores.tsv by up to"
        f" {score(difference)}.",
    )


def _fold_picture(sources: Sources, found: Recount) -> Picture:
    drawn = scores_by_fold(
        found.r, sources.stamp("encode"), names=[str(fold) for fold in found.folds]
    )
    means = [score(float(np.nanmean(row))) for row in found.r if np.isfinite(row).any()]
    return Picture(
        to_svg(drawn),
        alt=f"Prediction accuracy by fold; means over targets {', '.join(means)}",
        caption="Prediction accuracy within each test fold. Thin line: 5th to 95th percentile of"
        " targets; box: middle half, with the median; diamond: mean.",
    )


def _example_picture(
    sources: Sources, chosen: list[tuple[str, int, float]], names: list[str], found: Recount
) -> Picture:
    examples = [
        Example(
            names[place], f"{role} target", found.measured[:, index], found.predicted[:, index], r
        )
        for index, (role, place, r) in enumerate(chosen)
    ]
    unit = found.unit or said(sources.dataset.get("units"))
    drawn = measured_against_predicted(examples, sources.stamp("encode"), unit=unit)
    listed = ", ".join(f"{role} r {score(r)}" for role, _, r in chosen)
    return Picture(
        to_svg(drawn),
        alt=f"Measured against predicted responses of three example targets: {listed}",
        caption="Measured against predicted responses to test images of all folds, for the best,"
        " the median and the worst predicted target (r: mean over folds).",
    )


def _penalty_picture(sources: Sources) -> tuple[Picture, ...]:
    if "alpha" not in sources.scores.columns:
        return ()
    penalties = column(sources.scores, "alpha")
    if not np.isfinite(penalties).any():
        return ()
    drawn = penalty_distribution(penalties, sources.stamp("encode"))
    return (
        Picture(
            to_svg(drawn),
            alt="Histogram of the ridge penalty chosen for each target",
            caption="Ridge penalty of each target, chosen on training images alone (geometric mean"
            " over folds). A pile at either end asks for a wider grid.",
        ),
    )
