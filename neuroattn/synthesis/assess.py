"""The evaluation as a part of the stage: pictures, real ones beside them, and the tables.

Payload: ``evaluation.tsv``, ``halves.tsv``, ``gains.tsv``, ``matrix.tsv``, ``referee.tsv``,
``evaluation.json``, and ``real/`` with ``real.tsv``: the test pictures that the guide puts highest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from neuroattn.core.seeding import generator
from neuroattn.core.stage import StageContext
from neuroattn.data.dataset import open_dataset
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import DatasetConfig
from neuroattn.features.images import fit_picture
from neuroattn.features.registry import Interpolation, Resize
from neuroattn.synthesis.evaluate import (
    Reference,
    gain_table,
    headline,
    look,
    matrix_table,
    measure_table,
    picture_table,
    referee_table,
)
from neuroattn.synthesis.evaluation_schemas import EvaluationConfig
from neuroattn.synthesis.guide import trained_on
from neuroattn.synthesis.halves import half_table
from neuroattn.synthesis.jobs import png
from neuroattn.synthesis.judged import Opinion
from neuroattn.synthesis.registry import SynthesisConfig
from neuroattn.synthesis.retrieval import best_pictures
from neuroattn.synthesis.views import (
    TOGETHER,
    Pictures,
    Views,
    open_views,
    preferred,
    small,
)
from neuroattn.synthesis.wishes import Wish

EVALUATION, GAINS, MATRIX, REFEREE = "evaluation.tsv", "gains.tsv", "matrix.tsv", "referee.tsv"
FACTS, REAL, SHOWN, HALVES = "evaluation.json", "real.tsv", "real", "halves.tsv"
REAL_COLUMNS = (
    "file", "objective", "rank", "image", "guide_activation", "judge_activation", "guide_learned",
    "judge_learned",
)  # fmt: skip
_SIDE = 256  # of reference pictures; features see them at their network's own size


@dataclass(frozen=True, eq=False)
class Panel:
    """Who looks: the encoder that guided, the one that judges (or None)."""

    guide: Opinion
    judge: Opinion | None

    @property
    def scorer(self) -> Opinion:
        """The judge, or the guide where there is none."""
        return self.judge or self.guide


def assess(
    context: StageContext,
    config: EvaluationConfig,
    wishes: Sequence[Wish],
    panel: Panel,
    *,
    table: pd.DataFrame,
    regions: pd.DataFrame,
    device: str,
) -> dict[str, float]:
    """Evaluate what stands in the payload, write the tables, and return the headline.

    Parameters
    ----------
    table, regions : ``images.tsv`` and ``regions.tsv``.
    """
    prepared = Prepared(context.parents["prepare"])
    simulated = bool(prepared.description.get("simulated"))
    source = panel.scorer.sources[0]
    views = open_views(
        config, source.encoder.backbone, source.artefact.label, device, simulated=simulated
    )
    files = list(dict.fromkeys(table["file"].dropna()))
    reference = _reference(context, panel, wishes, views)
    seen = look(files, _read(context, files), views)
    made = picture_table(table, wishes, seen, reference)
    measures = measure_table(made, seen, reference, config.directions, config.draws)
    gains = gain_table(made, config.draws)
    context.out.table(EVALUATION, measures)
    context.out.table(GAINS, gains)
    halves = half_table(made, seen, reference, config.directions, config.draws)
    context.out.table(HALVES, halves)
    context.out.table(MATRIX, matrix_table(made, regions, wishes, config.draws))
    if seen.referee:
        context.out.table(REFEREE, referee_table(files, seen))
    _real(context, config.real, panel, wishes)
    context.out.json(FACTS, _facts(config, wishes, views, reference))
    return headline(measures, gains, {wish.text: wish.slug.lower() for wish in wishes})


def _read(context: StageContext, files: Sequence[str]) -> Iterator[Pictures]:
    """Pictures of the payload, some at a time, all of one size."""
    paths = [context.out.folder / file for file in files]
    fit = _square if len({_size(path) for path in paths}) > 1 else _same  # retrieved ones differ
    for start in range(0, len(paths), TOGETHER):
        yield np.stack([fit(_pixels(path)) for path in paths[start : start + TOGETHER]])


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:  # reads no pixels
        return picture.size


def _pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def _same(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return picture


def _square(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    fitted = fit_picture(picture, _SIDE, Resize.squash, Interpolation.bilinear)
    return np.asarray(fitted, dtype=np.uint8)


def _reference(
    context: StageContext, panel: Panel, wishes: Sequence[Wish], views: Views
) -> Reference | None:
    """Pictures that the guide learned from, some of them, by all that the sets are held against."""
    config = context.section("synthesis", SynthesisConfig)
    count = config.evaluation.reference
    train = sorted(trained_on(panel.guide.sources[0].artefact, config.fold))
    if count == 0 or not train:
        return None
    rng = generator(context.seed, "synthesis", "reference")
    chosen = np.sort(rng.permutation(train)[:count])
    stimuli = open_dataset(context.section("dataset", DatasetConfig)).stimuli
    pictures = np.stack([_square(stimuli.read(int(image))) for image in chosen])
    said = panel.scorer(pictures)
    values = {
        wish.text: np.array([one["values"][wish.text] for one in said], dtype=np.float64)
        for wish in wishes
    }
    return Reference(views.features(pictures), small(list(pictures)), values)


def _real(context: StageContext, count: int, panel: Panel, wishes: Sequence[Wish]) -> None:
    """The real pictures that the guide puts highest, and who learned from them.

    Under several folds a test picture of the guide's is a training picture of another fold's judge,
    whose word on it is then no prediction.
    """
    rows: list[dict[str, Any]] = []
    config = context.section("synthesis", SynthesisConfig)
    opinions = (
        ("guide", panel.guide, config.fold), ("judge", panel.judge, config.judge_fold),
    )  # fmt: skip
    learned = {by: opinion.learned(fold) if opinion else set() for by, opinion, fold in opinions}
    for number, wish in enumerate(wishes if count else ()):
        best = list(best_pictures(context, panel.guide, number, count))
        for rank, (image, picture) in enumerate(best, start=1):
            name = f"{SHOWN}/{wish.slug}-{rank:02d}.png"
            with context.out.file(name) as target:
                target.write_bytes(png(picture))
            row = {"file": name, "objective": wish.text, "rank": rank, "image": image}
            for by, opinion, _ in opinions:
                told = opinion(picture[None])[0]["values"][wish.text] if opinion else np.nan
                row |= {f"{by}_activation": told, f"{by}_learned": int(image in learned[by])}
            rows.append(row)
    context.out.table(REAL, pd.DataFrame(rows, columns=list(REAL_COLUMNS)))


def _facts(
    config: EvaluationConfig, wishes: Sequence[Wish], views: Views, reference: Reference | None
) -> Mapping[str, Any]:
    return {
        "features": views.named,
        "referee": views.referee is not None,
        "space": views.space is not None,
        "absent": dict(views.absent),
        "reference": 0 if reference is None else len(reference.features),
        "directions": config.directions,
        "draws": config.draws,
        "preferred": {wish.text: preferred(wish) for wish in wishes},
    }
