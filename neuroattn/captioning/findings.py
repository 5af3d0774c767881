"""What the stage ``caption`` writes beside the captions: nouns, classes, maps, verification.

====================  ==========================================================================
``nouns.tsv``         target noun class share null: each noun of each target, as a share of its
                      captions; a null target has the number of the one that was shuffled
``top_nouns.tsv``     roi noun class n share low high chance null: what stands out in each group
``classes.tsv``       roi class n share low high chance: classes among the nouns of each group
``caption_maps.tsv``  one row a target: null gated person_share class red green blue concept-WORD
``verified.tsv``      measure captions value low high n_targets n_images subject
====================  ==========================================================================

Groups are the regions, all gated targets, and the null targets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.captioning.analysis import (
    ALL,
    NULLS,
    Said,
    base_rate,
    class_chance,
    class_shares,
    groups,
    leading_class,
    person_share,
    said,
    top_nouns,
    vocabulary,
)
from neuroattn.captioning.colours import concept_map, palette
from neuroattn.captioning.nouns import Finder, nouns_of, spacy_nouns
from neuroattn.captioning.registry import AnalysisConfig
from neuroattn.captioning.verification import Verified, image_text, top_targets, verify
from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.errors import DataError

NOUNS, TOP, CLASSES, MAPS, VERIFIED = (
    "nouns.tsv", "top_nouns.tsv", "classes.tsv", "caption_maps.tsv", "verified.tsv",
)  # fmt: skip
CONCEPT = "concept-"
LEXICON = "lexicon"
_FEWEST_COLOURED = 4
Embed = Callable[[Sequence[str]], NDArray[np.floating]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Captioned:
    """All captions of one encoder.

    Parameters
    ----------
    targets : one row each, with target, subject, rois, and gated, null as booleans.
    captions : of each row, one for each draw and concept; none below the gate.
    weights : (rows, dim) in the image-text space; NaN where a row has none.
    bank : captions of each bank item; the base rate of nouns is theirs.
    embed : sentences to their embeddings (sentences, dim) in that space; None without one.
    """

    targets: pd.DataFrame
    captions: Sequence[Sequence[str]]
    weights: NDArray[np.floating]
    bank: Sequence[Sequence[str]]
    embed: Embed | None = None

    @property
    def gated(self) -> NDArray[np.bool_]:
        """Rows (rows,) that are captioned and no null."""
        kept = self.targets["gated"].to_numpy(dtype=bool)
        return np.asarray(kept & ~self.null & np.array([bool(own) for own in self.captions]))

    @property
    def null(self) -> NDArray[np.bool_]:
        """Rows (rows,) of shuffled responses."""
        return self.targets["null"].to_numpy(dtype=bool)


def finder(options: AnalysisConfig) -> Finder:
    """Nouns by the built-in lexicon, or by a pipeline of spaCy."""
    return nouns_of if options.nouns == LEXICON else spacy_nouns(options.nouns)


def write_findings(
    out: ArtefactWriter, found: Captioned, options: AnalysisConfig, seed: int
) -> dict[str, float]:
    """Write all tables but `VERIFIED`; metrics with dotted names.

    Raises
    ------
    MissingDataError : spaCy is asked for and not there.
    """
    find = finder(options)
    table = said(found.captions, find)
    # A null has no region, whether or not it passes a gate that it should not pass.
    told = np.array([bool(own) for own in found.captions])
    members = groups(found.targets["rois"], found.gated, found.null & told)
    chance = base_rate(table.nouns, found.bank, find)
    out.table(NOUNS, _noun_table(found, table))
    out.table(
        TOP,
        top_nouns(
            table, members, chance, most=options.top_nouns, draws=options.draws, seed=seed
        ),
    )  # fmt: skip
    shares = class_shares(table, members, found.bank, find=find, draws=options.draws, seed=seed)
    out.table(CLASSES, shares)
    out.table(MAPS, maps_table(found, table, class_chance(found.bank, find), options.concepts))
    return _metrics(found, table, members)


def _noun_table(found: Captioned, table: Said) -> pd.DataFrame:
    cells = table.share.tocoo()
    return pd.DataFrame(
        {
            "target": found.targets["target"].to_numpy()[cells.row],
            "noun": [table.nouns[n] for n in cells.col],
            "class": [table.kinds[n] for n in cells.col],
            "share": cells.data,
            "null": found.null[cells.row],
        }
    )


def maps_table(
    found: Captioned, table: Said, chance: NDArray[np.float64], concepts: Sequence[str]
) -> pd.DataFrame:
    """A row for each target with everything that is drawn on the cortex; NaN below the gate.

    Colours are fitted to the gated targets of all subjects together; nulls are painted with them.
    """
    shown = found.gated | found.null
    person = np.where(shown, person_share(table), np.nan)
    out = {
        "target": found.targets["target"], "null": found.null, "gated": found.gated,
        "person_share": person,
        "class": np.where(shown, np.array(leading_class(table, chance), dtype=object), ""),
    }  # fmt: skip
    paint = np.where(shown[:, None], _colours(found), np.nan)
    out |= {name: paint[:, n] for n, name in enumerate(("red", "green", "blue"))}
    if concepts and found.embed is not None:
        aims = found.embed(list(concepts))
        for word, aim in zip(concepts, aims, strict=True):
            out[CONCEPT + word] = np.where(shown, concept_map(found.weights, aim), np.nan)
    return pd.DataFrame(out)


def _colours(found: Captioned) -> NDArray[np.float64]:
    gated = found.gated
    known = gated & np.isfinite(found.weights).all(axis=1)
    if known.sum() < _FEWEST_COLOURED:
        return np.full((len(gated), 3), np.nan)
    subject = found.targets["subject"].to_numpy(dtype=str)
    each = [found.weights[known & (subject == name)] for name in np.unique(subject[known])]
    return palette(each).paint(found.weights)


def _metrics(
    found: Captioned, table: Said, members: dict[str, NDArray[np.int64]]
) -> dict[str, float]:
    own = [c for row in np.flatnonzero(found.gated).tolist() for c in found.captions[row]]
    metrics = {
        "vocabulary": float(vocabulary(own)),
        "vocabulary.captions": float(len(set(own))),
        "vocabulary.nouns": float(len(np.unique(table.share[found.gated].indices))),
    }
    person = person_share(table)
    for name, group in (("person_share", ALL), ("person_share.null", NULLS)):
        rows = members.get(group)
        if rows is not None and np.isfinite(person[rows]).any():
            metrics[name] = float(np.nanmean(person[rows]))
    return metrics


@dataclass(frozen=True, eq=False, kw_only=True)
class HeldOut:
    """What captions are held against.

    Parameters
    ----------
    selection : (rows,) r on held-out training images; NaN for nulls, which have no response.
    responses : (images, rows) measured to the test images.
    told : captions of each test image, none where it has none.
    """

    selection: NDArray[np.floating]
    responses: NDArray[np.floating]
    told: Sequence[Sequence[str]]


def verify_sentences(
    found: Captioned, tested: HeldOut, options: AnalysisConfig, seed: int
) -> Verified | None:
    """The sentence-level score of gated targets; None where fewer than two can be scored.

    Raises
    ------
    DataError : fewer than three test images have captions.
    """
    if found.embed is None:
        return None
    chosen = top_targets(np.where(found.gated, tested.selection, np.nan), options.verified)
    if len(chosen) < 2:
        return None
    images = np.array([bool(each) for each in tested.told])
    if images.sum() < 3:
        raise DataError(
            "captions cannot be held against test images that nobody described",
            expected="captions of three test images or more",
            found=f"captions of {int(images.sum())} of {len(images)}",
            fix="set caption.analysis.verified=0, or add captions.json to the dataset",
        )
    first = [found.captions[row][0] for row in chosen]
    kinds = {caption: n for n, caption in enumerate(dict.fromkeys(first))}
    vectors = np.asarray(found.embed(list(kinds)))[[kinds[caption] for caption in first]]
    described = _embedded([own for own in tested.told if own], found.embed)
    measured = np.asarray(tested.responses)[np.flatnonzero(images)][:, chosen]
    return verify(
        "sentence", vectors, described, measured,
        deals=options.deals, draws=options.draws, seed=seed,
    )  # fmt: skip


def _embedded(told: Sequence[Sequence[str]], embed: Embed) -> NDArray[np.float64]:
    """What is told of each image, with one call for all sentences."""
    ends = np.cumsum([len(own) for own in told])
    vectors = np.asarray(embed([caption for own in told for caption in own]))
    return image_text(np.split(vectors, ends[:-1]))


def verified_metrics(verified: Verified) -> dict[str, float]:
    """Dotted figures of a score: value, ends of its interval, the control, the difference."""
    found = {f"verified.{verified.measure}.p": verified.p}
    for _, row in verified.table.iterrows():
        name = f"verified.{verified.measure}" + (
            "" if row["captions"] == "true" else f".{row['captions']}"
        )
        found |= {name: row["value"], f"{name}.low": row["low"], f"{name}.high": row["high"]}
    return {name: float(value) for name, value in found.items()}
