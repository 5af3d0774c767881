"""What a decode artefact keeps of its prior: who was uncertain, how much was blurred, what it cost.

``prior.json``: kind, levels, and what the prior tells of itself. ``uncertainty.tsv``: a row per
pair. ``prior_examples.h5``: /pictures (pairs, 2, side, side, 3) uint8, as shown and as blurred, of
the most and the least certain pairs; /pair, their rows in the table. ``clean-retrieval.tsv`` and
``clean-queries.tsv``: retrieval among pictures as they were shown, where the rest is among blurred
ones (`neuroattn.decoding.evaluate` has the columns).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.config import restore
from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.hdf5 import add_dataset
from neuroattn.data.prepared import Prepared
from neuroattn.data.stimuli import read_with_digest
from neuroattn.decoding.blur_prior import BlurPrior
from neuroattn.decoding.evaluate import Evaluation, Side, evaluate
from neuroattn.features.blur import Blur
from neuroattn.features.blur_schemas import BlurConfig, BlurKind
from neuroattn.features.images import fit_picture

FACTS, TABLE, EXAMPLES = "prior.json", "uncertainty.tsv", "prior_examples.h5"
CLEAN = "clean"
SHOWN = 6  # least and most certain pairs that are shown
SIDE = 160  # pixels of a picture in the artefact


def blurring(model: Any) -> BlurPrior | None:
    """The prior that a fitted decoder was trained with, where it blurred anything."""
    prior = getattr(getattr(model, "network", model), "prior", None)
    return prior if isinstance(prior, BlurPrior) and prior.name != "none" else None


_TOLD = {
    "ubp": "more where a pair stayed dissimilar, less where it was very similar (after Wu et al.,"
    " 2025, CVPR)",
    "reliability": "more where the repeats of a picture disagreed, less where they agreed",
    "fusion": "in a mixture of all levels that was learned (after Liu et al., 2026, AAAI)",
}


def blur_told(model: Any) -> str:
    """A sentence for the Methods text of a decoder that blurred; empty for any other."""
    prior = blurring(model)
    if prior is None:
        return ""
    strengths = ", ".join(f"{one:g}" for one in prior.levels.strengths[1:])
    how = _TOLD.get(prior.name, f"all at strength {getattr(prior, 'strength', 0.0):g}")
    return (
        f" Responses were matched with blurred pictures ({prior.levels.kind} blur; levels"
        f" {strengths}), {how}; test images were looked for both at one blur and as shown."
    )


def pair_table(prior: BlurPrior, subjects: Sequence[str]) -> pd.DataFrame:
    """One row per training pair; empty cells where the prior knows nothing of single pairs.

    Parameters
    ----------
    subjects : names of the persons, by number.
    """
    columns: dict[str, Any] = {
        "subject": [subjects[number] for number in prior.subjects],
        "image": prior.images,
    }
    known = {"uncertainty": prior.uncertainty(), "blur": prior.blur_of_pairs()}
    for name, values in known.items():
        missing = np.full(len(prior.images), np.nan)
        columns[name] = missing if values is None else values.detach().cpu().double().numpy()
    return pd.DataFrame(columns)


def keep_prior(
    out: ArtefactWriter,
    prior: BlurPrior,
    subjects: Sequence[str],
    blur: dict[str, Any],
    read: Callable[[int], NDArray[np.uint8]],
    *,
    size: int,
) -> dict[str, float]:
    """Write what the prior knows; returns figures of it.

    Parameters
    ----------
    blur : kind and parameters of the stored blur.
    read : gives the picture of an image id.
    size : side of the pictures that were embedded.
    """
    table = pair_table(prior, subjects)
    out.table(TABLE, table)
    out.json(FACTS, prior.facts())
    chosen = extremes(table)
    if len(chosen):
        config = _blur_config(blur)
        shown = table.iloc[chosen]
        pairs = zip(shown["image"].tolist(), shown["blur"].tolist(), strict=True)
        pictures = [both_ways(read(int(image)), config, float(at), size) for image, at in pairs]
        with out.hdf5(EXAMPLES) as file:
            add_dataset(file, "pictures", np.stack(pictures))
            add_dataset(file, "pair", chosen)
    return _figures(prior, table)


def pictures_of(stimuli: Any, images: pd.DataFrame) -> Callable[[int], NDArray[np.uint8]]:
    """Reader of pictures by id, which are those that were prepared, or an error."""
    digests = dict(zip(images["image"].tolist(), images["sha256"], strict=True))

    def read(image: int) -> NDArray[np.uint8]:
        picture, found = read_with_digest(stimuli, image)
        if found != digests[image]:
            raise DataError(
                f"image {image} is another picture than when the dataset was prepared",
                file=stimuli.file(image), expected=f"sha256 {digests[image]}", found=found,
                fix="restore the picture, or run the stage prepare again",
            )  # fmt: skip
        return picture

    return read


def person_names(sides: Sequence[Any], prepared: Prepared) -> list[str]:
    """Names of the persons behind the training rows, by number (`RowSource.person`).

    Parameters
    ----------
    sides : `neuroattn.decoding.sides.UnitSide` of each unit.
    """
    names: list[str] = []
    for side in sides:
        if side.rows.people is None:
            everyone = sorted(map(str, side.unit.data.trials["subject"].unique()))
            names.append(side.unit.name or "|".join(everyone) or str(prepared.subjects[0]))
        else:
            trials, _ = side.view.trial_rows(side.train)
            names += sorted(map(str, side.view.trials["subject"].iloc[trials].unique()))
    return names


def _figures(prior: BlurPrior, table: pd.DataFrame) -> dict[str, float]:
    found = {"prior.pairs": float(len(table))}
    if table["blur"].notna().any():
        found["prior.blur.mean"] = float(table["blur"].mean())
    if table["uncertainty"].notna().any():
        low, _, high = prior.facts()["low_medium_high"]
        near = 1e-5 * high  # blur is kept in single precision
        found["prior.flagged.high"] = float((table["blur"] > high - near).mean())
        found["prior.flagged.low"] = float((table["blur"] < low + near).mean())
        found["prior.unseen"] = float(table["uncertainty"].isna().mean())
    return found


def extremes(table: pd.DataFrame, count: int = SHOWN) -> NDArray[np.int64]:
    """Rows of the most certain pairs, then of the least certain, each extreme first."""
    known = table["uncertainty"].dropna().sort_values(kind="stable").index.to_numpy(dtype=np.int64)
    count = min(count, len(known) // 2)
    return np.concatenate([known[:count], known[::-1][:count]])


def both_ways(
    picture: NDArray[np.uint8], config: BlurConfig, strength: float, size: int
) -> NDArray[np.uint8]:
    """The picture as it was shown and under a blur, (2, side, side, 3).

    Parameters
    ----------
    size : side of the pictures that were embedded, whose pixels cells of ``lowres`` are told in.
    """
    shown = fit_picture(picture, SIDE)
    if config.kind is BlurKind.lowres:
        strength = max(1.0, strength * SIDE / size)  # no cell is smaller than a pixel
    try:
        blur = Blur(replace(config, levels=[strength]), SIDE, torch.device("cpu"))
    except ConfigError:  # no blur, or too little to be seen
        return np.stack([shown, shown])
    pixels = torch.from_numpy(shown).permute(2, 0, 1)[None].float()
    blurred = blur(pixels, 1)[0].permute(1, 2, 0).round().clamp(0, 255)
    return np.stack([shown, blurred.numpy().astype(np.uint8)])


def _blur_config(blur: dict[str, Any]) -> BlurConfig:
    centre = "paper" if blur.get("centre") == 1 else "released"
    return restore(BlurConfig, {"kind": blur["kind"], "centre": centre, "decay": blur["decay"]})


def keep_clean(
    out: ArtefactWriter, sides: Sequence[Side], labels: Any, options: Any, seed: int
) -> dict[str, float]:
    """Retrieval among pictures as they were shown; returns its figures, under ``clean.``.

    Parameters
    ----------
    sides : of the test, whose targets are the originals'.
    """
    found: Evaluation = evaluate(sides, labels, options, seed)
    for name in ("retrieval", "queries"):
        out.table(f"{CLEAN}-{name}.tsv", found.tables[f"{name}.tsv"])
    return {f"{CLEAN}.{name}": value for name, value in found.metrics.items()}
