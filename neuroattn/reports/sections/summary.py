"""Summary: the headline numbers, and in a few lines what they are about."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neuroattn.reports.blocks import Block, Card, Cards, FactList, Facts
from neuroattn.reports.sources import Sources
from neuroattn.reports.summaries import column, folds, regions
from neuroattn.reports.wording import cell, count, plural, said, score


def blocks(sources: Sources) -> tuple[Block, ...]:
    """Cards of scores and sizes, then facts of the data and the model."""
    found: list[Block] = []
    cards = _score_cards(sources) + _size_cards(sources)
    if cards:
        found.append(Cards(cards))
    found.append(FactList(_data_facts(sources) + _model_facts(sources)))
    return tuple(block for block in found if not isinstance(block, FactList) or block.stated)


def _score_cards(sources: Sources) -> tuple[Card, ...]:
    if not sources.has("encode"):
        return ()
    table, split = sources.scores, folds(sources.folds)
    overall = regions(table)[0]
    r = column(table, "r")
    scored = int(np.sum(np.isfinite(r)))
    over = f"{plural(scored, 'target')}, {plural(len(split), 'fold')}"
    best = int(np.nanargmax(r)) if scored else 0
    return (
        Card("Mean r", score(overall.mean), over, headline=True),
        Card("Median r", score(overall.median), "over targets"),
        Card(
            "Best target r",
            score(r[best] if scored else math.nan),
            f"target {cell(said(table['target'].iloc[best]))}" if scored else "",
        ),
        Card("Pooled r", score(overall.r_pooled), "all test images together"),
    )


def _size_cards(sources: Sources) -> tuple[Card, ...]:
    about = sources.dataset
    cards = (
        Card("Images", count(about.get("n_images")), "distinct"),
        Card("Trials", count(about.get("n_trials")), "presentations"),
        Card("Targets", count(about.get("n_targets")), cell(about.get("modality"))),
        Card("Subjects", count(about.get("n_subjects")), cell(about.get("species"))),
    )
    return cards if about else ()


def _data_facts(sources: Sources) -> Facts:
    about = sources.dataset
    if not about:
        return ()
    subjects = sorted({said(value) for value in sources.trials["subject"]} - {""})
    shown = ", ".join(subjects[:12]) + (" and more" if len(subjects) > 12 else "")
    return (
        ("Dataset", said(about.get("name"))),
        ("Species", said(about.get("species"))),
        ("Modality", said(about.get("modality"))),
        ("Subjects", shown or count(about.get("n_subjects"))),
        ("Units of responses", said(about.get("units"))),
        ("Space", said(about.get("space"))),
    )


def _model_facts(sources: Sources) -> Facts:
    if not sources.has("encode"):
        return ()
    config: dict[str, Any] = sources.parents["encode"].config
    split = folds(sources.folds)
    sizes = " or ".join(count(n) for n in sorted({len(fold.test) for fold in split}))
    return (
        ("Readout", _choice(config, "encoder")),
        ("Frozen network", _choice(config, "backbone")),
        ("Split", f"{plural(len(split), 'fold')} over images, {sizes} test images in each"),
        ("Result", sources.name("encode")),
    )


def _choice(config: dict[str, Any], group: str) -> str:
    section = config.get(group)
    return said(section.get("name")) if isinstance(section, dict) else ""
