"""The bridge from what the stage ``caption`` has written to what its findings are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.captioning.findings import (
    VERIFIED,
    Captioned,
    HeldOut,
    verified_metrics,
    verify_sentences,
    write_findings,
)
from neuroattn.captioning.fold_scores import selection_of_fold
from neuroattn.captioning.registry import AnalysisConfig
from neuroattn.captioning.verification import Verified
from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.data.prepared import Prepared

Ids = NDArray[np.int64]
Responses = NDArray[np.float32]
_SENTENCES = 512  # embedded at a time
_ROWS = 128  # images read at a time


def captioned(
    frame: pd.DataFrame,
    rows: pd.DataFrame,
    unit: NDArray[np.floating] | None,
    prepared: Prepared,
    *,
    bank: Sequence[Sequence[str]],
    text: Any,
) -> Captioned:
    """Captions by target.

    Parameters
    ----------
    frame : ``captions.tsv``: one row for each caption, targets without one among them.
    rows, unit : target and null of what was projected, and its weights (rows, dim); None without.
    bank : captions of each bank item.
    text : text side of the space; None without.
    """
    order = ["target", "null"]
    told = frame[frame["caption"].fillna("") != ""].groupby(order)["caption"].agg(list)
    table = frame.drop_duplicates(order)[[*order, "gated"]].reset_index(drop=True)
    keys = list(zip(table["target"].astype(int), table["null"].astype(bool), strict=True))
    about = prepared.targets.iloc[[number for number, _ in keys]]
    table["column"], table["target"] = table["target"].astype(int), about["target"].to_numpy()
    table["subject"] = about["subject"].to_numpy()
    table["rois"] = about["rois"].to_numpy()
    captions = told.to_dict()
    weights = np.full((len(keys), 1 if unit is None else unit.shape[1]), np.nan)
    if unit is not None:
        at = {key: row for row, key in enumerate(keys)}
        known = zip(rows["target"].astype(int), rows["null"].astype(bool), strict=True)
        weights[[at[key] for key in known]] = unit
    return Captioned(
        targets=table, captions=[captions.get(key, []) for key in keys], weights=weights,
        bank=bank, embed=None if text is None else _Embedding(text),
    )  # fmt: skip


class _Embedding:
    """Sentences to vectors, many at a time, each different one once."""

    def __init__(self, text: Any) -> None:
        self.text, self.known = text, dict[str, NDArray[np.floating[Any]]]()

    def __call__(self, sentences: Sequence[str]) -> NDArray[np.floating[Any]]:
        new = [one for one in dict.fromkeys(sentences) if one not in self.known]
        for start in range(0, len(new), _SENTENCES):
            part = new[start : start + _SENTENCES]
            vectors = self.text.encode_text(part).detach().cpu().numpy()
            self.known |= dict(zip(part, vectors, strict=True))
        return np.stack([self.known[one] for one in sentences])


@dataclass(frozen=True, eq=False)
class Ground:
    """Where measured responses and captions of test images come from."""

    encode: Artefact
    prepared: Prepared
    fold: int

    def images(self) -> Ids:
        """Test images (images,) of the fold."""
        with self.encode.hdf5("predictions.h5") as file:
            found: Ids = file["test/image"][...][self._rows(file)]
        return found

    def test(self, name: str, targets: NDArray[np.int64]) -> Responses:
        """What was ``measured`` or ``predicted`` of test images of the fold (images, targets).

        Whole rows are read, a block of them at a time; the named targets alone are held.
        """
        with self.encode.hdf5("predictions.h5") as file:
            rows, table = self._rows(file), file[f"test/{name}"]
            out = np.empty((len(rows), len(targets)), dtype=np.float32)
            for start in range(0, len(rows), _ROWS):
                block = rows[start : start + _ROWS]
                out[start : start + _ROWS] = table[block][:, targets]
        return out

    def _rows(self, file: h5py.File) -> NDArray[np.int64]:
        return np.flatnonzero(file["test/fold"][...] == self.fold)

    def selection(self) -> NDArray[np.float64]:
        """How well each target was predicted on training images that the fold held out.

        Zeros if that is not known.
        """
        found = selection_of_fold(self.encode, self.fold)
        return found if np.isfinite(found).any() else np.zeros(len(found))


def tell(
    out: ArtefactWriter, found: Captioned, options: AnalysisConfig, ground: Ground, seed: int
) -> dict[str, float]:
    """Write all findings; metrics with dotted names.

    Verification needs a text side, described test images and two gated targets; without them
    `VERIFIED` is not written.

    Raises
    ------
    MissingDataError : spaCy is asked for and not there.
    """
    metrics = write_findings(out, found, options, seed)
    if options.verified and found.embed is not None:
        parts = _by_subject(found, ground, options, seed)
        if parts:
            tables = [part.table.assign(subject=name) for name, part in parts.items()]
            out.table(VERIFIED, pd.concat(tables, ignore_index=True))
            each = [verified_metrics(part) for part in parts.values()]
            metrics |= {name: float(np.mean([one[name] for one in each])) for name in each[0]}
    return metrics


def _by_subject(
    found: Captioned, ground: Ground, options: AnalysisConfig, seed: int
) -> dict[str, Verified]:
    """Scores of every subject: test images differ between them."""
    captions = ground.prepared.captions
    told = [list(captions.get(str(image), [])) for image in ground.images()]
    target = found.targets["column"].to_numpy(dtype=np.int64)
    measured = ground.test("measured", target)
    selection = ground.selection()[target]
    subject = found.targets["subject"].map(str).to_numpy()
    out = {}
    for name in dict.fromkeys(subject):
        own = found.gated & (subject == name)
        kept = np.array([bool(one) for one in told], dtype=bool)
        kept &= np.isfinite(measured[:, own]).all(axis=1)
        if own.sum() < 2 or kept.sum() < 3:
            continue
        tested = HeldOut(
            selection=np.where(own, selection, np.nan),
            responses=measured[kept],
            told=[one for one, shown in zip(told, kept, strict=True) if shown],
        )
        verified = verify_sentences(found, tested, options, seed)
        if verified is not None:
            out[name] = verified
    return out
