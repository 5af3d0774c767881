"""The report's section on captions: nulls everywhere, the ungated mask, and no foreign trouble."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neuroattn.captioning.findings import Captioned, write_findings
from neuroattn.captioning.registry import AnalysisConfig
from neuroattn.figures import cortex
from neuroattn.maps.captions import caption_layers
from neuroattn.reports.blocks import Cards, Details, Notice, Picture, Subheading, Table
from neuroattn.reports.registry import ReportConfig
from neuroattn.reports.sections import captions
from neuroattn.reports.sources import Sources
from tests.planted_captions import planted
from tests.unit.reports import fabricate

PARTS = ["Nouns", "On the cortex", "How sure", "Verified on test images", "Captions"]
VERIFIED = [("sentence", kind, 0.2, 0.1, 0.3, 48, 30, "subj01") for kind in ("true", "shuffled")]


def caption_table(found: Captioned) -> pd.DataFrame:
    """``captions.tsv`` as the stage writes it."""
    count = len(found.targets)
    text = [own[0] if own else "" for own in found.captions]
    return pd.DataFrame(
        {
            "target": found.targets["target"], "roi": found.targets["rois"], "caption": text,
            "confidence": np.linspace(0.9, 0.1, count), "gated": found.targets["gated"],
            "null": found.targets["null"], "stability": 0.8, "effective": 12.0, "r": 0.4,
            "nc": 0.5, "best_cosine": 0.9, "measure": 0.3,
        }
    )  # fmt: skip


def chain(root: Path, found: Captioned, **files: pd.DataFrame) -> Sources:
    """A caption artefact, and the prepared targets on fsaverage5."""
    made = fabricate.Chain(root, fabricate.Foreign(methods="A sentence."))
    real = found.targets[~found.targets["null"]]
    sides = np.where(np.arange(len(real)) % 2, "rh", "lh")
    table = real[["target", "subject", "rois"]].assign(hemisphere=sides, vertex=range(len(real)))
    writer = fabricate._writer(made, "prepare")
    writer.json("dataset.json", {"name": "planted", "space": "fsaverage5", "simulated": True})
    writer.table("targets.tsv", table)
    made.parents["prepare"] = fabricate._finish(made, "prepare", "nsd")
    writer = fabricate._writer(made, "caption")
    write_findings(writer, found, AnalysisConfig(concepts=["a face"], draws=20), seed=0)
    writer.table("captions.tsv", caption_table(found))
    for name, content in files.items():
        writer.table(f"{name}.tsv", content)
    made.parents["caption"] = fabricate._finish(made, "caption", "nearest-ridge")
    options = ReportConfig(stages=["caption"], max_targets_in_table=3)
    return Sources(made.parents, options=options)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    columns = ["measure", "captions", "value", "low", "high", "n_targets", "n_images", "subject"]
    verified = pd.DataFrame(VERIFIED, columns=columns)
    return chain(tmp_path_factory.mktemp("captions"), planted(), verified=verified)


@pytest.fixture(scope="module")
def shown(sources: Sources) -> tuple[Any, ...]:
    with pytest.MonkeyPatch.context() as patch:  # figures are composed; drawing is theirs to test
        patch.setattr(cortex, "PIXELS", 40)
        patch.setattr(captions, "to_svg", lambda figure: b"<svg/>")
        patch.setattr(captions, "to_webp", lambda figure: b"webp")
        return captions.blocks(sources)


def test_every_part_is_there(shown: tuple[Any, ...]) -> None:
    assert [block.text for block in shown if isinstance(block, Subheading)] == PARTS
    pictures = [block for block in shown if isinstance(block, Picture)]
    assert len(pictures) == 2 + 3 + 1 + 1  # nouns, classes; people, classes, colours; how sure
    assert [block.summary for block in shown if isinstance(block, Details)] == ["Maps of concepts"]


def test_the_headline_counts_targets_below_the_gate(shown: tuple[Any, ...]) -> None:
    (cards,) = (block for block in shown if isinstance(block, Cards))
    first = cards.cards[0]
    assert (first.value, first.note) == ("48", "of 60; the others are below the gate")
    assert cards.cards[-1].label == "Null targets through the gate"
    assert cards.cards[-1].value == "0 %"


def test_null_targets_stand_in_every_figure_and_table(
    shown: tuple[Any, ...], sources: Sources
) -> None:
    pictures = [block for block in shown if isinstance(block, Picture)]
    for picture in (pictures[0], pictures[1], pictures[5]):  # groups are named in the words
        assert "null targets" in picture.alt + picture.caption
    for layer in caption_layers(sources.parents["caption"], pd.Series(range(60))):
        assert "null targets" in layer.note + " ".join(layer.key.names if layer.key else ())
    tables = [block for block in shown if isinstance(block, Table)]
    flags = [{row[3] for row in table.rows} for table in tables]
    assert flags == [{""}, {""}, {"null"}]


def test_captions_are_listed_surest_first_with_what_they_rest_on(shown: tuple[Any, ...]) -> None:
    first = next(block for block in shown if isinstance(block, Table))
    titles = [column.title for column in first.columns]
    assert titles[:4] == ["Target", "Regions", "Caption", "Null"]
    assert {"Ceiling", "Stability", "Bank items", "Confidence"} <= set(titles)
    assert [row[0] for row in first.rows] == ["0", "1", "2"]


def test_nothing_captioned_is_told(tmp_path: Path) -> None:
    found = planted()
    silent: list[list[str]] = [[] for _ in found.captions]
    none = replace(found, targets=found.targets.assign(gated=False), captions=silent)
    (notice,) = captions.blocks(chain(tmp_path, none))
    assert isinstance(notice, Notice)
    assert notice.title == "No target passed the gate"


def test_targets_that_stand_nowhere_have_no_map(sources: Sources, tmp_path: Path) -> None:
    bare = replace(sources, parents={"caption": sources.parents["caption"]})
    assert captions._maps(bare) == ()
