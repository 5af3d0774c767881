"""The report on a comparison: every model, pair and weight is on the page, with its interval."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from neuroattn.core.artefact import Artefact
from neuroattn.core.tables import write_tsv
from neuroattn.reports.blocks import Block, Details, Picture, Prose, Subheading, Table
from neuroattn.reports.registry import ReportConfig
from neuroattn.reports.sections import comparison, data
from neuroattn.reports.sources import Sources
from neuroattn.reports.spec import assemble
from neuroattn.reports.wording import score
from tests.chain import build, config, node

SECTIONS = (comparison.models, comparison.differences, comparison.ensemble)


@pytest.fixture(scope="module")
def compared(tiny_data: Path, all_root: Path) -> Artefact:
    return build("compare", tiny_data, all_root)


@pytest.fixture
def sources(compared: Artefact, tiny_data: Path, all_root: Path) -> Sources:
    prepare = Artefact(node("prepare", tiny_data, all_root).folder)
    options = ReportConfig(stages=["compare"])
    return Sources({"prepare": prepare, "compare": compared}, options=options)


def tables(blocks: tuple[Block, ...]) -> list[Table]:
    return [block for block in blocks if isinstance(block, Table)]


def test_every_model_stands_in_every_region(sources: Sources, compared: Artefact) -> None:
    blocks = comparison.models(sources)
    (table,) = tables(blocks)
    expected = compared.table("rois.tsv")
    assert len(table.rows) == len(expected)
    shown = {(row[0], row[1]): row[2] for row in table.rows}
    for _, row in expected.iterrows():
        assert shown[row["roi"], row["model"]] == score(row["r"])
    assert " to " in table.rows[0][3]
    assert any(isinstance(block, Picture) for block in blocks)


class WithCurve:
    """An artefact with one file more."""

    def __init__(self, artefact: Artefact, folder: Path) -> None:
        self.artefact, self.folder_of_curve = artefact, folder

    def __getattr__(self, name: str) -> Any:
        return getattr(self.artefact, name)

    def has(self, name: str) -> bool:
        return name == "curve.tsv" or self.artefact.has(name)

    def path(self, name: str) -> Path:
        return self.folder_of_curve / name if name == "curve.tsv" else self.artefact.path(name)


def test_learning_curves_are_drawn_where_encoders_had_other_numbers_of_images(
    sources: Sources, tmp_path: Path
) -> None:
    rows = [
        {"roi": roi, "readout": name, "training_images": float(n), "sessions": said, "model": "m",
         "r": 0.1 + n / 1000, "r_low": 0.1, "r_high": 0.5}
        for roi in ("all targets", "V1", "V2")
        for name in ("ridge", "attention")
        for n, said in ((100, None), (150, "1"), (200, None))
    ]  # fmt: skip
    write_tsv(tmp_path / "curve.tsv", pd.DataFrame(rows))
    made: Any = WithCurve(sources.parents["compare"], tmp_path)
    blocks = comparison.models(replace(sources, parents={**sources.parents, "compare": made}))
    at = [isinstance(b, Subheading) and "Learning" in b.text for b in blocks].index(True)
    picture, shown = blocks[at + 1 : at + 3]
    assert isinstance(picture, Picture)
    assert "ridge 0.200 at 100 and 0.300 at 200" in picture.alt
    assert isinstance(shown, Table)
    assert len(shown.rows) == 6


def test_every_pair_stands_in_every_region(sources: Sources, compared: Artefact) -> None:
    (table,) = tables(comparison.differences(sources))
    assert len(table.rows) == len(compared.table("pairs.tsv"))
    assert {row[0] for row in table.rows} == {
        "plain \u2212 stiff", "ensemble \u2212 plain", "ensemble \u2212 stiff",
    }  # fmt: skip


def test_the_ensemble_is_shown_as_an_encoder_is(sources: Sources, compared: Artefact) -> None:
    blocks = comparison.ensemble(sources)
    assert isinstance(blocks[0], Picture)
    assert "plain" in blocks[0].alt
    by_region, predicted = (block for block in blocks if isinstance(block, Details))
    mean = compared.metrics["test.r"]
    assert mean is not None
    assert tables(by_region.blocks)[0].rows[0][2] == score(mean)
    titles = [getattr(block, "title", "") for block in predicted.blocks]
    assert "Scores agree with the predictions" in titles


def test_the_split_of_the_members_is_checked_for_leaks(sources: Sources) -> None:
    assert len(data.blocks(sources)) > 1


def test_the_page_has_the_sections_and_their_source(sources: Sources, compared: Artefact) -> None:
    page = assemble(sources)
    assert {"models", "differences", "ensemble"} <= {each.anchor for each in page.sections}
    assert sources.with_ensemble().name("encode") == f"compare/{compared.label}"


def test_partitions_and_subjects_appear_where_they_were_asked_for(
    compared: Artefact, sources: Sources, tiny_data: Path, all_root: Path
) -> None:
    labels = {name: compared.inputs[f"encode/{name}"]["label"] for name in ("plain", "stiff")}
    made = config("compare", tiny_data, all_root)
    made.compare.members = {f"{n}@{s}": label for n, label in labels.items() for s in ("x", "y")}
    made.compare.members |= {f"both@{s}": labels["plain"] for s in ("x", "y")}
    made.compare.partitions = {"both": ["plain", "stiff"]}
    from neuroattn.pipeline.build import run_stage

    grouped = Sources(
        {**sources.parents, "compare": run_stage("compare", made)}, options=sources.options
    )
    models = comparison.models(grouped)
    headings = [block.text for block in models if isinstance(block, Subheading)]
    assert headings == ["x", "y", "Subjects"]
    pictures = [block.alt for block in models if isinstance(block, Picture)]
    assert any("over subjects by region" in alt for alt in pictures)
    assert sum("differences over subjects" in alt for alt in pictures) == 1
    (every,) = (b for b in models if isinstance(b, Details) and "subject" in b.summary)
    assert len(every.blocks) == 4  # a figure for each model
    last = tables(models)[-1]
    assert [column.title for column in last.columns][1:3] == ["x", "y"]
    assert {row[0] for row in last.rows} == {"plain", "stiff", "both", "ensemble"}
    parts = [t for t in tables(comparison.differences(grouped)) if "explained" in t.caption.lower()]
    assert len(parts) == 2
    assert [column.title for column in parts[0].columns][2:] == [
        "only plain", "only stiff", "shared",
    ]  # fmt: skip
    assert any(isinstance(block, Prose) for block in models)
    assert comparison.ensemble(grouped)
