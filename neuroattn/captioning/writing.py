"""From concepts to rows of ``captions.tsv``: written, merged where equal, with their confidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.captioning.captioners import Captioner, Told
from neuroattn.captioning.concepts import Concept
from neuroattn.captioning.gates import confidence

Floats = NDArray[np.float64]
COLUMNS = (
    "target", "roi", "caption", "confidence", "gated", "null", "concept", "share", "evidence",
    "stability", "sure", "fit", "measure", "r", "nc", "effective", "best_cosine", "cosine",
    "reason",
)  # fmt: skip
_CALL = 512  # concepts that a captioner is given at a time


def told(captioner: Captioner, concepts: Sequence[Concept], progress: Any) -> list[Told]:
    """A caption for each concept."""
    found: list[Told] = []
    for start in range(0, len(concepts), _CALL):
        part = concepts[start : start + _CALL]
        found += captioner.caption(part)
        progress.advance(len(part))
    return found


def merged(concepts: Sequence[Concept], said: Sequence[Told]) -> list[tuple[Concept, Told]]:
    """Concepts whose captions are equal count as one, with the sum of their shares."""
    kept: dict[tuple[int, str], tuple[Concept, Told]] = {}
    for concept, one in zip(concepts, said, strict=True):
        key = (concept.row, one.text.casefold())
        if key in kept:
            first, known = kept[key]
            joined = Concept(
                first.row, first.number, first.share + concept.share, first.places, first.embedding
            )
            kept[key] = joined, Told(known.text, max(known.sure, one.sure))
        else:
            kept[key] = concept, one
    return list(kept.values())


def fit_of(texts: Sequence[str], weights: NDArray[np.float32], text: Any) -> Floats:
    """Cosine (captions,) of each caption's text embedding with its target's unit weight."""
    different = {one: row for row, one in enumerate(dict.fromkeys(texts))}
    rows = []
    for start in range(0, len(different), _CALL):
        part = list(different)[start : start + _CALL]
        rows.append(text.encode_text(part).cpu().numpy())
    table = np.concatenate(rows)[[different[one] for one in texts]]
    return np.asarray(np.einsum("nd,nd->n", table, weights), dtype=np.float64)


def caption_table(
    rows: pd.DataFrame, kept: Sequence[tuple[Concept, Told]], measures: dict[str, Floats]
) -> pd.DataFrame:
    """One row for each caption.

    Parameters
    ----------
    rows : what was captioned (`neuroattn.captioning.targets.Rows`).
    measures : effective, best_cosine, cosine, stability of each of ``rows``, and ``fit`` of each
        caption; NaN where not known.
    """
    at = np.array([concept.row for concept, _ in kept], dtype=np.int64)
    frame = rows.iloc[at].reset_index(drop=True)
    frame["caption"] = [one.text for _, one in kept]
    frame["sure"] = [one.sure for _, one in kept]
    frame["share"] = [concept.share for concept, _ in kept]
    frame["concept"] = frame.groupby(["target", "null"], sort=False).cumcount()
    for name in ("effective", "best_cosine", "cosine", "stability"):
        frame[name] = measures[name][at]
    frame["fit"] = measures["fit"]
    parts = [frame[name].to_numpy(np.float64) for name in ("evidence", "stability", "sure")]
    frame["confidence"] = confidence(*parts)
    frame["sure"] = frame["sure"].round(6)
    frame["reason"] = np.where(frame["gated"], "", "null target")
    return frame


def with_ungated(
    captions: pd.DataFrame, targets: pd.DataFrame, reason: NDArray[np.str_], scores: pd.DataFrame
) -> pd.DataFrame:
    """All targets, those that were not captioned with the reason; null targets last."""
    out = pd.DataFrame({"target": np.flatnonzero(reason != "")})
    out = out.assign(caption="", gated=False, null=False, reason=reason[reason != ""])
    for name in ("r", "nc"):
        if name in scores:
            out[name] = scores[name].to_numpy(np.float64)[out["target"]]
    parts = [part for part in (captions, out) if len(part)]
    frame = pd.concat(parts, ignore_index=True) if parts else captions
    frame = frame.reindex(columns=list(COLUMNS))
    frame["roi"] = targets["rois"].to_numpy()[frame["target"].to_numpy(np.int64)]
    frame["roi"] = frame["roi"].fillna("")
    frame["concept"] = frame["concept"].astype("Int64")
    order = frame.sort_values(["null", "target", "concept"], kind="stable")
    return order.reset_index(drop=True)
